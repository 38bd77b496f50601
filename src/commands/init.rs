//! `init`: a first config file. Asks on a terminal, takes flags and defaults otherwise; never overwrites.

pub(super) mod ask;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{CommandError, Exit, note, print, print_json};
use crate::cli::{InitArgs, InitAuth};
use crate::config::edit::EndpointChange;
use crate::config::edit::first::{self, Token};
use crate::config::{Config, locate, process_environment};
use crate::domain::endpoint::BaseUrl;

const API: &str = "https://api.anthropic.com";

/// What the file is made from.
struct Answers {
    url: String,
    auth: InitAuth,
    /// Empty for passthrough.
    value: String,
    port: u16,
}

pub fn run(explicit: Option<&Path>, args: &InitArgs) -> Result<Exit, CommandError> {
    let path = target(explicit);
    if path.exists() {
        return Err(exists(&path));
    }
    let answers = if args.yes {
        answer(args, &mut |_, _, default| Ok(default.to_owned()))?
    } else if io::stdin().is_terminal() {
        answer(args, &mut |shown, question, default| match shown {
            Shown::Yes => ask::ask(question, default),
            Shown::No => ask::ask_hidden(question, default),
        })?
    } else {
        let hint = "add --yes, and flags for the answers: --url, --auth-type, --auth-value, --port";
        return Err(CommandError::usage("init asks its questions on a terminal, and stdin is none", hint));
    };
    let text = compose(&answers, &random_token()?)?;
    // Whatever was answered, the file must load; a variable may still have to be exported.
    Config::from_text(&text, Some(&path), &|name| process_environment(name).or_else(|| Some("later".to_owned())))?;
    write(&path, &text)?;
    if args.json {
        let file = std::path::absolute(&path).unwrap_or(path);
        return print_json(&json!({ "file": file })).map(|()| Exit::Fine);
    }
    note(&format!("wrote {}", path.display()));
    print(&next_steps(&path, explicit.is_some(), &answers))?;
    Ok(Exit::Fine)
}

/// Where the first file goes.
pub(super) fn target(explicit: Option<&Path>) -> PathBuf {
    let variable = || process_environment(locate::VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    explicit.map(Path::to_path_buf).or_else(variable).unwrap_or_else(|| PathBuf::from("config.yaml"))
}

fn exists(path: &Path) -> CommandError {
    let message = format!("{} exists already; it is left as it is", path.display());
    CommandError::failed("exists", message, "choose another place with --config FILE")
}

/// Whether an answer may stand on the screen.
enum Shown {
    Yes,
    No,
}

type Ask<'a> = &'a mut dyn FnMut(Shown, &str, &str) -> Result<String, CommandError>;

/// Flags first; `ask` gets the question and its default.
fn answer(args: &InitArgs, ask: Ask) -> Result<Answers, CommandError> {
    let url = match &args.url {
        Some(url) => parse_url(url)?,
        None => until_right(ask, "Address of the endpoint", API, parse_url)?,
    };
    let auth = match args.auth_type {
        Some(auth) => auth,
        None => {
            let question = "Authentication: api_key, auth_token or passthrough";
            until_right(ask, question, default_auth(args), parse_auth)?
        }
    };
    let port = match args.port {
        Some(port) => port,
        None => until_right(ask, "Port of the proxy", "8080", parse_port)?,
    };
    // Last, because from then on the signals that would end a question are listened to.
    let value = match (&args.auth_value, auth) {
        (_, InitAuth::Passthrough) => String::new(),
        (Some(value), _) => value.clone(),
        (None, _) => ask(Shown::No, "Its key: ${VARIABLE}, file:PATH, or the key itself", default_value(auth))?,
    };
    Ok(Answers { url, auth, value, port })
}

/// Asks again after a slip, with what was wrong.
fn until_right<T>(
    ask: Ask,
    question: &str,
    default: &str,
    parse: fn(&str) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    loop {
        let text = ask(Shown::Yes, question, default)?;
        match parse(&text) {
            // The default is what is there when nobody is asked.
            Err(slip) if text != default => note(&format!("{slip}: {}", slip.hint().unwrap_or_default())),
            parsed => return parsed,
        }
    }
}

fn parse_url(text: &str) -> Result<String, CommandError> {
    let parsed = BaseUrl::parse(text).map(|_| text.to_owned());
    parsed.map_err(|why| CommandError::usage(why, "an address looks like https://api.example.com"))
}

/// Works at once: the key of the environment if there is one, else the client's own login.
fn default_auth(args: &InitArgs) -> &'static str {
    let official = args.url.as_deref().is_none_or(|url| url == API);
    let has_key = process_environment("ANTHROPIC_API_KEY").is_some_and(|key| !key.is_empty());
    if args.auth_value.is_some() || (official && has_key) { "api_key" } else { "passthrough" }
}

/// Never `ANTHROPIC_AUTH_TOKEN`: `env` puts our own token there.
fn default_value(auth: InitAuth) -> &'static str {
    if auth == InitAuth::ApiKey { "${ANTHROPIC_API_KEY}" } else { "${PRIMARY_KEY}" }
}

