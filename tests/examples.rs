//! The examples run, and the example configs are right.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs an example of this build; the tests alone do not build it.
fn example(name: &str, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--example", name, "--"]).args(arguments).current_dir(root());
    command.output().unwrap()
}

fn configs() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("examples")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// The variables that a config names, `${LIKE_THIS}`.
fn variables(yaml: &str) -> Vec<&str> {
    yaml.split("${").skip(1).filter_map(|rest| rest.split('}').next()).collect()
}

#[test]
fn every_example_config_is_right() {
    assert!(configs().len() >= 5);
    for path in configs() {
        let folder = tempfile::TempDir::new().unwrap();
        let yaml = std::fs::read_to_string(&path).unwrap();
        let copy = folder.path().join("config.yaml");
        std::fs::write(&copy, &yaml).unwrap();
        std::fs::write(folder.path().join("gateway-token.txt"), "a-token\n").unwrap();
        let root = claude_proxy_root();
        std::fs::write(folder.path().join("corp-root.pem"), root).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
        command.args(["config", "check", "--config"]).arg(&copy).env_clear();
        command.envs(variables(&yaml).into_iter().map(|name| (name, "a-value-of-some-length")));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}:\n{}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
}

fn claude_proxy_root() -> String {
    crate::support::upstream::tls::Authority::new().unwrap().pem().to_owned()
}

#[test]
fn the_demo_shows_failover() {
    let output = example("demo", &["--once"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<&str> = said.lines().filter(|line| line.starts_with("messages")).collect();
    assert_eq!(rows.len(), 12, "{said}");
    assert!(rows.iter().all(|row| row.contains(" 200 ")), "nobody sees a fault: {said}");
    assert!(rows[0].ends_with("  flaky"), "{said}");
    assert!(rows.iter().any(|row| row.contains("dead: ") && row.ends_with("-> healthy")), "{said}");
}

#[test]
fn the_fake_upstream_tells_its_faults() {
    let output = example("fake_upstream", &["--help"]);
    let said = String::from_utf8_lossy(&output.stdout);
    for word in ["--port", "x-fault", "stall-after-head", "reset", "cut-mid-event"] {
        assert!(said.contains(word), "{said}");
    }
}
