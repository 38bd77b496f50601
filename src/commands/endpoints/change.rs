//! `enable`, `disable`, `add`, `edit` and `remove`.

use std::io::{self, IsTerminal};
use std::path::Path;

use http::Method;
use serde::Serialize;

use super::super::init::ask;
use super::super::{CommandError, Exit, block_on, note, print, print_json};
use super::list::{names, view_of};
use super::route::{self, Route, path_of};
use super::{harmless, harmless_lines, keys, unknown};
use crate::cli::{AttachArgs, ChangeArgs, EndpointAddArgs, EndpointEditArgs, EndpointNames, EndpointRemoveArgs};
use crate::client::AdminClient;
use crate::config::edit::{self, Edit, EditError, EndpointChange, Prepared, Unset};
use crate::wire::status::ChangeView;

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    /// `proxy` or `file`: the way that was taken.
    via: &'static str,
    /// One for each endpoint that was named, in that order.
    changes: Vec<ChangeView>,
}

/// One wish, in the words of both ways.
struct Wish {
    edit: Edit,
    /// What is told when it has been done: `kimi is disabled`.
    done: String,
}

/// How the wishes are to be fulfilled.
struct Manner<'a> {
    explicit: Option<&'a Path>,
    attach: &'a AttachArgs,
    dry_run: bool,
    json: bool,
}

impl<'a> Manner<'a> {
    fn of(explicit: Option<&'a Path>, args: &'a ChangeArgs) -> Self {
        Self { explicit, attach: &args.attach, dry_run: args.dry_run, json: args.json }
    }
}

pub(super) fn switch(explicit: Option<&Path>, args: &EndpointNames, enabled: bool) -> Result<Exit, CommandError> {
    let word = if enabled { "enabled" } else { "disabled" };
    let wish = |name: &String| {
        let change = EndpointChange { enabled: Some(enabled), ..EndpointChange::default() };
        Wish { edit: Edit::Change { name: name.clone(), change }, done: format!("{name} is {word}") }
    };
    let manner = Manner { explicit, attach: &args.attach, dry_run: args.dry_run, json: args.json };
    manner.fulfil(args.names.iter().map(wish).collect())
}

pub(super) fn add(explicit: Option<&Path>, args: &EndpointAddArgs) -> Result<Exit, CommandError> {
    for (flag, missing) in [("--url", args.keys.url.is_none()), ("--auth-type", args.keys.auth_type.is_none())] {
        if missing {
            let hint = "an endpoint needs --url and --auth-type, and --auth-value but for passthrough";
            return Err(CommandError::usage(format!("{flag} is missing"), hint));
        }
    }
    let endpoint = EndpointChange {
        name: Some(args.name.clone()),
        enabled: args.disabled.then_some(false),
        ..keys::change(&args.keys)?
    };
    let wish = Wish { edit: Edit::Add(endpoint), done: format!("{} is added", args.name) };
    Manner::of(explicit, &args.change).fulfil(vec![wish])
}

pub(super) fn edit(explicit: Option<&Path>, args: &EndpointEditArgs) -> Result<Exit, CommandError> {
    let change = EndpointChange { name: args.rename.clone(), ..keys::change(&args.keys)? };
    if change == EndpointChange::default() {
        let hint = "name what shall be different, such as --priority 2; `claude-proxy endpoints edit --help` lists all";
        return Err(CommandError::usage("there is nothing to change", hint));
    }
    let edit = Edit::Change { name: args.name.clone(), change };
    let wish = Wish { edit, done: format!("{} is changed", args.name) };
    Manner::of(explicit, &args.change).fulfil(vec![wish])
}

pub(super) fn remove(explicit: Option<&Path>, args: &EndpointRemoveArgs) -> Result<Exit, CommandError> {
    let asks = !args.yes && !args.change.dry_run;
    if asks && !io::stdin().is_terminal() {
        let hint = "add --yes to remove it, or --dry-run to see what would change";
        return Err(CommandError::usage("remove asks on a terminal, and stdin is none", hint));
    }
    let manner = Manner::of(explicit, &args.change);
    if asks {
        block_on(manner.known(&args.name))??;
        let answer = ask::ask(&format!("Remove {} from the config? (y/n)", args.name), "n")?;
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            note("nothing was changed");
            return Ok(Exit::Failed);
        }
    }
    let wish = Wish { edit: Edit::Remove { name: args.name.clone() }, done: format!("{} is removed", args.name) };
    manner.fulfil(vec![wish])
}

