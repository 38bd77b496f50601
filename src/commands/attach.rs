//! Which running proxy a command talks to.

use std::path::{Path, PathBuf};

use super::{CommandError, Exit};
use crate::cli::AttachArgs;
use crate::client::{AdminClient, ClientError, TOKEN_VARIABLE, Target, bearer};
use crate::config::{self, ConfigError, WebAdmin};
use crate::domain::secret::Secret;

/// Reads the `web_admin` section of the config.
type Section = fn(Option<&Path>) -> Result<(WebAdmin, Option<PathBuf>), ConfigError>;

/// The client for the address that `--admin` or the config names; nothing is sent yet.
pub fn client(explicit: Option<&Path>, args: &AttachArgs) -> Result<AdminClient, CommandError> {
    client_by(explicit, args, config::load_admin)
}

/// As [`client`], whatever is wrong with the other sections of the config.
pub fn client_despite_faults(explicit: Option<&Path>, args: &AttachArgs) -> Result<AdminClient, CommandError> {
    client_by(explicit, args, config::load_admin_alone)
}

fn client_by(explicit: Option<&Path>, args: &AttachArgs, section: Section) -> Result<AdminClient, CommandError> {
    let token = config::process_environment(TOKEN_VARIABLE).map(|token| token.trim().to_owned());
    let token = token.filter(|token| !token.is_empty()).map(Secret::new);
    if token.as_ref().is_some_and(|token| bearer(token).is_none()) {
        let message = format!("{TOKEN_VARIABLE} holds what cannot stand in a header");
        return Err(CommandError::usage(message, "set it to the value of web_admin.auth_token"));
    }
    let target = match args.named() {
        Some(url) => named(explicit, url, token)?,
        None => configured(section(explicit)?, token)?,
    };
    Ok(AdminClient::new(Target { start: start_command(explicit), ..target }))
}

/// The command that starts the proxy of this config.
pub fn start_command(explicit: Option<&Path>) -> String {
    match explicit {
        Some(file) => format!("claude-proxy --config {} serve", shell_word(&file.display().to_string())),
        None => "claude-proxy serve".to_owned(),
    }
}

fn shell_word(word: &str) -> String {
    if word.chars().all(|letter| letter.is_alphanumeric() || "-_./~:@%+,".contains(letter)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn named(explicit: Option<&Path>, url: &str, token: Option<Secret>) -> Result<Target, CommandError> {
    // Who writes a password into it must not read it on the screen.
    let shown = url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("…@{host}"));
    let wrong = |why: String| CommandError::usage(format!("--admin {shown}: {why}"), "expected http://HOST:PORT");
    let mut target = Target::parse(url, "--admin or CLAUDE_PROXY_ADMIN").map_err(wrong)?;
    // The config's token goes to its own address only.
    target.token = token.or_else(|| {
        let (admin, _) = config::load_admin(explicit).ok()?;
        let own = Target::of(&admin.host, admin.port, "").address == target.address;
        admin.auth_token.filter(|_| own)
    });
    Ok(target)
}

fn configured((admin, file): (WebAdmin, Option<PathBuf>), token: Option<Secret>) -> Result<Target, CommandError> {
    let source = match &file {
        Some(file) => format!("web_admin in {}", file.display()),
        None => "the built-in default, since there is no config file".to_owned(),
    };
    let nothing = |message: String, hint: &str| {
        let (exit, code) = (Exit::NoProxy, "no_proxy");
        Err(CommandError::Other { exit, code, message, hint: Some(hint.to_owned()) })
    };
    if !admin.enabled {
        let message = format!("web_admin.enabled is false ({source}), so there is nothing to attach to");
        return nothing(message, "set web_admin.enabled: true and start `claude-proxy serve` again");
    }
    if admin.port == 0 {
        let message = format!("web_admin.port is 0 ({source}), so the port is known only to the running proxy");
        return nothing(
            message,
            "name it with --admin http://HOST:PORT; `claude-proxy serve` printed it when it started",
        );
    }
    let mut target = Target::of(&admin.host, admin.port, &source);
    target.token = token.or(admin.auth_token);
    Ok(target)
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let exit = if error.is_no_proxy() { Exit::NoProxy } else { Exit::Failed };
        Self::Other { exit, code: known(error.code()), message: error.to_string(), hint: error.hint() }
    }
}

/// The proxy's own words for programs pass through, as far as they are known here.
fn known(code: &str) -> &'static str {
    const KNOWN: [&str; 8] =
        ["no_proxy", "lost", "unauthorized", "forbidden", "not_found", "conflict", "invalid", "stopping"];
    KNOWN.into_iter().find(|known| *known == code).unwrap_or("refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_starts_it_can_be_pasted() {
        assert_eq!(start_command(None), "claude-proxy serve");
        for (file, word) in [("work.yaml", "work.yaml"), ("~/a b.yaml", "'~/a b.yaml'"), ("it's", r"'it'\''s'")] {
            assert_eq!(start_command(Some(Path::new(file))), format!("claude-proxy --config {word} serve"));
        }
    }
}
