//! Changes of the endpoints: written to the config file, then in force, then answered.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Outcome, Refusal, Told};
use super::candidate;
use super::input::{Asked, Input, MaybeInput, Named, Revision, revision};
use super::state::{Order, Shared, Standing};
use super::status::endpoint_named;
use crate::config::edit::{self, Edit, EditError, EndpointChange, Prepared, Unset};
use crate::domain::secret::Secret;
use crate::wire::status::{ChangeView, EndpointOrder, EndpointView, TestView};

/// What a change can be asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeQuery {
    /// `true`: says what would be changed, and changes nothing.
    pub dry_run: Option<bool>,
}

/// `POST /api/endpoints`
pub async fn add(
    State(admin): State<Shared>,
    Asked(asked): Asked<ChangeQuery>,
    headers: HeaderMap,
    Input(endpoint): Input<EndpointChange>,
) -> Outcome<Response> {
    let name = endpoint.name.clone();
    let revision = revision(&headers, endpoint.revision.clone());
    let change = Change { revision, about: name, ..Change::new(Edit::Add(endpoint), &asked) };
    let view = change.make(&admin).await?;
    let status = if view.applied { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Told(view)).into_response())
}

/// `PATCH /api/endpoints/{name}`
pub async fn change(
    State(admin): State<Shared>,
    Named(name): Named,
    Asked(asked): Asked<ChangeQuery>,
    headers: HeaderMap,
    Input(change): Input<EndpointChange>,
) -> Outcome<Told<ChangeView>> {
    let about = Some(change.name.clone().unwrap_or_else(|| name.clone()));
    let revision = revision(&headers, change.revision.clone());
    let change = Change { revision, about, ..Change::new(Edit::Change { name, change }, &asked) };
    change.make(&admin).await.map(Told)
}

/// `DELETE /api/endpoints/{name}`
pub async fn remove(
    State(admin): State<Shared>,
    Named(name): Named,
    Asked(asked): Asked<ChangeQuery>,
    headers: HeaderMap,
    MaybeInput(body): MaybeInput<Revision>,
) -> Outcome<Told<ChangeView>> {
    let standing = admin.standing();
    if standing.config.file.is_some() && standing.config.endpoints.iter().all(|endpoint| endpoint.name == name) {
        let message = format!("\"{name}\" is the only endpoint, and a config file needs at least one");
        return Err(Refusal::invalid(message).hint("add another one first, or disable this one"));
    }
    let revision = revision(&headers, body.and_then(|body| body.revision));
    Change { revision, ..Change::new(Edit::Remove { name }, &asked) }.make(&admin).await.map(Told)
}

/// `POST /api/endpoints/{name}/enable`
pub async fn enable(
    state: State<Shared>,
    name: Named,
    asked: Asked<ChangeQuery>,
    headers: HeaderMap,
    body: MaybeInput<Revision>,
) -> Outcome<Told<ChangeView>> {
    switch(true, state, name, asked, headers, body).await
}

/// `POST /api/endpoints/{name}/disable`
pub async fn disable(
    state: State<Shared>,
    name: Named,
    asked: Asked<ChangeQuery>,
    headers: HeaderMap,
    body: MaybeInput<Revision>,
) -> Outcome<Told<ChangeView>> {
    switch(false, state, name, asked, headers, body).await
}

async fn switch(
    enabled: bool,
    State(admin): State<Shared>,
    Named(name): Named,
    Asked(asked): Asked<ChangeQuery>,
    headers: HeaderMap,
    MaybeInput(body): MaybeInput<Revision>,
) -> Outcome<Told<ChangeView>> {
    let about = Some(name.clone());
    let change = EndpointChange { enabled: Some(enabled), ..EndpointChange::default() };
    let revision = revision(&headers, body.and_then(|body| body.revision));
    let change = Change { revision, about, ..Change::new(Edit::Change { name, change }, &asked) };
    change.make(&admin).await.map(Told)
}

/// `POST /api/endpoints/order`
pub async fn order(
    State(admin): State<Shared>,
    Asked(asked): Asked<ChangeQuery>,
    headers: HeaderMap,
    Input(order): Input<EndpointOrder>,
) -> Outcome<Told<ChangeView>> {
    let revision = revision(&headers, order.revision);
    let change = Change { revision, ..Change::new(Edit::Order { names: order.names }, &asked) };
    change.make(&admin).await.map(Told).map_err(|refusal| match refusal.status {
        // The path names nothing that could be missing: it is the list that is wrong.
        StatusCode::NOT_FOUND => {
            Refusal::invalid(refusal.detail.message).field("names").hint("name those that there are")
        }
        _ => refusal,
    })
}