impl Manner<'_> {
    async fn known(&self, name: &str) -> Result<(), CommandError> {
        let route = route::find(self.explicit, self.attach, false).await?;
        if matches!(route, Route::NoFile { .. }) {
            return Err(no_file());
        }
        let names = names(&route).await?;
        if names.iter().any(|known| known == name) { Ok(()) } else { Err(unknown(name, &names)) }
    }

    fn fulfil(&self, wishes: Vec<Wish>) -> Result<Exit, CommandError> {
        block_on(self.fulfil_all(wishes))?
    }

    async fn fulfil_all(&self, wishes: Vec<Wish>) -> Result<Exit, CommandError> {
        let creating = matches!(wishes.as_slice(), [Wish { edit: Edit::Add(_), .. }]);
        let route = route::find(self.explicit, self.attach, creating).await?;
        let known = names(&route).await?;
        if matches!(route, Route::NoFile { .. }) && !creating {
            return Err(no_file());
        }
        // All names are looked at before the first change.
        for wish in &wishes {
            if let Edit::Change { name, .. } | Edit::Remove { name } = &wish.edit
                && !known.contains(name)
            {
                return Err(unknown(name, &known));
            }
        }
        let via = if matches!(route, Route::Proxy(_)) { "proxy" } else { "file" };
        let mut changes = Vec::new();
        for wish in wishes {
            let view = self.fulfil_one(&route, &wish).await?;
            if !self.json {
                self.tell(&route, &wish, &view)?;
            }
            changes.push(view);
        }
        if self.json {
            print_json(&Report { via, changes })?;
        }
        Ok(Exit::Fine)
    }

    async fn fulfil_one(&self, route: &Route, wish: &Wish) -> Result<ChangeView, CommandError> {
        match route {
            Route::Proxy(client) => in_the_proxy(client, &wish.edit, self.dry_run).await,
            Route::File { path, .. } => in_the_file(path, &wish.edit, self.dry_run),
            Route::NoFile { path, .. } => match &wish.edit {
                Edit::Add(endpoint) => in_a_first_file(path, endpoint, self.dry_run),
                _ => Err(no_file()),
            },
        }
    }

    fn tell(&self, route: &Route, wish: &Wish, view: &ChangeView) -> Result<(), CommandError> {
        if self.dry_run {
            if view.diff.is_empty() {
                note(&format!("nothing would change in {}", harmless(&view.file)));
                return Ok(());
            }
            note(&format!("this would change in {}:", harmless(&view.file)));
            return print(&harmless_lines(&view.diff));
        }
        let (file, done) = (harmless(&view.file), &wish.done);
        if view.diff.is_empty() {
            note(&format!("nothing to change: {file} says so already"));
            return Ok(());
        }
        note(&match route {
            Route::Proxy(_) => format!("{done}: changed in the running proxy and in {file}"),
            Route::File { why, .. } => format!("{done}: {why}, so only {file} was changed"),
            Route::NoFile { why, .. } => format!("{done}: {why}, so {file} was written, a first one"),
        });
        for change in &view.restart_needed {
            note(&format!("warning: {} needs a restart to take effect", harmless(change)));
        }
        Ok(())
    }
}

fn no_file() -> CommandError {
    let message = "there is no config file, so everything goes to the built-in endpoint";
    CommandError::usage(message, "`claude-proxy init` or `endpoints add` writes a first file")
}

async fn in_the_proxy(client: &AdminClient, edit: &Edit, dry_run: bool) -> Result<ChangeView, CommandError> {
    let query = if dry_run { "?dry_run=true" } else { "" };
    let answer = match edit {
        Edit::Add(endpoint) => client.call(Method::POST, &format!("/api/endpoints{query}"), Some(endpoint)).await,
        Edit::Change { name, change } => match switched(change) {
            Some(word) => client.call(Method::POST, &format!("{}/{word}{query}", path_of(name)), None::<&()>).await,
            None => client.call(Method::PATCH, &format!("{}{query}", path_of(name)), Some(change)).await,
        },
        Edit::Remove { name } => client.call(Method::DELETE, &format!("{}{query}", path_of(name)), None::<&()>).await,
        Edit::Order { .. } => return Err(CommandError::usage("no command orders endpoints", "use edit --priority")),
    };
    answer.map_err(route::refused)
}

