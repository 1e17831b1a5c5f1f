//! Why something is as it is: the one vocabulary of condition, event, metric, log and documentation.

/// A reason, as users see it in conditions and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    HeldListChanged,
}

/// What follows from a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// It tells a state and is no failure.
    Neutral,
    /// It passes by itself: tried again with backoff; a request waits for it until its deadline.
    Transient,
    /// It may pass by itself: tried again with backoff; a request gives up after three tries.
    Suspect,
    /// Somebody has to act although the connection works: no retry before the next scheduled sync; a request fails at once.
    Stalled,
    /// Somebody has to reconnect: no scheduled sync until then; a request fails at once.
    Disconnected,
    /// It ends a request and says nothing of the connection.
    RequestRejected,
}

impl Reason {
    pub const ALL: &[Reason] = &[
        Reason::WaitingForOperator,
        Reason::NotChecked,
        Reason::Connected,
        Reason::Syncing,
        Reason::Synced,
        Reason::LastAttemptFailed,
        Reason::Stale,
        Reason::Suspended,
        Reason::Paused,
        Reason::CredentialsMissing,
        Reason::CredentialsInvalid,
        Reason::CredentialsRejected,
        Reason::AuthorizationExpired,
        Reason::AppNotAuthorized,
        Reason::EnterpriseMismatch,
        Reason::AccessBlocked,
        Reason::AuthorizationEndsSoon,
        Reason::OAuthDisabled,
        Reason::RestoredTokens,
        Reason::PermissionDenied,
        Reason::ListTooLarge,
        Reason::ScheduleInvalid,
        Reason::RemovalsHeld,
        Reason::RosterConflict,
        Reason::RateLimited,
        Reason::BoxUnavailable,
        Reason::Internal,
        Reason::BoxResponseInvalid,
        Reason::ClockSkew,
        Reason::Pending,
        Reason::CoolingDown,
        Reason::Running,
        Reason::TooManyRequests,
        Reason::ConnectionNotFound,
        Reason::HeldListChanged,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::WaitingForOperator => "WaitingForOperator",
            Reason::NotChecked => "NotChecked",
            Reason::Connected => "Connected",
            Reason::Syncing => "Syncing",
            Reason::Synced => "Synced",
            Reason::LastAttemptFailed => "LastAttemptFailed",
            Reason::Stale => "Stale",
            Reason::Suspended => "Suspended",
            Reason::Paused => "Paused",
            Reason::CredentialsMissing => "CredentialsMissing",
            Reason::CredentialsInvalid => "CredentialsInvalid",
            Reason::CredentialsRejected => "CredentialsRejected",
            Reason::AuthorizationExpired => "AuthorizationExpired",
            Reason::AppNotAuthorized => "AppNotAuthorized",
            Reason::EnterpriseMismatch => "EnterpriseMismatch",
            Reason::AccessBlocked => "AccessBlocked",
            Reason::AuthorizationEndsSoon => "AuthorizationEndsSoon",
            Reason::OAuthDisabled => "OAuthDisabled",
            Reason::RestoredTokens => "RestoredTokens",
            Reason::PermissionDenied => "PermissionDenied",
            Reason::ListTooLarge => "ListTooLarge",
            Reason::ScheduleInvalid => "ScheduleInvalid",
            Reason::RemovalsHeld => "RemovalsHeld",
            Reason::RosterConflict => "RosterConflict",
            Reason::RateLimited => "RateLimited",
            Reason::BoxUnavailable => "BoxUnavailable",
            Reason::Internal => "Internal",
            Reason::BoxResponseInvalid => "BoxResponseInvalid",
            Reason::ClockSkew => "ClockSkew",
            Reason::Pending => "Pending",
            Reason::CoolingDown => "CoolingDown",
            Reason::Running => "Running",
            Reason::TooManyRequests => "TooManyRequests",
            Reason::ConnectionNotFound => "ConnectionNotFound",
            Reason::HeldListChanged => "HeldListChanged",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
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
            | Reason::Paused
            | Reason::Pending
            | Reason::CoolingDown
            | Reason::Running => FailureClass::Neutral,
            Reason::RateLimited | Reason::BoxUnavailable | Reason::RosterConflict | Reason::Internal => {
                FailureClass::Transient
            }
            Reason::BoxResponseInvalid | Reason::ClockSkew => FailureClass::Suspect,
            Reason::PermissionDenied | Reason::ListTooLarge | Reason::ScheduleInvalid | Reason::RemovalsHeld => {
                FailureClass::Stalled
            }
            Reason::CredentialsMissing
            | Reason::CredentialsInvalid
            | Reason::CredentialsRejected
            | Reason::AuthorizationExpired
            | Reason::AppNotAuthorized
            | Reason::EnterpriseMismatch
            | Reason::AccessBlocked
            | Reason::OAuthDisabled
            | Reason::RestoredTokens => FailureClass::Disconnected,
            Reason::Suspended | Reason::TooManyRequests | Reason::ConnectionNotFound | Reason::HeldListChanged => {
                FailureClass::RequestRejected
            }
        }
    }

    /// The reason in a few words, for those conditions that only point to the one that holds the cause.
    pub const fn summary(self) -> &'static str {
        match self {
            Reason::WaitingForOperator => "No operator has looked at this yet",
            Reason::NotChecked => "Box has not been asked yet",
            Reason::Connected => "Box accepts the credentials",
            Reason::Syncing => "The user list is being fetched for the first time",
            Reason::Synced => "The last sync succeeded",
            Reason::LastAttemptFailed => "The last attempt failed, the list is still fresh",
            Reason::Stale => "The list is older than it may be",
            Reason::Suspended => "The connection is suspended",
            Reason::Paused => "The operator is paused and asks Box nothing",
            Reason::CredentialsMissing => "The credentials are missing",
            Reason::CredentialsInvalid => "The credentials cannot be used",
            Reason::CredentialsRejected => "Box refuses the credentials",
            Reason::AuthorizationExpired => "Box no longer accepts the authorization",
            Reason::AppNotAuthorized => "A Box admin has to authorize the app",
            Reason::EnterpriseMismatch => "The credentials belong to another enterprise",
            Reason::AccessBlocked => "A policy in Box blocks the access",
            Reason::AuthorizationEndsSoon => "The authorization ends within two weeks",
            Reason::OAuthDisabled => "The operator does not renew tokens of users",
            Reason::RestoredTokens => "The tokens belong to another cluster's connection",
            Reason::PermissionDenied => "The app may not list users",
            Reason::ListTooLarge => "The list is larger than this version can take",
            Reason::ScheduleInvalid => "The schedule cannot be kept",
            Reason::RemovalsHeld => "More users vanished from Box than may go unasked",
            Reason::RosterConflict => "Another list of this name is in the way",
            Reason::RateLimited => "Box asks to slow down",
            Reason::BoxUnavailable => "Box cannot be reached or does not work",
            Reason::Internal => "The operator could not do its part",
            Reason::BoxResponseInvalid => "Box's answer makes no sense",
            Reason::ClockSkew => "The clock here differs from Box's",
            Reason::Pending => "The request waits for its turn",
            Reason::CoolingDown => "A sync ended a moment ago",
            Reason::Running => "The user list is being fetched",
            Reason::TooManyRequests => "Too many requests wait for this connection",
            Reason::ConnectionNotFound => "There is no such connection",
            Reason::HeldListChanged => "The held removals are not those that were approved",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
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
        assert_eq!(Reason::parse("Unheard"), None);
    }
}