/// `POST /api/endpoints/{name}/reset`
pub async fn reset(State(admin): State<Shared>, Named(name): Named) -> Outcome<Told<EndpointView>> {
    if !admin.parts.live.reset(&name) {
        return Err(Refusal::no_endpoint(&name));
    }
    admin.parts.traffic.start_afresh(&name);
    let view = endpoint_named(&admin, &admin.standing(), &name);
    view.map(Told).ok_or_else(|| Refusal::no_endpoint(&name))
}

/// `POST /api/endpoints/{name}/test`
pub async fn test(
    State(admin): State<Shared>,
    Named(name): Named,
    MaybeInput(change): MaybeInput<EndpointChange>,
) -> Outcome<Told<TestView>> {
    let standing = admin.standing();
    let spec = match change {
        None => {
            let stored = standing.config.endpoints.iter().find(|endpoint| endpoint.name == name);
            stored.cloned().ok_or_else(|| Refusal::no_endpoint(&name))?
        }
        Some(change) => {
            let made = tokio::task::spawn_blocking(move || candidate::made(&standing, &name, change)).await;
            made.map_err(|_| Refusal::internal("reading the config file crashed"))??
        }
    };
    admin.order(|reply| Order::Test { spec, reply }).await.map(Told)
}

/// A change of the file, and what the answer to it tells.
#[derive(Clone)]
struct Change {
    edit: Edit,
    revision: Option<String>,
    dry_run: bool,
    /// The endpoint that the answer shows.
    about: Option<String>,
}

impl Change {
    fn new(edit: Edit, asked: &ChangeQuery) -> Self {
        Self { edit, revision: None, dry_run: asked.dry_run == Some(true), about: None }
    }

    async fn make(self, admin: &Shared) -> Outcome<ChangeView> {
        // One at a time, from the file's old state to the new one being in force. Finished even if whoever asked leaves.
        let admin = Arc::clone(admin);
        let making = tokio::spawn(async move {
            let _turn = admin.editing.lock().await;
            let standing = admin.standing();
            let target = Target::of(&standing, &self.edit)?;
            if self.dry_run {
                self.rehearse(&standing, target).await
            } else {
                self.apply(&admin, &standing, target).await
            }
        });
        making.await.map_err(|_| Refusal::internal("the change crashed"))?
    }

    async fn rehearse(self, standing: &Standing, target: Target) -> Outcome<ChangeView> {
        let (file, is_new) = (target.path.display().to_string(), target.is_new);
        let prepared = self.on_the_file(standing, target, Mode::Rehearse).await?;
        let restart_needed = crate::config::restart_needed(&standing.config, &prepared.config);
        let revision = (!is_new).then_some(prepared.made_from);
        Ok(ChangeView { file, diff: prepared.diff, revision, restart_needed, ..ChangeView::default() })
    }

    async fn apply(self, admin: &Shared, standing: &Standing, target: Target) -> Outcome<ChangeView> {
        let (path, about) = (target.path.clone(), self.about.clone());
        let created = target.is_new.then(|| path.clone());
        let prepared = self.on_the_file(standing, target, Mode::Apply).await?;
        let reloaded = admin.order(|reply| Order::Reload { file: created, reply }).await?;
        if let Err(refused) = reloaded {
            let message = format!("it is written, but not in force: {}", refused.message);
            let refusal = Refusal::invalid(message);
            return Err(match refused.hint {
                Some(hint) => refusal.hint(hint),
                None => refusal,
            });
        }
        let standing = admin.standing();
        Ok(ChangeView {
            applied: true,
            file: path.display().to_string(),
            diff: prepared.diff,
            endpoint: about.and_then(|name| endpoint_named(admin, &standing, &name)),
            revision: standing.shown.revision.clone(),
            restart_needed: standing.shown.restart_needed.clone(),
        })
    }

