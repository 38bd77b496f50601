//! Which running proxy a command talks to.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::AttachArgs;
use crate::client::{AdminClient, ClientError, Target};
use crate::config;
use crate::domain::secret::Secret;

/// The token for an address that was named by hand.
const TOKEN_VARIABLE: &str = "CLAUDE_PROXY_ADMIN_TOKEN";

/// The client for the address that `--admin` or the config names; nothing is sent yet.
pub fn client(explicit: Option<&Path>, args: &AttachArgs) -> Result<AdminClient, CommandError> {
    target(explicit, args).map(AdminClient::new)
}

fn target(explicit: Option<&Path>, args: &AttachArgs) -> Result<Target, CommandError> {
    let token = config::process_environment(TOKEN_VARIABLE).filter(|token| !token.is_empty()).map(Secret::new);
    if let Some(url) = &args.admin {
        let named = |why: String| CommandError::usage(format!("--admin {url}: {why}"), "expected http://HOST:PORT");
        let mut target = Target::parse(url, "named by --admin or CLAUDE_PROXY_ADMIN").map_err(named)?;
        // The config's token goes to its own address only.
        target.token = token;
        if target.token.is_none()
            && let Ok((admin, _)) = config::load_admin(explicit)
            && Target::of(&admin.host, admin.port, "").address == target.address
        {
            target.token = admin.auth_token;
        }
        return Ok(target);
    }
    let (admin, file) = config::load_admin(explicit)?;
    let source = match &file {
        Some(file) => format!("web_admin in {}", file.display()),
        None => "the built-in default, since there is no config file".to_owned(),
    };
    if !admin.enabled {
        return Err(CommandError::Other {
            exit: Exit::NoProxy,
            code: "no_proxy",
            message: format!("web_admin.enabled is false ({source}), so there is nothing to attach to"),
            hint: Some("set web_admin.enabled: true and start `claude-proxy serve` again".to_owned()),
        });
    }
    let mut target = Target::of(&admin.host, admin.port, &source);
    target.token = token.or(admin.auth_token);
    Ok(target)
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let exit = if error.is_no_proxy() { Exit::NoProxy } else { Exit::Failed };
        let code = if error.is_no_proxy() { "no_proxy" } else { "refused" };
        Self::Other { exit, code, message: error.to_string(), hint: error.hint() }
    }
}
