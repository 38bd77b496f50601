//! Which file is read: `--config`, `CLAUDE_PROXY_CONFIG`, `./config.yaml`, the user's config folder, or none.

use std::fmt;
use std::path::{Path, PathBuf};

use super::diagnose::ConfigError;
use super::reference::Environment;

/// The variable that names the file.
pub const VARIABLE: &str = "CLAUDE_PROXY_CONFIG";

/// What was found, and why that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// `None`: the built-in default.
    pub file: Option<PathBuf>,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Flag,
    Variable,
    WorkingDirectory,
    UserDirectory,
    BuiltIn,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "named by --config",
            Self::Variable => "named by CLAUDE_PROXY_CONFIG",
            Self::WorkingDirectory => "found in the working directory",
            Self::UserDirectory => "found in the user's config folder",
            Self::BuiltIn => "no file: the built-in default",
        })
    }
}

/// # Errors
/// When a file that was named is not there.
pub fn locate(explicit: Option<&Path>, env: Environment) -> Result<Located, ConfigError> {
    let variable = env(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = match (explicit, variable) {
        (Some(path), _) => Some((path.to_path_buf(), Why::Flag)),
        (None, Some(path)) => Some((path, Why::Variable)),
        (None, None) => None,
    };
    if let Some((path, why)) = named {
        if !path.exists() {
            let message = format!("{}: there is no such file ({why})", path.display());
            let help = "check the path, or write a first config with `claude-proxy init`";
            return Err(ConfigError::file(&path, message, help));
        }
        return Ok(Located { file: Some(path), why });
    }
    let here = (PathBuf::from("config.yaml"), Why::WorkingDirectory);
    let candidates = [Some(here), user_file(env).map(|path| (path, Why::UserDirectory))];
    let found = candidates.into_iter().flatten().find(|(path, _)| path.symlink_metadata().is_ok());
    Ok(match found {
        // Passed over in silence, whoever put it there would look for the fault elsewhere.
        Some((path, why)) if !path.is_file() => {
            let what = if path.exists() { "is no file" } else { "is a link to a file that is not there" };
            let message = format!("{}: {what} ({why})", path.display());
            return Err(ConfigError::file(&path, message, "take it away, or name another file with --config"));
        }
        Some((file, why)) => Located { file: Some(file), why },
        None => Located { file: None, why: Why::BuiltIn },
    })
}

/// `$XDG_CONFIG_HOME/claude-proxy/config.yaml`, by default under `~/.config`, on every system.
pub fn user_file(env: Environment) -> Option<PathBuf> {
    let xdg = env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| etcetera::home_dir().ok());
    let folder = xdg.or_else(|| home().map(|home| home.join(".config")))?;
    Some(folder.join("claude-proxy").join("config.yaml"))
}