    async fn on_the_file(self, standing: &Standing, target: Target, mode: Mode) -> Outcome<Prepared> {
        let secret = self.secret();
        let done = tokio::task::spawn_blocking(move || {
            let revision = self.revision.as_deref();
            match (&self.edit, mode) {
                (Edit::Add(endpoint), Mode::Apply) if target.is_new => edit::create(&target.path, endpoint),
                (Edit::Add(endpoint), Mode::Rehearse) if target.is_new => {
                    edit::prepare_first(&target.path, endpoint, Unset::Refused)
                }
                (_, Mode::Apply) => edit::apply(&target.path, &self.edit, revision),
                (_, Mode::Rehearse) => edit::prepare(&target.path, &self.edit, revision),
            }
        });
        let done = done.await.map_err(|_| Refusal::internal("the change crashed"))?;
        // Whoever sent a key knows it; whoever reads the answer over a shoulder need not.
        let clean = |text: &str| standing.redactor.redact_str(text, secret.as_slice()).into_owned();
        match done {
            Ok(prepared) => Ok(Prepared { diff: clean(&prepared.diff), ..prepared }),
            Err(error) => {
                let mut refusal = refused(&error);
                refusal.detail.message = clean(&refusal.detail.message);
                refusal.detail.hint = refusal.detail.hint.map(|hint| clean(&hint));
                Err(refusal)
            }
        }
    }

    /// The credential that the change brings, when it stands there itself.
    fn secret(&self) -> Option<Secret> {
        let (Edit::Add(change) | Edit::Change { change, .. }) = &self.edit else { return None };
        let value = change.auth_value.as_ref()?.as_ref()?;
        let is_reference = value.starts_with("${") || value.starts_with("file:");
        (!is_reference).then(|| Secret::new(value.as_str()))
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Rehearse,
    Apply,
}

/// The file that a change goes to.
struct Target {
    path: PathBuf,
    /// There is none yet.
    is_new: bool,
}

impl Target {
    fn of(standing: &Standing, edit: &Edit) -> Outcome<Self> {
        if let Some(file) = &standing.config.file {
            return Ok(Self { path: file.clone(), is_new: false });
        }
        match (&standing.shown.would_write, edit) {
            (Some(path), Edit::Add(_)) => Ok(Self { path: path.into(), is_new: true }),
            _ => Err(Refusal::invalid("there is no config file to change; the built-in default is in force")
                .hint("add an endpoint of your own, which makes a first file, or run `claude-proxy init`")),
        }
    }
}

fn refused(error: &EditError) -> Refusal {
    let said = error.to_string();
    match error {
        EditError::NotFound(name) => Refusal::no_endpoint(name),
        EditError::Exists(_) => {
            Refusal::new(StatusCode::CONFLICT, "exists", said).hint("choose another name").field("name")
        }
        EditError::Invalid { field, message, hint } => {
            let mut refusal = Refusal::invalid(message);
            refusal.detail.field.clone_from(field);
            refusal.detail.hint = hint.clone().or(refusal.detail.hint);
            refusal
        }
        EditError::Broken(error) => {
            let message = format!("the config file is broken as it is: {}", error.message());
            let refusal = Refusal::new(StatusCode::CONFLICT, "broken_config", message);
            refusal.hint(error.hint().unwrap_or("mend the file by hand first"))
        }
        EditError::Conflict => {
            Refusal::new(StatusCode::CONFLICT, "conflict", said).hint("look at it again, and make the change anew")
        }
        EditError::ByHand { snippet } => {
            let refusal = Refusal::new(StatusCode::CONFLICT, "by_hand", said);
            refusal.hint(format!("put these lines into the file by hand:\n{snippet}"))
        }
        EditError::Io(_) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "io", said)
            .hint("check the permissions of the config file and of its folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_an_edit_says_what_to_do() {
        let invalid = EditError::Invalid { field: Some("url".into()), message: "m".into(), hint: Some("h".into()) };
        for (error, status, code) in [
            (EditError::NotFound("a".into()), 404, "not_found"),
            (EditError::Exists("a".into()), 409, "exists"),
            (invalid, 422, "invalid"),
            (EditError::Conflict, 409, "conflict"),
            (EditError::ByHand { snippet: "- name: a".into() }, 409, "by_hand"),
            (EditError::Io("full".into()), 500, "io"),
        ] {
            let refusal = refused(&error);
            assert_eq!((refusal.status.as_u16(), refusal.detail.code.as_str()), (status, code));
            assert!(refusal.detail.hint.is_some_and(|hint| !hint.is_empty()), "{code}");
        }
    }

    #[test]
    fn only_a_value_that_stands_there_itself_is_a_secret() {
        let change = |value: &str| EndpointChange { auth_value: Some(Some(value.into())), ..EndpointChange::default() };
        let secret = |value: &str| Change::new(Edit::Add(change(value)), &ChangeQuery::default()).secret();
        assert_eq!(secret("sk-abc"), Some(Secret::new("sk-abc")));
        assert_eq!((secret("${KEY}"), secret("file:key")), (None, None));
    }
}
