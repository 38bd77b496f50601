//! `${ENV}`, `${ENV:-default}`, `$$` and `file:PATH` in values.

use std::path::{Path, PathBuf};

use super::mask::is_variable;
use super::reading;

/// Answers what an environment variable holds.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A key file may not be larger: it is not a key then.
const LARGEST_KEY: u64 = 64 * 1024;

/// Why a value could not be put together.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// The variable is not set, and there is no default.
    Unset(String),
    /// `${` is not closed, or holds no variable's name.
    Form(&'static str),
    /// The file, as it was meant, and why it gives no key.
    File(PathBuf, String),
}

/// The process's own environment; a value that is no Unicode counts as unset.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Puts the variables in. A `$` that starts neither `${` nor `$$` stands for itself.
///
/// # Errors
/// [`Broken::Unset`] and [`Broken::Form`].
pub fn expand(text: &str, env: Environment) -> Result<String, Broken> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else if let Some(inside) = after.strip_prefix('{') {
            let (reference, after) = inside.split_once('}').ok_or(Broken::Form("`${` is not closed"))?;
            out.push_str(&resolve(reference, env)?);
            after
        } else {
            out.push('$');
            after
        };
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve(reference: &str, env: Environment) -> Result<String, Broken> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default.replace("$$", "$"))),
        None => (reference, None),
    };
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if name.is_empty() || !word || name.as_bytes()[0].is_ascii_digit() {
        return Err(Broken::Form("`${…}` must hold the name of an environment variable"));
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default),
        // A name that looks like a key is one that was put in braces by mistake: it is not repeated.
        (None, None) if is_variable(name) => Err(Broken::Unset(name.to_owned())),
        (None, None) => Err(Broken::Unset("…".to_owned())),
    }
}

/// The path of `file:PATH`, from `folder`; `None` when the value is no such reference.
///
/// # Errors
/// As [`expand`].
pub fn file_path(value: &str, folder: &Path, env: Environment) -> Option<Result<PathBuf, Broken>> {
    value.strip_prefix("file:").map(|path| expand(path, env).map(|path| resolve_path(&path, folder, env)))
}

/// A path as meant in a file in `folder`; `~/` is the user's folder.
pub fn resolve_path(path: &str, folder: &Path, env: Environment) -> PathBuf {
    match (path.strip_prefix("~/"), env("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => folder.join(path),
    }
}

/// What a value with references stands for: [`expand`], or the content of the file.
///
/// # Errors
/// What is broken; never with any content of the file.
pub fn secret(value: &str, folder: &Path, env: Environment) -> Result<String, Broken> {
    match file_path(value, folder, env) {
        Some(path) => {
            let path = path?;
            read_key(&path).map_err(|why| Broken::File(path, why))
        }
        None => expand(value, env),
    }
}

fn read_key(path: &Path) -> Result<String, String> {
    let bytes = reading::regular(path, LARGEST_KEY).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let key = text.trim_end_matches(['\n', '\r']);
    if key.is_empty() { Err("it is empty".to_owned()) } else { Ok(key.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_and_dollars_kept() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${KEY}", "value"),
            ("a${KEY}b${KEY}", "avaluebvalue"),
            ("${NONE:-other}", "other"),
            ("${EMPTY:-other}", "other"),
            ("${KEY:-other}", "value"),
            ("${NONE:-}", ""),
            ("${NONE:-a$$b}", "a$b"),
            ("${EMPTY}", ""),
            ("$$", "$"),
            ("$${KEY}", "${KEY}"),
            ("a$b$", "a$b$"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_broken_reference_is_told_without_what_may_be_a_key() {
        assert_eq!(expand("${NONE}", &env), Err(Broken::Unset("NONE".into())));
        assert_eq!(expand("${sk_live_0123456789abc}", &env), Err(Broken::Unset("…".into())));
        for text in ["${KEY", "${}", "${1A}", "${A B}", "${sk-ant-1}"] {
            assert!(matches!(expand(text, &env), Err(Broken::Form(_))), "{text}");
        }
    }
}
