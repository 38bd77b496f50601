//! Changes of the file that keep everything else in it: comments, order, quoting, references.
//!
//! ```text
//! read -> steps (what is meant) -> rewrite, one step at a time -> read again: does it say what is meant?
//!      -> judge: can it be used? -> diff -> store: temporary file, sync, still the same file? rename
//! ```
//! The text is never put together from a tree, only spliced at single places. Where a step does not come to mean what
//! it should, nothing is written and the lines to put in by hand are told.

mod diff;
pub mod first;
mod judge;
mod layout;
mod order;
mod rewrite;
mod scalar;
mod steps;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::steps::{Around, Step};
use super::syntax::LARGEST;
use super::tree::{self, Node};
use super::watch::Content;
use super::{Config, ConfigError, process_environment};

/// An endpoint as it shall be: the body of `POST /api/endpoints`, `PATCH /api/endpoints/{name}` and of a test of what is
/// not saved yet. What is absent stays as it is (or has its default); `null` takes an optional key out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub path_prefix: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<String>,
    /// Write-only. `${NAME}`, `${NAME:-default}`, `$$` and `file:PATH` as in the file.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub auth_value: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub http: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub proxy: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub ca_file: Option<Option<String>>,
    /// The revision of the file that the change was made from; another one now is a conflict (409).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// `null` is present, and means none.
#[expect(clippy::option_option, reason = "a key may be left as it is, taken out, or set")]
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// What is to be changed in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `name`, `url` and `auth_type` must be there.
    Add(EndpointChange),
    Change {
        name: String,
        change: EndpointChange,
    },
    Remove {
        name: String,
    },
    /// All names, in their new order. Blocks of the file are not moved, priorities are changed.
    Order {
        names: Vec<String>,
    },
}

/// What to make of `${NAME}` that is not set in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// It is an error: for the process that has the file's settings in force, and will have the new ones.
    Refused,
    /// It may be set where the proxy will run: for a command that only changes the file.
    Accepted,
}

/// A change that was worked out, and not written yet.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The file's new text.
    pub text: String,
    /// Changed lines in unified form, credentials and comments masked; empty when nothing differs.
    pub diff: String,
    /// The settings that the new text makes; a stopgap stands for what `unset` names.
    pub config: Config,
    /// [`revision_of`] the text that it was worked out on.
    pub made_from: String,
    /// [`revision_of`] the new text.
    pub revision: String,
    /// Variables that the new text needs and this process does not have; always empty with [`Unset::Refused`].
    pub unset: Vec<String>,
}

/// Why a change was not made. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("there is no endpoint \"{0}\"")]
    NotFound(String),
    #[error("there is an endpoint \"{0}\" already")]
    Exists(String),
    /// What was asked makes no valid settings: which key is at fault, and why.
    #[error("{message}")]
    Invalid { field: Option<String>, message: String, hint: Option<String> },
    /// The file is broken as it is, or missing.
    #[error(transparent)]
    Broken(#[from] ConfigError),
    /// The file is not the one that the change was made from, or there is a first one already.
    #[error("the config file has changed meanwhile")]
    Conflict,
    /// The file is written in a way that we cannot edit without losing something; the lines to put in by hand.
    #[error("the file cannot be edited without losing something of it")]
    ByHand { snippet: String },
    #[error("{0}")]
    Io(String),
}

impl EditError {
    fn invalid(field: Option<&str>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { field: field.map(str::to_owned), message: message.into(), hint: Some(hint.into()) }
    }
}

/// Names what a file holds: another revision, another content.
pub fn revision_of(bytes: &[u8]) -> String {
    Content::of(bytes).to_string()
}

/// Works the change out on the file as it is now, without writing it.
///
/// # Errors
/// As [`EditError`] says.
pub fn prepare(path: &Path, edit: &Edit, revision: Option<&str>) -> Result<Prepared, EditError> {
    prepare_with(path, edit, revision, Unset::Refused)
}

/// As [`prepare`].
pub fn prepare_with(path: &Path, edit: &Edit, revision: Option<&str>, unset: Unset) -> Result<Prepared, EditError> {
    let text = read(path, revision)?;
    work_out(path, &text, edit, unset)
}

/// [`prepare`], and writes it: to a temporary file beside it, synced, renamed over it; its mode stays. Waits some
/// seconds for another change that is under way, so it must not be called where nothing may block.
///
/// # Errors
/// As [`EditError`] says.
pub fn apply(path: &Path, edit: &Edit, revision: Option<&str>) -> Result<Prepared, EditError> {
    apply_with(path, edit, revision, Unset::Refused)
}

/// As [`apply`].
pub fn apply_with(path: &Path, edit: &Edit, revision: Option<&str>, unset: Unset) -> Result<Prepared, EditError> {
    // Told in the words of every other command when it is not there.
    read(path, revision)?;
    let held = store::hold(path)?;
    let text = read(path, revision)?;
    let prepared = work_out(path, &text, edit, unset)?;
    if prepared.text != text {
        held.replace(text.as_bytes(), prepared.text.as_bytes())?;
    }
    Ok(prepared)
}

/// Writes a first file with this one endpoint in it, mode 0600; never over an existing one, which is a conflict.
///
/// # Errors
/// As [`EditError`] says.
pub fn create(path: &Path, endpoint: &EndpointChange) -> Result<Prepared, EditError> {
    create_with(path, endpoint, Unset::Refused)
}