fn parse_auth(text: &str) -> Result<InitAuth, CommandError> {
    clap::ValueEnum::from_str(text, true)
        .map_err(|_| CommandError::usage("that is no way to authenticate", "write api_key, auth_token or passthrough"))
}

fn parse_port(text: &str) -> Result<u16, CommandError> {
    let port = text.parse().ok().filter(|port| (1..=65534).contains(port));
    port.ok_or_else(|| CommandError::usage("that is no port", "write a number from 1 to 65534"))
}

/// 192 bits from the system, in letters that need no quotes anywhere.
fn random_token() -> Result<String, CommandError> {
    let mut bytes = [0; 24];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| {
        CommandError::failed("random", "the system gives no random numbers", "write the config file by hand")
    })?;
    Ok(format!("cp-{}", URL_SAFE_NO_PAD.encode(bytes)))
}

fn compose(answers: &Answers, token: &str) -> Result<String, CommandError> {
    let Answers { url, auth, value, port } = answers;
    let (word, token) = match auth {
        InitAuth::Passthrough => ("passthrough", Token::Offered(token)),
        InitAuth::ApiKey => ("api_key", Token::Required(token)),
        InitAuth::AuthToken => ("auth_token", Token::Required(token)),
    };
    let endpoint = EndpointChange {
        name: Some("primary".to_owned()),
        url: Some(url.clone()),
        auth_type: Some(word.to_owned()),
        auth_value: (*auth != InitAuth::Passthrough).then(|| Some(value.clone())),
        priority: Some(1),
        ..EndpointChange::default()
    };
    first::text(&endpoint, (*port, port + 1), token)
        .map_err(|error| CommandError::usage(error.to_string(), "run `claude-proxy init` again"))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return exists(path);
        }
        let message = format!("cannot write {}: {error}", path.display());
        CommandError::failed("write", message, "choose another place with --config FILE")
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(())
}

fn next_steps(path: &Path, named: bool, answers: &Answers) -> String {
    let flag = if named { format!(" --config '{}'", path.display()) } else { String::new() };
    let mut steps = vec!["Next:".to_owned()];
    let variable = answers.value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = variable.filter(|name| !name.contains(":-") && process_environment(name).is_none()) {
        steps.push(format!("  export {name}=…"));
    }
    steps.push(format!("  claude-proxy{flag} serve"));
    steps.push(format!("  eval \"$(claude-proxy{flag} env)\" && claude    # in another terminal"));
    steps.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Auth;
    use crate::domain::secret::Secret;

    fn loaded(auth: InitAuth, value: &str) -> Config {
        let answers = Answers { url: "https://api.example.com/a".into(), auth, value: value.into(), port: 9000 };
        Config::from_text(&compose(&answers, "cp-token").unwrap(), None, &|_| Some("from-env".into())).unwrap()
    }

    #[test]
    fn what_was_answered_is_what_loads() {
        let config = loaded(InitAuth::ApiKey, "${KEY}");
        assert_eq!(config.endpoints[0].auth.secret().map(Secret::expose), Some("from-env"));
        assert_eq!(config.server.auth_token.map(|token| token.expose().to_owned()), Some("cp-token".into()));
        assert_eq!((config.server.port, config.web_admin.port), (9000, 9001));
        let odd = loaded(InitAuth::AuthToken, "a\"b: #c$$'\\");
        assert_eq!(odd.endpoints[0].auth.secret().map(Secret::expose), Some("a\"b: #c$'\\"));
    }

    #[test]
    fn a_slip_is_asked_about_again_and_loses_no_earlier_answer() {
        let mut typed = ["nowhere", "https://api.example.com", "apikey", "api_key", "0", "9000", "${KEY}"].into_iter();
        let mut ask = |_, _: &str, _: &str| Ok(typed.next().unwrap().to_owned());
        let args = InitArgs { yes: false, url: None, auth_type: None, auth_value: None, port: None, json: false };
        let Answers { url, auth, value, port } = answer(&args, &mut ask).unwrap();
        assert_eq!(
            (url.as_str(), auth, value.as_str(), port),
            ("https://api.example.com", InitAuth::ApiKey, "${KEY}", 9000)
        );
        let wrong = InitArgs { url: Some("nowhere".into()), ..args };
        assert!(answer(&wrong, &mut |_, _, default| Ok(default.to_owned())).is_err(), "a flag is no question");
    }

    #[test]
    fn passthrough_asks_clients_for_no_token() {
        let config = loaded(InitAuth::Passthrough, "");
        assert_eq!(config.endpoints[0].auth, Auth::Passthrough);
        assert!(config.server.auth_token.is_none());
    }

    #[test]
    fn tokens_differ_and_can_stand_in_a_header() {
        let (one, other) = (random_token().unwrap(), random_token().unwrap());
        assert_ne!(one, other);
        assert!(one.len() == 35 && http::HeaderValue::from_str(&one).is_ok(), "{one}");
    }
}
