//! User-visible failures of sign-in and listing. Pure: exhaustive tables translate the errors of the Box client, and no
//! error text of a library is shown to users.

use std::time::Duration;

use super::failure_context::FailureContext;
use crate::{
    api::{AuthType, BoxEnterprise, CONNECTION_UID_ANNOTATION, Reason, RemovalHold, split_message},
    box_client::{self, CredentialRejection, Denial, InvalidResponse, TokenStoreError},
};

/// A failed attempt: what happened, who must do what, and Box's `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// What happened, with Box's message if there is one: whole sentences.
    pub summary: String,
    /// Who must do what: whole sentences; empty if no action is needed.
    pub remediation: String,
    /// Box's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Removals that wait for approval and block publishing.
    pub held: Option<Box<RemovalHold>>,
}

impl Failure {
    pub fn new(reason: Reason, summary: impl Into<String>, remediation: impl Into<String>) -> Self {
        Self { reason, summary: summary.into(), remediation: remediation.into(), retry_after: None, held: None }
    }

    pub fn missing_secret(context: &FailureContext) -> Self {
        Self::new(
            Reason::CredentialsMissing,
            format!("There is no Secret {} in namespace {}.", context.secret, context.namespace),
            format!("Create it with the keys {}.", context.secret_keys()),
        )
    }

    pub fn missing_key(context: &FailureContext, key: &str) -> Self {
        Self::new(
            Reason::CredentialsMissing,
            format!("Secret {} has no key {key}, or it is empty.", context.secret),
            format!("Add the keys {} to it.", context.secret_keys()),
        )
    }

    pub fn malformed_credentials(context: &FailureContext, error: &box_client::MalformedCredentials) -> Self {
        let text = with_full_stop(format!("The credentials in Secret {} cannot be used: {error}", context.secret));
        let (summary, remediation) = split_message(&text);
        // Where the machine is busy, the credentials are not to blame.
        let timed_out = matches!(error, box_client::MalformedCredentials::DecryptionTimedOut { .. });
        let reason = if timed_out { Reason::Internal } else { Reason::CredentialsInvalid };
        Self::new(reason, summary, remediation)
    }

    pub fn oauth_disabled(context: &FailureContext) -> Self {
        Self::new(
            Reason::OAuthDisabled,
            format!("BoxConnection {} uses OAuth 2.0, but the operator runs without --oauth.", context.connection),
            "A cluster admin must set the chart value oauth.enabled, or the connection must use another method in spec.auth.",
        )
    }

    /// The tokens of a user's authorization could not be loaded or stored.
    fn token_store_failed(context: &FailureContext, error: TokenStoreError) -> Self {
        let (token_secret, name, namespace) = (context.token_secret_name(), &context.connection, &context.namespace);
        match error {
            TokenStoreError::OwnedByOther => Self::new(
                Reason::RestoredTokens,
                format!(
                    "The tokens in Secret {token_secret} belong to a BoxConnection of another cluster or a deleted one, and are not used."
                ),
                format!(
                    "Run kubectl boxsync connect {name} -n {namespace}, or use them: kubectl annotate secret {token_secret} -n {namespace} --overwrite {CONNECTION_UID_ANNOTATION}={}.",
                    context.uid
                ),
            ),
            TokenStoreError::ForeignSecret => Self::new(
                Reason::CredentialsInvalid,
                format!(
                    "Secret {token_secret} is reserved for the tokens of this connection, but was not created by the operator."
                ),
                "Rename or delete that Secret, or give the BoxConnection another name.",
            ),
            TokenStoreError::Refused { why, remediation } => {
                Self::new(Reason::Internal, why, format!("No token was refreshed. {remediation}").trim_end())
            }
            TokenStoreError::Forbidden(right) => Self::new(
                Reason::Internal,
                format!(
                    "The API server denies the operator access to Secret {token_secret}: {right}; no token was refreshed."
                ),
                format!(
                    "A cluster admin must let the operator get, create and update Secrets in namespace {namespace} (chart value oauth.enabled)."
                ),
            ),
            TokenStoreError::Unreachable => Self::new(
                Reason::Internal,
                format!(
                    "The API server did not respond while Secret {token_secret} was read or written; no token was refreshed."
                ),
                "",
            ),
            TokenStoreError::NotPersisted(why) => Self::new(
                Reason::Internal,
                format!("Box issued new tokens, but they are not stored in Secret {token_secret} yet."),
                format!(
                    "{why} If a later attempt reports AuthorizationExpired, run kubectl boxsync connect {name} -n {namespace}."
                )
                .trim_start(),
            ),
            TokenStoreError::Disabled => Self::oauth_disabled(context),
        }
    }

