//! The text of a first config file, with a word on what can be set and where to read more.

use super::super::tree::Node;
use super::scalar::{self, Quotes};
use super::{EditError, EndpointChange, steps};

/// Of the proxy and of its page, when nobody wishes for others.
pub const PORTS: (u16, u16) = (8080, 8081);

/// What clients must present.
#[derive(Clone, Copy, Debug)]
pub enum Token<'a> {
    Required(&'a str),
    /// Nothing, and this one stands by in a comment.
    Offered(&'a str),
    /// Nothing.
    None,
}

/// `ports`: of the proxy, of its page.
///
/// # Errors
/// [`EditError::Invalid`] when the endpoint is not whole.
pub fn text(endpoint: &EndpointChange, ports: (u16, u16), token: Token) -> Result<String, EditError> {
    let keys = steps::new_endpoint(&Node::Null, endpoint)?;
    let lines: String = keys.iter().enumerate().map(|(at, (key, value))| line(at == 0, key, value)).collect();
    let (port, admin) = ports;
    let token = match token {
        Token::Required(token) => {
            format!("  # What clients must present; `claude-proxy env` tells Claude Code.\n  auth_token: {token}\n")
        }
        Token::Offered(token) => format!(
            "  # The client's own login goes through, so clients need no token of ours. To ask for one as well:\n  \
             # auth_token: {token}\n"
        ),
        Token::None => "  # What clients must present; without it every program on this machine may use the proxy.\n  \
                        # auth_token: ${CLIENT_TOKEN}\n"
            .to_owned(),
    };
    Ok(format!(
        "\
# Settings of claude-proxy. A change is in force at once, without a restart.
# All settings with their defaults: `claude-proxy config show`; what they mean: `claude-proxy config schema`.
server:
  host: 127.0.0.1
  port: {port}
{token}
# Endpoints of a smaller priority number are tried first; equals share the load.
endpoints:
{lines}  # A second one takes over when the first fails:
  # - name: backup
  #   url: https://api.example.com
  #   auth_type: auth_token
  #   auth_value: ${{BACKUP_KEY}}
  #   priority: 2

logging:
  log_directory: ./logs            # from this file's folder
  log_request_body: truncated      # none | truncated | full
  log_response_body: truncated
  retention: {{ max_age: 30d, max_size: 1GiB }}

# The page and the API for operators.
web_admin:
  port: {admin}
"
    ))
}

fn line(first: bool, key: &str, value: &Node) -> String {
    let lead = if first { "  - " } else { "    " };
    let written = scalar::write(value, Quotes::Needed, false);
    let (above, behind) = match (key, written.as_str()) {
        ("auth_type", "passthrough") => {
            ("", "   # api_key | auth_token | passthrough (the client's own login goes through)")
        }
        ("auth_type", "api_key") => ("", "   # sends `x-api-key: VALUE`; also: auth_token, passthrough"),
        ("auth_type", _) => ("", "   # sends `Authorization: Bearer VALUE`; also: api_key, passthrough"),
        ("auth_value", _) => ("    # ${VARIABLE}, file:PATH, or the key itself ($$ for a dollar sign)\n", ""),
        _ => ("", ""),
    };
    format!("{above}{lead}{key}: {written}{behind}\n")
}