/// As [`create`].
pub fn create_with(path: &Path, endpoint: &EndpointChange, unset: Unset) -> Result<Prepared, EditError> {
    let prepared = prepare_first(path, endpoint, unset)?;
    store::create(path, prepared.text.as_bytes())?;
    Ok(prepared)
}

/// What [`create`] would write.
///
/// # Errors
/// As [`EditError`] says.
pub fn prepare_first(path: &Path, endpoint: &EndpointChange, unset: Unset) -> Result<Prepared, EditError> {
    store::is_free(path)?;
    let text = first::text(endpoint, first::PORTS, first::Token::None)?;
    finish(path, "", text, Some(0), unset)
}

/// Where each endpoint's key comes from when the file does not hold it: its name, and `${NAME}` or `file:PATH`.
pub fn references(text: &str) -> Vec<(String, String)> {
    let root = tree::parse(text.trim_start_matches('\u{feff}')).unwrap_or(Node::Null);
    let reference = |endpoint: &Node| match (steps::get(endpoint, "name"), steps::get(endpoint, "auth_value")) {
        (Some(Node::Text(name)), Some(Node::Text(value))) if super::mask::may_show(Some("auth_value"), value) => {
            Some((name.clone(), value.clone()))
        }
        _ => None,
    };
    steps::endpoints(&root).iter().filter_map(reference).collect()
}

/// [`references`] of a file's text; none when it cannot be read.
pub fn references_in(path: &Path) -> Vec<(String, String)> {
    super::read_again(path).map(|text| references(&text)).unwrap_or_default()
}

/// The names of the endpoints in a file, which need not be usable otherwise.
///
/// # Errors
/// When it cannot be read, or is no YAML.
pub fn names(path: &Path) -> Result<Vec<String>, ConfigError> {
    let text = super::read_again(path)?;
    let Ok(root) = tree::parse(text.trim_start_matches('\u{feff}')) else {
        // The same reading once more, for the picture of what is wrong.
        return judge::settings(&text, path, Unset::Accepted).map(|_| Vec::new());
    };
    let name = |endpoint: &Node| match steps::get(endpoint, "name") {
        Some(Node::Text(name)) => Some(name.clone()),
        _ => None,
    };
    Ok(steps::endpoints(&root).iter().filter_map(name).collect())
}

/// The settings of a file, and the variables that it needs and this process does not have; a stopgap stands for those.
///
/// # Errors
/// Everything else that is wrong with the file.
pub fn settings_without_variables(path: &Path) -> Result<(Config, Vec<String>), ConfigError> {
    judge::settings(&super::read_again(path)?, path, Unset::Accepted)
}

fn read(path: &Path, revision: Option<&str>) -> Result<String, EditError> {
    let text = super::read_again(path)?;
    match revision {
        Some(revision) if revision != revision_of(text.as_bytes()) => Err(EditError::Conflict),
        _ => Ok(text),
    }
}

/// As [`prepare`], on a text that was read already; `path` says where it is from.
///
/// # Errors
/// As [`EditError`] says.
pub fn work_out(path: &Path, text: &str, edit: &Edit, unset: Unset) -> Result<Prepared, EditError> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = &text[..text.len() - body.len()];
    let root = if body.len() as u64 > LARGEST { None } else { tree::parse(body).ok() };
    let Some(root) = root else {
        // The same reading once more, for the picture of what is wrong.
        return match judge::settings(text, path, unset) {
            Err(broken) => Err(EditError::Broken(broken)),
            Ok(_) => Err(EditError::ByHand { snippet: String::new() }),
        };
    };
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // A change to settings that are in force is no first endpoint: an editor empties its file while it saves.
    if unset == Unset::Refused && steps::endpoints(&root).is_empty() {
        judge::settings(text, path, unset)?;
    }
    let around = Around { folder: absolute.parent().unwrap_or(Path::new("")), env: &process_environment };
    let (steps, index) = steps::of(&root, edit, around)?;
    let new = rewritten(body, root, &steps)?;
    finish(path, text, format!("{mark}{new}"), index, unset)
}

/// Each step must come to mean what it should, before the next one.
fn rewritten(text: &str, mut root: Node, steps: &[Step]) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for step in steps {
        let meant = step.on_tree(&root);
        let new = step.on_text(&text, &root);
        let read = new.as_deref().and_then(|new| tree::parse(new).ok());
        match (new, read) {
            (Some(new), Some(read)) if steps::same(&read, &meant) => (text, root) = (new, read),
            _ => return Err(EditError::ByHand { snippet: step.snippet(&root) }),
        }
    }
    Ok(text)
}

/// `index`: the endpoint that the change is about.
fn finish(path: &Path, old: &str, text: String, index: Option<usize>, unset: Unset) -> Result<Prepared, EditError> {
    let (config, unset) = judge::settings(&text, path, unset).map_err(|after| {
        let before = if old.is_empty() { None } else { judge::settings(old, path, unset).err() };
        judge::blame(&after, before, index)
    })?;
    let diff = diff::unified(&super::display_name(path), old, &text);
    let (made_from, revision) = (revision_of(old.as_bytes()), revision_of(text.as_bytes()));
    Ok(Prepared { text, diff, config, made_from, revision, unset })
}
