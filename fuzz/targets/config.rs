//! Whatever stands in the file: settings or an error that shows no credential, never a panic.
#![no_main]

use claude_proxy::config::Config;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "sk-ant-api03-hunter2hunter2";

fuzz_target!(|text: &str| {
    let text = text.replace("SECRET", SECRET);
    match Config::from_text(&text, None, &|_| None) {
        Ok(config) => drop(format!("{:?}", config.endpoints)),
        Err(error) => {
            let told = format!("{error} {} {:?}", error.message(), error.hint());
            let under_its_key = text.lines().any(|line| line.trim_start().starts_with("auth_value: SECRET"));
            assert!(!under_its_key || !told.contains(SECRET), "{told}");
        }
    }
});
