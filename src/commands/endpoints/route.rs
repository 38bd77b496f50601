//! Where endpoints are read and changed: in the running proxy, or in the file alone.

use std::path::{Path, PathBuf};

use super::super::{CommandError, Exit, attach, init};
use super::harmless_lines;
use crate::cli::AttachArgs;
use crate::client::{AdminClient, ClientError};
use crate::config::{self, locate, process_environment};
use crate::wire::status::StatusView;

#[derive(Debug)]
pub(super) enum Route {
    /// The running proxy, which changes its file itself.
    Proxy(AdminClient),
    /// The file, and why not the proxy.
    File { path: PathBuf, why: String },
    /// There is no file; where a first one would be, and why not the proxy.
    NoFile { path: PathBuf, why: String },
}

/// `creating`: a file that was named need not be there yet.
pub(super) async fn find(explicit: Option<&Path>, attach: &AttachArgs, creating: bool) -> Result<Route, CommandError> {
    if attach.named().is_some() {
        // Whoever names a proxy means that one: without it there is nothing to do.
        let client = attach::client(explicit, attach)?;
        let status: StatusView = client.get("/api/status").await?;
        return if status.version.is_empty() { Err(stranger(&client)) } else { Ok(Route::Proxy(client)) };
    }
    let first = init::target(explicit);
    let named = explicit.is_some() || process_environment(locate::VARIABLE).is_some_and(|value| !value.is_empty());
    if creating && named && !first.exists() {
        return Ok(Route::NoFile { path: absolute(&first), why: "there is no config file yet".to_owned() });
    }
    let file = config::locate(explicit, &process_environment)?.file.map(|file| absolute(&file));
    if let Some(file) = file.as_ref().filter(|file| std::fs::metadata(file).is_ok_and(|data| !data.is_file())) {
        let message = format!("{} is no regular file, so no endpoint in it can be changed", file.display());
        return Err(CommandError::usage(message, "name the file itself: --config FILE"));
    }
    let alone = |why: String| match file.clone() {
        Some(path) => Route::File { path, why },
        None => Route::NoFile { path: absolute(&first), why },
    };
    // What is wrong with an endpoint in the file is no obstacle: it may be what is about to be changed.
    let client = match attach::client_despite_faults(explicit, attach) {
        Ok(client) => client,
        Err(error @ (CommandError::Config(_) | CommandError::Other { exit: Exit::NoProxy, .. })) => {
            return Ok(alone(format!("no running proxy can be asked ({})", error.message())));
        }
        Err(error) => return Err(error),
    };
    let address = client.target().address.clone();
    let status = match client.get::<StatusView>("/api/status").await {
        Ok(status) if !status.version.is_empty() => status,
        Ok(_) => return Ok(alone(format!("no proxy is running at {address}, but somebody else"))),
        Err(error) if error.is_no_proxy() => return Ok(alone(format!("no proxy is running at {address}"))),
        Err(error) => return Err(refused(error)),
    };
    match (&file, &status.config.file) {
        (Some(own), Some(theirs)) if !same_file(own, Path::new(theirs)) => {
            Ok(alone(format!("the proxy at {address} uses another file, {theirs}")))
        }
        (Some(_), None) => Ok(alone(format!("the proxy at {address} uses no file"))),
        _ => Ok(Route::Proxy(client)),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    real(one) == real(other)
}

fn stranger(client: &AdminClient) -> CommandError {
    let target = client.target();
    CommandError::Other {
        exit: Exit::NoProxy,
        code: "no_proxy",
        message: format!("what answers at {} is no claude-proxy", target.address),
        hint: Some(format!("the address is {}", target.source)),
    }
}

/// The proxy's refusal with its own word; what was asked wrongly is a usage error.
pub(super) fn refused(error: ClientError) -> CommandError {
    let ClientError::Refused { problem, .. } = &error else { return error.into() };
    if problem.code == "unauthorized" {
        return error.into();
    }
    let asked_wrongly = matches!(problem.code.as_str(), "not_found" | "exists" | "invalid" | "bad_json");
    let code = match problem.code.as_str() {
        "invalid" | "exists" | "bad_json" | "not_found" => "usage",
        "broken_config" => "config",
        "conflict" => "conflict",
        "by_hand" => "by_hand",
        _ => "refused",
    };
    let exit = if asked_wrongly || code == "config" { Exit::Usage } else { Exit::Failed };
    let hint = problem.hint.as_deref().map(harmless_lines);
    CommandError::Other { exit, code, message: harmless_lines(&problem.message), hint }
}

/// A name as one part of a path.
pub(super) fn path_of(name: &str) -> String {
    use std::fmt::Write as _;
    let mut path = "/api/endpoints/".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_part_of_a_path() {
        assert_eq!(path_of("mirror-1"), "/api/endpoints/mirror-1");
        assert_eq!(path_of("a b/?主"), "/api/endpoints/a%20b%2F%3F%E4%B8%BB");
    }
}