/// The word for a change of nothing but `enabled`.
fn switched(change: &EndpointChange) -> Option<&'static str> {
    let enabled = change.enabled?;
    let nothing_else = *change == EndpointChange { enabled: Some(enabled), ..EndpointChange::default() };
    nothing_else.then_some(if enabled { "enable" } else { "disable" })
}

fn in_the_file(path: &Path, edit: &Edit, dry_run: bool) -> Result<ChangeView, CommandError> {
    let work = if dry_run { edit::prepare_with } else { edit::apply_with };
    let prepared = work(path, edit, None, Unset::Accepted).map_err(|error| failed(path, error))?;
    Ok(told(path, edit, prepared, dry_run))
}

fn in_a_first_file(path: &Path, endpoint: &EndpointChange, dry_run: bool) -> Result<ChangeView, CommandError> {
    let work = if dry_run { edit::prepare_first } else { edit::create_with };
    let prepared = work(path, endpoint, Unset::Accepted).map_err(|error| failed(path, error))?;
    Ok(told(path, &Edit::Add(endpoint.clone()), prepared, dry_run))
}

fn told(path: &Path, edit: &Edit, prepared: Prepared, dry_run: bool) -> ChangeView {
    let about = match edit {
        Edit::Add(endpoint) => endpoint.name.as_ref(),
        Edit::Change { name, change } => Some(change.name.as_ref().unwrap_or(name)),
        Edit::Remove { .. } | Edit::Order { .. } => None,
    };
    let wished = match edit {
        Edit::Add(change) | Edit::Change { change, .. } => serde_json::to_string(change).unwrap_or_default(),
        Edit::Remove { .. } | Edit::Order { .. } => String::new(),
    };
    for variable in prepared.unset.iter().filter(|variable| wished.contains(&format!("${{{variable}}}"))) {
        note(&format!("note: {variable} is not set here; the proxy needs it where it runs"));
    }
    let endpoint = about.filter(|_| !dry_run).and_then(|name| view_of(&prepared, name));
    ChangeView {
        applied: !dry_run,
        file: path.display().to_string(),
        diff: prepared.diff,
        endpoint,
        revision: (!dry_run).then_some(prepared.revision),
        restart_needed: Vec::new(),
    }
}

/// Why the file was not changed, in the words of a command.
fn failed(path: &Path, error: EditError) -> CommandError {
    let said = error.to_string();
    let file = path.display();
    match error {
        EditError::Broken(error) => CommandError::Config(error),
        EditError::NotFound(_) => CommandError::usage(said, "`claude-proxy endpoints list` shows them"),
        EditError::Exists(name) => {
            CommandError::usage(said, format!("choose another name, or change it: claude-proxy endpoints edit {name}"))
        }
        EditError::Invalid { message, hint, .. } => {
            CommandError::Other { exit: Exit::Usage, code: "usage", message, hint }
        }
        EditError::Conflict => {
            CommandError::failed("conflict", format!("{file} has changed meanwhile; it is left as it is"), "try again")
        }
        EditError::ByHand { snippet } => {
            let hint = format!("change it by hand:\n{}", snippet.trim_end());
            CommandError::failed("by_hand", format!("{file} cannot be edited without losing something of it"), hint)
        }
        EditError::Io(_) => CommandError::failed("io", said, "check the permissions of the file and of its folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_to_do() {
        let invalid = EditError::Invalid { field: None, message: "m".into(), hint: Some("h".into()) };
        for (error, exit, code) in [
            (EditError::NotFound("a".into()), Exit::Usage, "usage"),
            (EditError::Exists("a".into()), Exit::Usage, "usage"),
            (invalid, Exit::Usage, "usage"),
            (EditError::Conflict, Exit::Failed, "conflict"),
            (EditError::ByHand { snippet: "- name: a\n".into() }, Exit::Failed, "by_hand"),
            (EditError::Io("full".into()), Exit::Failed, "io"),
        ] {
            let failed = failed(Path::new("config.yaml"), error);
            assert_eq!((failed.exit(), failed.code()), (exit, code));
            assert!(failed.hint().is_some_and(|hint| !hint.is_empty()), "{code}");
        }
    }
}
