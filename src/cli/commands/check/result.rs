//! The result of one check: status, message and remediation. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{FailureClass, Reason},
    auth::Failure,
    box_client::{ConnectPhase, TransportError},
    cli::output::{
        format::pluralize,
        styled::{StyledText, TextStyle},
    },
};

/// What is checked, in this order: most checks need the ones before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum CheckKind {
    Operator,
    Crds,
    Secret,
    Credentials,
    BoxApi,
    Clock,
    Token,
    Enterprise,
    UserList,
}

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum CheckStatus {
    Pass,
    Fail,
    /// An earlier check failed, the check does not apply, or the caller lacks the permission.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct CheckResult {
    pub(crate) check: CheckKind,
    pub(crate) status: CheckStatus,
    /// What was found, in whole sentences.
    pub(crate) message: String,
    /// Who must do what; absent if no action is needed or `message` says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) remediation: String,
}

/// Box rejects assertions of a clock that differs by more than their lifetime; this leaves a margin.
const MAX_SKEW_SECONDS: i64 = 30;
const SET_THE_CLOCK: &str = "Set the clock of this machine, preferably with NTP.";
const TITLE_WIDTH: usize = 13;

impl CheckKind {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            CheckKind::Operator => "operator",
            CheckKind::Crds => "CRDs",
            CheckKind::Secret => "Secret",
            CheckKind::Credentials => "credentials",
            CheckKind::BoxApi => "Box",
            CheckKind::Clock => "clock",
            CheckKind::Token => "token",
            CheckKind::Enterprise => "enterprise",
            CheckKind::UserList => "user list",
        }
    }
}

impl CheckResult {
    pub(crate) fn pass(check: CheckKind, message: impl Into<String>) -> Self {
        Self { check, status: CheckStatus::Pass, message: message.into(), remediation: String::new() }
    }

    pub(crate) fn fail(check: CheckKind, message: impl Into<String>, remediation: impl Into<String>) -> Self {
        Self { check, status: CheckStatus::Fail, message: message.into(), remediation: remediation.into() }
    }

    pub(crate) fn skip(check: CheckKind, message: impl Into<String>) -> Self {
        Self { check, status: CheckStatus::Skipped, message: message.into(), remediation: String::new() }
    }

    pub(crate) fn from_failure(check: CheckKind, failure: &Failure) -> Self {
        let Failure { reason, summary, remediation, retry_after, held: _ } = failure;
        let is_transient = reason.failure_class() == FailureClass::Transient && remediation.is_empty();
        let remediation = match retry_after {
            // The failure's remediation is about the clock of the operator's node.
            _ if *reason == Reason::ClockSkew => SET_THE_CLOCK.to_owned(),
            Some(wait) if is_transient => {
                format!("Usually temporary: retry in {} s, as Box requests.", wait.as_secs())
            }
            None if is_transient => "Usually temporary: retry in a minute.".to_owned(),
            Some(_) | None => remediation.clone(),
        };
        Self::fail(check, summary, remediation)
    }

    /// Compares this machine's clock with Box's.
    pub(crate) fn from_clock(date: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(date) = date else {
            return Self::skip(
                CheckKind::Clock,
                "Box's response had no Date header to compare this machine's clock with.",
            );
        };
        let skew_seconds = date.duration_since(now).as_secs();
        let seconds = pluralize(skew_seconds.abs(), "second");
        let message = match skew_seconds {
            0 => "This machine's clock matches Box's.".to_owned(),
            1.. => format!("This machine's clock is {seconds} behind Box's."),
            ..0 => format!("This machine's clock is {seconds} ahead of Box's."),
        };
        if skew_seconds.abs() > MAX_SKEW_SECONDS {
            Self::fail(CheckKind::Clock, message, SET_THE_CLOCK)
        } else {
            Self::pass(CheckKind::Clock, message)
        }
    }

    /// Why Box cannot be reached.
    pub(crate) fn unreachable(error: &TransportError, proxy: Option<&str>) -> Self {
        let via = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let hint = match proxy {
            Some(_) => "Check that proxy (HTTPS_PROXY, NO_PROXY) and whether it allows connections to Box.",
            None => "Check this machine's network and firewall; if there is a proxy, set HTTPS_PROXY.",
        };
        let (message, remediation) = match error {
            TransportError::Connect { host, phase: ConnectPhase::Dns, cause: why } => match proxy {
                Some(proxy) => (
                    format!("The name of the proxy {proxy} cannot be resolved: {why}."),
                    "Check the name in HTTPS_PROXY, and this machine's DNS.",
                ),
                None => (
                    format!("The name {host} cannot be resolved: {why}."),
                    "Check this machine's DNS; if a proxy resolves names, set HTTPS_PROXY.",
                ),
            },
            TransportError::Connect { host, phase: ConnectPhase::Tls, cause: why } => (
                format!("{host} was reached{via}, but its TLS certificate is not trusted: {why}."),
                "A TLS-inspecting proxy may present its own certificate: name its CA with --ca-bundle, or exempt Box from inspection.",
            ),
            TransportError::Connect { host, phase: ConnectPhase::Connect, cause: why } => {
                (format!("{host} cannot be reached{via}: {why}."), hint)
            }
            TransportError::Broken { host, cause: why } => {
                (format!("The connection to {host}{via} broke: {why}."), hint)
            }
            TransportError::BodyTooLarge(_) => {
                ("The server at Box's address sent too large a response.".to_owned(), hint)
            }
            TransportError::Setup(why) => (
                format!("This machine cannot set up TLS: {why}."),
                "Install the system's trusted certificates (usually the package ca-certificates).",
            ),
        };
        Self::fail(CheckKind::BoxApi, message, remediation)
    }

