use std::time::Duration;

/// When an endpoint counts as down, and how it is looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRules {
    pub window: Duration,
    /// At least 1.
    pub min_failures: u32,
    pub check_interval: Duration,
    pub check_timeout: Duration,
    /// The model that probes ask for; `None`: that of the last good request.
    pub probe_model: Option<String>,
}
