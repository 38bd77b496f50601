//! What the program is made of: the parts of `.deny.toml` that can be checked without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The strings of `key = [ … ]` in `.deny.toml`, comments aside.
fn listed(key: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(".deny.toml")).unwrap();
    let (_, rest) = text.split_once(&format!("\n{key} = [")).unwrap();
    let lines = rest.lines().take_while(|line| *line != "]").filter(|line| !line.trim().starts_with('#'));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// This machine, as the compiler calls it.
fn host() -> String {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let told = String::from_utf8(rustc.stdout).unwrap();
    told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Everything that is compiled for this machine, tests aside.
fn compiled() -> Vec<Value> {
    let run = |args: &[&str]| {
        let cargo = Command::new(env!("CARGO")).args(args).current_dir(root()).output().unwrap();
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        String::from_utf8(cargo.stdout).unwrap()
    };
    let tree = run(&["tree", "--locked", "--offline", "-e", "normal,build", "--prefix", "none", "-f", "{p}"]);
    let used: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.trim_start_matches('v')))
        })
        .collect();
    // Only this machine's crates: those for others were never downloaded in a fresh clone.
    let metadata = ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", &host()];
    let metadata: Value = serde_json::from_str(&run(&metadata)).unwrap();
    let is_used =
        |package: &&Value| used.contains(&(package["name"].as_str().unwrap(), package["version"].as_str().unwrap()));
    metadata["packages"].as_array().unwrap().iter().filter(is_used).cloned().collect()
}

/// Whether an SPDX expression is met by what is allowed: `OR` (or a slash) offers a choice, `AND` does not.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    expression.split(" AND ").all(|all| all.split(" OR ").any(|one| allowed.contains(one.trim())))
}

#[test]
fn every_dependency_may_be_used_and_comes_from_the_registry() {
    let allowed = listed("allow");
    for package in compiled() {
        let name = &package["name"];
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_met(licence, &allowed), "{name}: {licence}");
        let source = package["source"].as_str();
        assert!(source.is_none_or(|source| source.starts_with("registry+")), "{name}: {source:?}");
    }
}

#[test]
fn no_crate_is_compiled_twice_but_the_known_ones() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in compiled() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let doubled: BTreeSet<_> =
        versions.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name).collect();
    let known: BTreeSet<_> =
        listed("skip").iter().filter_map(|spec| Some(spec.split_once('@')?.0.to_owned())).collect();
    assert_eq!(doubled, known);
}

#[test]
fn a_licence_expression_is_read_as_it_is_meant() {
    let allowed: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
    for met in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "MIT AND ISC", "(MIT OR GPL-3.0) AND ISC"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "MIT AND GPL-3.0", "", "(GPL-3.0 OR MIT) AND BSD-3-Clause"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