    /// What must be done, if the check failed.
    pub(crate) fn required_action(&self) -> Option<&str> {
        match self.status {
            CheckStatus::Fail if self.remediation.is_empty() => Some(&self.message),
            CheckStatus::Fail => Some(&self.remediation),
            CheckStatus::Pass | CheckStatus::Skipped => None,
        }
    }
}

/// The results as text: the failures, what was not checked and why, and what passed.
pub(super) fn render_results(results: &[CheckResult]) -> StyledText {
    let with_status = |status| results.iter().filter(move |result| result.status == status);
    let mut text = StyledText::new();
    for CheckResult { check, message, remediation, .. } in with_status(CheckStatus::Fail) {
        text.push(TextStyle::Red, "✗");
        text.line(format!(" {:TITLE_WIDTH$}{message} {remediation}", check.title()).trim_end());
    }
    let mut skipped: Vec<(&str, Vec<&str>)> = Vec::new();
    for CheckResult { check, message, .. } in with_status(CheckStatus::Skipped) {
        match skipped.iter_mut().find(|(why, _)| why == message) {
            Some((_, titles)) => titles.push(check.title()),
            None => skipped.push((message, vec![check.title()])),
        }
    }
    for (why, titles) in skipped {
        text.push(TextStyle::Dim, "–").line(&format!(" {}: {why}", titles.join(", ")));
    }
    let passed: Vec<&str> = with_status(CheckStatus::Pass).map(|result| result.check.title()).collect();
    if !passed.is_empty() {
        text.push(TextStyle::Green, "✓").line(&format!(" {}", passed.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_skew_of_up_to_30_seconds_passes() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        for (seconds, status, message) in [
            (0, CheckStatus::Pass, "This machine's clock matches Box's."),
            (30, CheckStatus::Pass, "This machine's clock is 30 seconds behind Box's."),
            (31, CheckStatus::Fail, "This machine's clock is 31 seconds behind Box's."),
            (-1, CheckStatus::Pass, "This machine's clock is 1 second ahead of Box's."),
            (-3600, CheckStatus::Fail, "This machine's clock is 3,600 seconds ahead of Box's."),
        ] {
            let result = CheckResult::from_clock(Some(now + jiff::SignedDuration::from_secs(seconds)), now);
            assert_eq!((result.status, result.message.as_str()), (status, message));
        }
        assert_eq!(CheckResult::from_clock(None, now).status, CheckStatus::Skipped);
    }

    #[test]
    fn dns_tls_and_connect_errors_have_different_messages() {
        let error = |at| TransportError::Connect { host: "api.box.com".into(), phase: at, cause: "because".into() };
        for (at, proxy, message) in [
            (ConnectPhase::Dns, None, "The name api.box.com cannot be resolved: because."),
            (ConnectPhase::Tls, None, "api.box.com was reached, but its TLS certificate is not trusted: because."),
            (ConnectPhase::Connect, None, "api.box.com cannot be reached: because."),
            (
                ConnectPhase::Connect,
                Some("http://proxy:1"),
                "api.box.com cannot be reached through the proxy http://proxy:1: because.",
            ),
        ] {
            assert_eq!(CheckResult::unreachable(&error(at), proxy).message, message);
        }
    }

    #[test]
    fn failures_come_first_and_what_passed_is_one_line() {
        let results = [
            CheckResult::pass(CheckKind::Operator, "It runs."),
            CheckResult::skip(CheckKind::Crds, "Not checked: why."),
            CheckResult::fail(CheckKind::Token, "Box said no.", "Ask it."),
            CheckResult::skip(CheckKind::Enterprise, "Not checked: why."),
            CheckResult::pass(CheckKind::Secret, "It exists."),
        ];
        let expected = "\
✗ token        Box said no. Ask it.
– CRDs, enterprise: Not checked: why.
✓ operator, Secret
";
        assert_eq!(render_results(&results).to_string(), expected);
    }
}
