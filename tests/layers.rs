//! The layer drawing of the crate's documentation holds: an import points downward.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. Modules of one layer never import one another.
const LAYERS: [&[&str]; 5] = [
    &["domain"],
    &["config", "wire", "clock", "memory"],
    &["live", "logs", "client", "traffic", "telemetry", "unreadable"],
    &["proxy", "admin", "tui"],
    &["main", "cli", "commands"],
];

/// But for the top, which assembles, and the clock, which imports nothing.
const SIDEWAYS: [(&str, &str); 3] = [("commands", "cli"), ("main", "commands"), ("config", "clock")];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules that `text` names directly below `crate::`, outside its tests.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let mut names = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            names.extend(first_names(group));
        } else {
            names.push(word(rest));
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The first name of each member of `a::b, c::{d, e}, f}`.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            letter if fresh && letter.is_alphabetic() => {
                names.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// The top-level module that a file under `src` belongs to.
fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn fault(from: &str, to: &str) -> Option<String> {
    let (Some(own), Some(other)) = (layer(from), layer(to)) else {
        return Some(format!("{from} imports {to}: one of them is in no layer"));
    };
    let within = from == to || SIDEWAYS.contains(&(from, to));
    (!within && other >= own).then(|| format!("{from} (L{own}) imports {to} (L{other})"))
}

#[test]
fn imports_point_downward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut faults = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let from = module(path);
        if from == "lib" {
            continue;
        }
        for to in imports(&fs::read_to_string(&file).unwrap()) {
            faults.extend(fault(&from, &to).map(|fault| format!("{}: {fault}", path.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_drawing_names_every_module() {
    let drawing = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let modules = drawing.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        let own = layer(module).unwrap_or_else(|| panic!("{module} is in no layer"));
        let line = drawing.lines().find(|line| line.starts_with(&format!("//! L{own} "))).unwrap();
        assert!(line.contains(module), "the drawing's line L{own} does not name {module}: {line}");
    }
}

#[test]
fn an_upward_import_is_seen() {
    assert_eq!(
        imports("use crate::proxy::x;\nuse crate::{live::{a, b}, domain::c};\n// crate::tui"),
        ["proxy", "live", "domain"]
    );
    assert!(
        fault("domain", "config").is_some() && fault("proxy", "admin").is_some() && fault("live", "logs").is_some()
    );
    assert!(fault("proxy", "live").is_none() && fault("domain", "domain").is_none());
    assert!(fault("proxy", "novel").is_some());
}