    pub fn invalid_auth_method(context: &FailureContext) -> Self {
        Self::new(
            Reason::CredentialsInvalid,
            format!("BoxConnection {} must set exactly one sign-in method.", context.connection),
            "Set exactly one of spec.auth.clientCredentials, spec.auth.jwt and spec.auth.oauth2.",
        )
    }

    /// `found`: the enterprise that the credentials belong to, if any.
    pub fn enterprise_mismatch(context: &FailureContext, found: Option<&BoxEnterprise>) -> Self {
        let FailureContext { connection, namespace, secret, enterprise, .. } = context;
        let found = found.map_or_else(|| "an account outside any enterprise".to_owned(), |f| format!("enterprise {f}"));
        let remediation = match context.method {
            Some(AuthType::Oauth2) => format!(
                "An admin or co-admin of enterprise {enterprise} must authorize the app, in a private browser window: kubectl boxsync connect {connection} -n {namespace}."
            ),
            Some(AuthType::ClientCredentials | AuthType::Jwt) | None if context.user_id.is_some() => {
                format!("Set userId in spec.auth to an admin or co-admin of enterprise {enterprise}.")
            }
            Some(AuthType::ClientCredentials | AuthType::Jwt) | None => format!(
                "Store the credentials of an app of enterprise {enterprise} in Secret {secret}, or create a BoxConnection for the other enterprise."
            ),
        };
        let summary = format!("The credentials belong to {found}, not enterprise {enterprise}.");
        Self::new(Reason::EnterpriseMismatch, summary, remediation)
    }

    /// The failure for an error of the Box client; `None` for a cancellation.
    pub fn from_box_error(context: &FailureContext, error: &box_client::Error) -> Option<Self> {
        let summary = to_sentence(&error.to_string());
        let failure = match error {
            box_client::Error::Denied { denial, .. } => {
                let (reason, remediation) = denial_remediation(context, *denial);
                Self::new(reason, summary, remediation)
            }
            box_client::Error::RateLimited { retry_after, .. } => {
                Self { retry_after: *retry_after, ..Self::new(Reason::RateLimited, summary, "") }
            }
            box_client::Error::Unavailable { retry_after, .. } => {
                Self { retry_after: *retry_after, ..Self::new(Reason::BoxUnavailable, summary, "") }
            }
            box_client::Error::InvalidResponse { problem: InvalidResponse::EmptyUserList, .. } => {
                Self::new(Reason::BoxResponseInvalid, summary, CHECK_SCOPES)
            }
            box_client::Error::InvalidResponse { problem: InvalidResponse::DifferentLists, .. } => Self::new(
                Reason::BoxResponseInvalid,
                summary,
                "Nobody is removed because of it. The list is fetched anew.",
            ),
            box_client::Error::InvalidResponse { problem: InvalidResponse::MissingUsers(_), .. } => Self::new(
                Reason::BoxResponseInvalid,
                summary,
                "Nobody is removed because of it. If it lasts, ask Box support why the list is incomplete (--log debug logs the ids).",
            ),
            box_client::Error::InvalidResponse { .. } => Self::new(
                Reason::BoxResponseInvalid,
                summary,
                "If it lasts, check for a proxy between the operator and Box, and send the request id to Box support.",
            ),
            box_client::Error::ClockSkew { .. } => Self::new(
                Reason::ClockSkew,
                summary,
                "A cluster admin must correct the clock of the node that runs the operator.",
            ),
            box_client::Error::LimitExceeded(_) => Self::new(
                Reason::ListTooLarge,
                summary,
                "Please report the size of the enterprise to the maintainers of the operator.",
            ),
            box_client::Error::TokenStore(error) => Self::token_store_failed(context, error.clone()),
            box_client::Error::Cancelled => return None,
        };
        Some(failure)
    }
}

