//! The settings in force, and reading them anew.

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Outcome, Refusal, Told};
use super::state::{Order, Shared};
use crate::config::file::FileConfig;
use crate::wire::status::ConfigStanding;

/// What `GET /api/config` answers.
#[derive(Serialize, JsonSchema)]
pub struct ConfigView {
    /// Every setting in force, in the file's form: defaults filled in, references resolved, credentials masked.
    pub config: FileConfig,
    pub standing: ConfigStanding,
}

/// `GET /api/config`
pub async fn show(State(admin): State<Shared>) -> Told<ConfigView> {
    let standing = admin.standing();
    Told(ConfigView { config: standing.config.shown(), standing: standing.shown.clone() })
}

/// `POST /api/config/reload`
pub async fn reload(State(admin): State<Shared>) -> Outcome<Told<ConfigStanding>> {
    let reloaded = admin.order(|reply| Order::Reload { file: None, reply }).await?;
    if let Err(refused) = reloaded {
        let message = format!("the file is refused, the old settings stay in force: {}", refused.message);
        return Err(Refusal::invalid(message).hint(refused.hint.unwrap_or_else(|| "mend the file".to_owned())));
    }
    Ok(Told(admin.standing().shown.clone()))
}
