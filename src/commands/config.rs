//! `config check | path | show | schema`.

use std::path::Path;

use serde_json::json;

use super::{CommandError, Exit, note, print, print_json};
use crate::cli::ConfigCommand;
use crate::config::{self, Config, locate, process_environment, schema};

pub fn run(explicit: Option<&Path>, command: &ConfigCommand) -> Result<Exit, CommandError> {
    match command {
        ConfigCommand::Check(args) => check(explicit, args.json)?,
        ConfigCommand::Path(args) => path(explicit, args.json)?,
        ConfigCommand::Show(args) => show(explicit, args.json)?,
        // It is JSON with the flag and without.
        ConfigCommand::Schema(_) => print_json(&schema::schema())?,
    }
    Ok(Exit::Fine)
}

fn check(explicit: Option<&Path>, as_json: bool) -> Result<(), CommandError> {
    let config = Config::load(explicit)?;
    let warnings = config.warnings();
    let enabled = config.endpoints.iter().filter(|endpoint| endpoint.enabled).count();
    if as_json {
        let endpoints = config.endpoints.len();
        let file = &config.file;
        let told = json!({
            "ok": true, "file": file, "endpoints": endpoints, "enabled": enabled, "warnings": warnings,
        });
        return print_json(&told);
    }
    for warning in &warnings {
        note(&format!("warning: {warning}"));
    }
    let file = config.file.as_ref().map_or("the built-in default".to_owned(), |file| file.display().to_string());
    let mut found = format!("{}, {enabled} enabled", counted(config.endpoints.len(), "endpoint"));
    if !warnings.is_empty() {
        found = format!("{found}, {}", counted(warnings.len(), "warning"));
    }
    print(&format!("{file}: fine, {found}"))
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn path(explicit: Option<&Path>, as_json: bool) -> Result<(), CommandError> {
    let located = locate(explicit, &process_environment)?;
    let file = located.file.map(|file| std::path::absolute(&file).unwrap_or(file));
    if as_json {
        return print_json(&json!({ "path": file, "why": located.why.to_string() }));
    }
    note(&located.why.to_string());
    match file {
        Some(file) => print(&file.display().to_string()),
        None => Ok(()),
    }
}

fn show(explicit: Option<&Path>, as_json: bool) -> Result<(), CommandError> {
    let shown = Config::load(explicit)?.shown();
    if as_json {
        return print_json(&shown);
    }
    let yaml = config::to_yaml(&shown).map_err(std::io::Error::other)?;
    print(&yaml)
}