const CHECK_SCOPES: &str = "The app needs \"Manage users\" and \"App + Enterprise Access\" (developer console); after a change a Box admin must authorize it again.";

fn denial_remediation(context: &FailureContext, denial: Denial) -> (Reason, String) {
    let (app, secret, enterprise) = (context.app_label(), &context.secret, &context.enterprise);
    match denial {
        Denial::AppNotAuthorized => (
            Reason::AppNotAuthorized,
            match &context.user_id {
                Some(user) => format!(
                    "The app needs \"Generate user access tokens\" to act as user {user} (developer console); then a Box admin of enterprise {enterprise} must authorize it (Platform Apps Manager)."
                ),
                None => format!(
                    "A Box admin of enterprise {enterprise} must authorize {app} (Admin Console > Integrations > Platform Apps Manager)."
                ),
            },
        ),
        Denial::AuthorizationExpired if context.method == Some(AuthType::Oauth2) => (
            Reason::AuthorizationExpired,
            format!(
                "An admin or co-admin of enterprise {enterprise} must authorize {app} again: kubectl boxsync connect {} -n {}.",
                context.connection, context.namespace
            ),
        ),
        Denial::AuthorizationExpired => (
            Reason::AuthorizationExpired,
            format!(
                "A Box admin of enterprise {enterprise} must authorize {app} again (Platform Apps Manager), or its owner must store new credentials in Secret {secret}."
            ),
        ),
        Denial::AccessBlocked => (
            Reason::AccessBlocked,
            format!(
                "A Box admin of enterprise {enterprise} must allow {app} from this network and by its policies (Admin Console > Enterprise Settings > Security)."
            ),
        ),
        Denial::PermissionDenied => {
            let user = context.user_id.as_ref().map(|user| {
                format!("User {user} must be an admin of enterprise {enterprise}, or a co-admin who may manage users. ")
            });
            (Reason::PermissionDenied, user.unwrap_or_default() + CHECK_SCOPES)
        }
        Denial::CredentialsRejected(rejection) => {
            (Reason::CredentialsRejected, rejection_remediation(context, rejection))
        }
    }
}

fn rejection_remediation(context: &FailureContext, rejection: CredentialRejection) -> String {
    let (app, secret, enterprise) = (context.app_label(), &context.secret, &context.enterprise);
    match rejection {
        CredentialRejection::InvalidClient => format!(
            "Store the current client id and secret of the app (Box's developer console > Configuration) in Secret {secret}."
        ),
        CredentialRejection::GrantCredentialsInvalid => match &context.user_id {
            Some(user) => format!(
                "Check the secret in Secret {secret}, that user {user} belongs to enterprise {enterprise}, that the app has \"App + Enterprise Access\" and \"Generate user access tokens\", and that a Box admin has authorized it."
            ),
            None => format!(
                "There are four possible causes: the secret in Secret {secret} is old, {enterprise} is not the enterprise's id, the access level is not \"App + Enterprise Access\", or no Box admin has authorized the app."
            ),
        },
        CredentialRejection::UnknownKeyId => format!(
            "The key pair was replaced: download a new config.json from Box's developer console and store it in Secret {secret}."
        ),
        CredentialRejection::InvalidSubject => match &context.user_id {
            Some(user) => {
                format!("Check that {user} is the id of a user of enterprise {enterprise} (userId in spec.auth).")
            }
            None => {
                format!("Check that spec.enterpriseId {enterprise} is the id of the enterprise that {app} belongs to.")
            }
        },
        CredentialRejection::GrantTypeNotAllowed => format!(
            "{} uses another authentication method: choose that method in spec.auth, or create an app of the right type.",
            capitalize(&app)
        ),
        CredentialRejection::InvalidCode => format!(
            "An authorization code can be used once, within 30 seconds. Run kubectl boxsync connect {} -n {} again.",
            context.connection, context.namespace
        ),
        CredentialRejection::Unknown => format!(
            "Check that Secret {secret} holds the app's current credentials, that it has \"App + Enterprise Access\" and \"Manage users\", and that a Box admin of enterprise {enterprise} has authorized it."
        ),
    }
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `text` with a capital at its start and a full stop at its end.
fn to_sentence(text: &str) -> String {
    with_full_stop(capitalize(text.trim()))
}

fn with_full_stop(text: String) -> String {
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}
