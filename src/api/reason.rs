//! Reasons, shared by conditions, events, metrics, logs and documentation.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A reason of a condition or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(const_into_str)]
pub enum Reason {
    WaitingForOperator,
    NotChecked,
    Connected,
    Syncing,
    Synced,
    LastAttemptFailed,
    Stale,
    Suspended,
    Paused,
    CredentialsMissing,
    CredentialsInvalid,
    CredentialsRejected,
    AuthorizationExpired,
    AppNotAuthorized,
    EnterpriseMismatch,
    AccessBlocked,
    AuthorizationEndsSoon,
    OAuthDisabled,
    RestoredTokens,
    PermissionDenied,
    ListTooLarge,
    ScheduleInvalid,
    RemovalsHeld,
    /// Very many users changed at once. An event only.
    MassChange,
    RosterConflict,
    RateLimited,
    BoxUnavailable,
    Internal,
    BoxResponseInvalid,
    ClockSkew,
    Pending,
    CoolingDown,
    Running,
    TooManyRequests,
    ConnectionNotFound,
    DeadlineExceeded,
    HeldListChanged,
    VersionSkew,
}

/// How the operator reacts to a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// A state, not a failure.
    Neutral,
    /// Passes without intervention: retried with backoff; a request keeps retrying until its deadline.
    Transient,
    /// May pass without intervention: retried with backoff; a request fails after three attempts.
    Suspect,
    /// The connection works, but a person must act: no retry before the next scheduled sync; a request fails immediately.
    Stalled,
    /// A person must reconnect: no scheduled sync until then; a request fails immediately.
    Disconnected,
    /// Ends a request and does not affect the connection.
    RequestRejected,
}

impl Reason {
    pub const ALL: &[Reason] = <Reason as VariantArray>::VARIANTS;

    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// A stored reason; one that only a newer version knows is [`Reason::VersionSkew`].
    pub fn parse_stored(name: &str) -> Self {
        Self::parse(name).unwrap_or(Self::VersionSkew)
    }

    pub const fn failure_class(self) -> FailureClass {
        match self {
            Reason::WaitingForOperator
            | Reason::NotChecked
            | Reason::Connected
            | Reason::Syncing
            | Reason::Synced
            | Reason::LastAttemptFailed
            | Reason::Stale
            | Reason::AuthorizationEndsSoon
            | Reason::MassChange
            | Reason::Paused
            | Reason::Pending
            | Reason::CoolingDown
            | Reason::Running => FailureClass::Neutral,
            Reason::RateLimited | Reason::BoxUnavailable | Reason::RosterConflict | Reason::Internal => {
                FailureClass::Transient
            }
            Reason::BoxResponseInvalid | Reason::ClockSkew => FailureClass::Suspect,
            Reason::PermissionDenied
            | Reason::ListTooLarge
            | Reason::ScheduleInvalid
            | Reason::RemovalsHeld
            | Reason::VersionSkew => FailureClass::Stalled,
            Reason::CredentialsMissing
            | Reason::CredentialsInvalid
            | Reason::CredentialsRejected
            | Reason::AuthorizationExpired
            | Reason::AppNotAuthorized
            | Reason::EnterpriseMismatch
            | Reason::AccessBlocked
            | Reason::OAuthDisabled
            | Reason::RestoredTokens => FailureClass::Disconnected,
            Reason::Suspended
            | Reason::TooManyRequests
            | Reason::ConnectionNotFound
            | Reason::DeadlineExceeded
            | Reason::HeldListChanged => FailureClass::RequestRejected,
        }
    }

    /// The reason in a few words, for conditions whose cause is in another condition.
    pub const fn summary(self) -> &'static str {
        match self {
            Reason::WaitingForOperator => "No operator has processed this yet",
            Reason::NotChecked => "The credentials have not been checked yet",
            Reason::Connected => "Box accepts the credentials",
            Reason::Syncing => "The user list is being fetched for the first time",
            Reason::Synced => "The last sync succeeded",
            Reason::LastAttemptFailed => "The last attempt failed, the list is still fresh",
            Reason::Stale => "The list is stale",
            Reason::Suspended => "The connection is suspended",
            Reason::Paused => "The operator is paused and makes no Box API calls",
            Reason::CredentialsMissing => "The credentials are missing",
            Reason::CredentialsInvalid => "The credentials are unusable",
            Reason::CredentialsRejected => "Box rejects the credentials",
            Reason::AuthorizationExpired => "Box no longer accepts the authorization",
            Reason::AppNotAuthorized => "A Box admin must authorize the app",
            Reason::EnterpriseMismatch => "The credentials belong to another enterprise",
            Reason::AccessBlocked => "A Box policy blocks the access",
            Reason::AuthorizationEndsSoon => "The authorization ends within two weeks",
            Reason::OAuthDisabled => "Refresh of OAuth 2.0 tokens is disabled",
            Reason::RestoredTokens => "The tokens belong to another cluster's connection",
            Reason::PermissionDenied => "The app is not allowed to list users",
            Reason::ListTooLarge => "The list exceeds this version's limit",
            Reason::ScheduleInvalid => "The schedule is invalid",
            Reason::RemovalsHeld => "More users vanished from Box than may be removed without approval",
            Reason::MassChange => "Very many users changed at once",
            Reason::RosterConflict => "A roster of this name belongs to another owner",
            Reason::RateLimited => "Box is rate-limiting the app",
            Reason::BoxUnavailable => "Box is unreachable or unavailable",
            Reason::Internal => "The cluster does not let the operator work, or the operator failed",
            Reason::BoxResponseInvalid => "Box sent an invalid response",
            Reason::ClockSkew => "The operator's clock differs from Box's",
            Reason::Pending => "The request is queued",
            Reason::CoolingDown => "Waiting for the minimum gap between syncs",
            Reason::Running => "The user list is being fetched",
            Reason::TooManyRequests => "Too many requests are queued for this connection",
            Reason::ConnectionNotFound => "The connection does not exist",
            Reason::DeadlineExceeded => "The deadline passed before a sync ended",
            Reason::HeldListChanged => "The held removals differ from the approved ones",
            Reason::VersionSkew => "A newer version of the operator wrote what this one does not know",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_round_trips_through_its_name() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::parse("Unknown"), None);
    }
}
