//! Why a plan was made: the fact or the time that decided.

use std::fmt;

use jiff::Timestamp;

/// A time, and why something is due then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) reason: PlanReason,
}

impl Due {
    /// The later of this and `earliest`, with the reason of the one that decides.
    pub(crate) fn not_before(self, earliest: Timestamp, reason: PlanReason) -> Self {
        if earliest > self.at { Self { at: earliest, reason } } else { self }
    }
}

/// For a step, what calls for it; for a wait, what is due when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanReason {
    /// No sync has succeeded yet.
    FirstSync,
    /// The status shows a sync that no process runs.
    InterruptedSync,
    /// The list was deleted, or was never published.
    ListMissing,
    /// The last sync or failure lies in the future.
    ClockSetBack,
    Interval,
    Cron,
    Retry,
    /// Box named the time.
    RetryAfter,
    MinSyncGap,
    Request,
    Annotation,
    /// The spec names other credentials.
    CredentialsChanged,
    SecretChanged,
    ReconnectInterval,
    SecretCheck,
    Probe,
    AuthorizationRenewal,
    AuthorizationWarning,
    StaleTime,
    RequestDeadline,
    UnreportedRevision,
    UnreferencedSlices,
    Suspended,
    Paused,
    NothingDue,
}

impl PlanReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::FirstSync => "first sync",
            Self::InterruptedSync => "interrupted sync",
            Self::ListMissing => "list missing",
            Self::ClockSetBack => "clock set back",
            Self::Interval => "interval",
            Self::Cron => "cron time",
            Self::Retry => "retry",
            Self::RetryAfter => "Retry-After",
            Self::MinSyncGap => "minimum gap",
            Self::Request => "request",
            Self::Annotation => "annotation",
            Self::CredentialsChanged => "credentials changed",
            Self::SecretChanged => "Secret changed",
            Self::ReconnectInterval => "reconnect interval",
            Self::SecretCheck => "Secret check",
            Self::Probe => "probe",
            Self::AuthorizationRenewal => "authorization renewal",
            Self::AuthorizationWarning => "authorization expires soon",
            Self::StaleTime => "list becomes stale",
            Self::RequestDeadline => "request deadline",
            Self::UnreportedRevision => "unreported revision",
            Self::UnreferencedSlices => "unreferenced slices",
            Self::Suspended => "suspended",
            Self::Paused => "paused",
            Self::NothingDue => "nothing due",
        }
    }
}

impl fmt::Display for PlanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
