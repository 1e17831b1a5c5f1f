//! What a check found: a mark, what is so, and what mends it. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    desk::Ink,
    overview::WIDTH,
    table::shown,
    words::{many, wrapped},
};
use crate::{
    api::{Consequence, Reason},
    boxapi::{Stage, TransportError},
    signin::Failure,
};

/// What is checked, in this order: most need what stands above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Check {
    Operator,
    Kinds,
    Secret,
    Key,
    Reachable,
    Clock,
    Token,
    Enterprise,
    Users,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mark {
    Fine,
    Wrong,
    /// Something above it failed, it does not apply, or it may not be looked at.
    NotChecked,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) mark: Mark,
    /// What is so: whole sentences.
    pub(super) said: String,
    /// Who does what where; nothing where nobody has to, or where it is part of what is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) fix: String,
}

/// A difference that no assertion's lifetime takes.
const SKEW_SECONDS: i64 = 30;
const SET_THE_CLOCK: &str = "Set the clock of this machine, best by a time server (NTP).";
const TITLE: usize = 12;

impl Check {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Check::Operator => "operator",
            Check::Kinds => "CRDs",
            Check::Secret => "Secret",
            Check::Key => "credentials",
            Check::Reachable => "Box",
            Check::Clock => "clock",
            Check::Token => "token",
            Check::Enterprise => "enterprise",
            Check::Users => "user list",
        }
    }
}

impl Finding {
    pub(super) fn fine(check: Check, said: impl Into<String>) -> Self {
        Self { check, mark: Mark::Fine, said: said.into(), fix: String::new() }
    }

    pub(super) fn wrong(check: Check, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, mark: Mark::Wrong, said: said.into(), fix: fix.into() }
    }

    pub(super) fn unchecked(check: Check, why: impl Into<String>) -> Self {
        Self { check, mark: Mark::NotChecked, said: why.into(), fix: String::new() }
    }

    pub(super) fn failed(check: Check, failure: &Failure) -> Self {
        let Failure { reason, what, remedy, retry_after, held: _ } = failure;
        let passes = match reason.consequence() {
            Consequence::Retried => remedy.is_empty(),
            Consequence::Neutral
            | Consequence::Doubted
            | Consequence::Stalled
            | Consequence::Disconnected
            | Consequence::Refused => false,
        };
        let fix = match retry_after {
            // That of the operator's node plays no part here.
            _ if *reason == Reason::ClockSkew => SET_THE_CLOCK.to_owned(),
            Some(wait) if passes => format!("It passes by itself: try again in {} s, as Box asks.", wait.as_secs()),
            None if passes => "It mostly passes by itself: try again in a minute.".to_owned(),
            Some(_) | None => remedy.clone(),
        };
        Self::wrong(check, what, fix)
    }

    /// Whether our clock is Box's.
    pub(super) fn clock(date: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(date) = date else {
            return Self::unchecked(Check::Clock, "The answer had no Date to compare this machine's clock with.");
        };
        let apart = date.duration_since(now).as_secs();
        let seconds = many(apart.abs(), "second");
        let said = match apart {
            0 => "This machine's clock is Box's.".to_owned(),
            1.. => format!("This machine's clock is {seconds} behind Box's."),
            ..0 => format!("This machine's clock is {seconds} ahead of Box's."),
        };
        if apart.abs() > SKEW_SECONDS {
            Self::wrong(Check::Clock, said, SET_THE_CLOCK)
        } else {
            Self::fine(Check::Clock, said)
        }
    }

    /// Why nobody answered at Box's address.
    pub(super) fn unreached(error: &TransportError, proxy: Option<&str>) -> Self {
        let by = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let way = match proxy {
            Some(_) => "Check that proxy (HTTPS_PROXY, NO_PROXY) and whether it lets you through to Box.",
            None => "Check this machine's network and firewall; where there is a proxy, name it in HTTPS_PROXY.",
        };
        let (said, fix) = match error {
            TransportError::Connect { host, at: Stage::Name, why } => match proxy {
                Some(proxy) => (
                    format!("The name of the proxy {proxy} cannot be resolved: {why}."),
                    "Check the name in HTTPS_PROXY, and this machine's DNS.",
                ),
                None => (
                    format!("The name {host} cannot be resolved: {why}."),
                    "Check this machine's DNS; where a proxy resolves names, name it in HTTPS_PROXY.",
                ),
            },
            TransportError::Connect { host, at: Stage::Tls, why } => (
                format!("{host} was reached{by}, but not over TLS that this machine trusts: {why}."),
                "Somebody on the way (a proxy that looks into TLS?) answers with a certificate of its own: add its CA to the system's trusted certificates, or have Box let through untouched.",
            ),
            TransportError::Connect { host, at: Stage::Way, why } => {
                (format!("{host} cannot be reached{by}: {why}."), way)
            }
            TransportError::Broken { host, why } => (format!("The connection to {host}{by} broke: {why}."), way),
            TransportError::TooLarge(_) => ("What answers at Box's address sends far too much.".to_owned(), way),
            TransportError::Setup(why) => (
                format!("This machine cannot speak TLS: {why}."),
                "Install the system's trusted certificates (the package is mostly called ca-certificates).",
            ),
        };
        Self::wrong(Check::Reachable, said, fix)
    }

    /// What has to be done, of something wrong.
    pub(super) fn to_do(&self) -> Option<&str> {
        match self.mark {
            Mark::Wrong if self.fix.is_empty() => Some(&self.said),
            Mark::Wrong => Some(&self.fix),
            Mark::Fine | Mark::NotChecked => None,
        }
    }

    /// As it is printed: the mark, what was checked, and what is to be said.
    pub(super) fn text(&self, ink: Ink) -> String {
        let mark = match self.mark {
            Mark::Fine => ink.green("✓"),
            Mark::Wrong => ink.red("✗"),
            Mark::NotChecked => ink.dim("–"),
        };
        let said = shown(format!("{} {}", self.said, self.fix).into()).into_owned();
        let lines = wrapped(&said, WIDTH - TITLE - 2);
        let gap = format!("\n{:width$}", "", width = TITLE + 2);
        format!("{mark} {:TITLE$}{}\n", self.check.title(), lines.join(&gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_off_by_half_a_minute() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        for (seconds, mark, said) in [
            (0, Mark::Fine, "This machine's clock is Box's."),
            (30, Mark::Fine, "This machine's clock is 30 seconds behind Box's."),
            (31, Mark::Wrong, "This machine's clock is 31 seconds behind Box's."),
            (-1, Mark::Fine, "This machine's clock is 1 second ahead of Box's."),
            (-3600, Mark::Wrong, "This machine's clock is 3,600 seconds ahead of Box's."),
        ] {
            let found = Finding::clock(Some(now + jiff::SignedDuration::from_secs(seconds)), now);
            assert_eq!((found.mark, found.said.as_str()), (mark, said));
        }
        assert_eq!(Finding::clock(None, now).mark, Mark::NotChecked);
    }

    #[test]
    fn a_name_that_is_unknown_and_a_certificate_that_is_not_trusted_are_told_apart() {
        let error = |at| TransportError::Connect { host: "api.box.com".into(), at, why: "because".into() };
        for (at, proxy, said) in [
            (Stage::Name, None, "The name api.box.com cannot be resolved: because."),
            (Stage::Tls, None, "api.box.com was reached, but not over TLS that this machine trusts: because."),
            (Stage::Way, None, "api.box.com cannot be reached: because."),
            (
                Stage::Way,
                Some("http://proxy:1"),
                "api.box.com cannot be reached through the proxy http://proxy:1: because.",
            ),
        ] {
            assert_eq!(Finding::unreached(&error(at), proxy).said, said);
        }
    }

    #[test]
    fn long_findings_go_on_below_where_they_began() {
        let found = Finding::wrong(Check::Token, "word ".repeat(25).trim_end(), "Mend it.");
        let lines: Vec<String> = found.text(Ink::Plain).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("✗ token       word") && lines[1].ends_with("Mend it."), "{lines:?}");
        assert!(lines[1].starts_with(&" ".repeat(14)) && lines[0].chars().count() <= WIDTH, "{lines:?}");
    }
}
