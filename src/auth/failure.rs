//! Why Box was not entered, or did not give what was asked, in words for a person. Pure: errors of the client are
//! translated here, by exhaustive tables, and no error of a library reaches a user's eyes.

use std::time::Duration;

use super::failure_context::FailureContext;
use crate::{
    api::{AuthType, CONNECTION_UID_ANNOTATION, Reason, RemovalHold},
    box_client::{self, CredentialRejection, Denial, InvalidResponse, TokenStoreError},
};

/// A failed attempt: what happened, who does what where, and when Box wants to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// What happened, in Box's words where they are Box's: whole sentences.
    pub summary: String,
    /// Who does what where: whole sentences; empty where nobody has to.
    pub remediation: String,
    /// The wait that Box itself asked for.
    pub retry_after: Option<Duration>,
    /// Removals that wait for approval, where nothing could be published for them.
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
            format!("Put the keys {} into it.", context.secret_keys()),
        )
    }

    pub fn malformed_credentials(context: &FailureContext, error: &box_client::MalformedCredentials) -> Self {
        let summary = format!("The credentials in Secret {} cannot be used: {error}", context.secret);
        Self::new(Reason::CredentialsInvalid, with_full_stop(summary), "")
    }

    pub fn oauth_disabled(context: &FailureContext) -> Self {
        Self::new(
            Reason::OAuthDisabled,
            format!(
                "BoxConnection {} signs in with a user's authorization (OAuth 2.0), and this operator runs without --oauth.",
                context.connection
            ),
            "A cluster admin runs the operator with --oauth and gives it the right to create and update Secrets (the chart's value oauth.enabled), or the connection gets another method in spec.auth.",
        )
    }

    /// The tokens of a user's authorization could not be had, or not be kept.
    fn token_store_failed(context: &FailureContext, error: TokenStoreError) -> Self {
        let (token_secret, name, namespace) = (context.token_secret_name(), &context.connection, &context.namespace);
        match error {
            TokenStoreError::OwnedByOther => Self::new(
                Reason::RestoredTokens,
                format!(
                    "The tokens in Secret {token_secret} belong to a BoxConnection of another cluster, or to one that was deleted: they came back from a backup. Using them here would end the authorization there, so they are not used."
                ),
                format!(
                    "For an authorization of its own, run kubectl boxsync connect {name} -n {namespace}. If the other connection is gone for good, hand its tokens over: kubectl annotate secret {token_secret} -n {namespace} --overwrite {CONNECTION_UID_ANNOTATION}={}.",
                    context.uid
                ),
            ),
            TokenStoreError::ForeignSecret => Self::new(
                Reason::CredentialsInvalid,
                format!(
                    "There is a Secret {token_secret} in namespace {namespace} that the operator has not made, where it keeps the tokens of this connection."
                ),
                "Rename or delete that Secret, or give the BoxConnection another name.",
            ),
            TokenStoreError::Forbidden => Self::new(
                Reason::Internal,
                format!(
                    "The API server does not let the operator keep tokens in Secret {token_secret}. Nothing was renewed."
                ),
                format!(
                    "A cluster admin gives the operator's ServiceAccount the right to get, create and update Secrets in namespace {namespace} (the chart's value oauth.enabled)."
                ),
            ),
            TokenStoreError::Unreachable => Self::new(
                Reason::Internal,
                format!(
                    "The API server did not answer when Secret {token_secret} was read or written. Nothing was renewed."
                ),
                "",
            ),
            TokenStoreError::NotPersisted => Self::new(
                Reason::Internal,
                format!("Box renewed the tokens, and they could not be written into Secret {token_secret}."),
                format!(
                    "If the next attempt finds the authorization expired, run kubectl boxsync connect {name} -n {namespace}."
                ),
            ),
            TokenStoreError::Disabled => Self::oauth_disabled(context),
        }
    }

    pub fn invalid_auth_method(context: &FailureContext) -> Self {
        Self::new(
            Reason::CredentialsInvalid,
            format!("BoxConnection {} names no sign-in method, or more than one.", context.connection),
            "Set exactly one of spec.auth.clientCredentials, spec.auth.jwt and spec.auth.oauth2.",
        )
    }

    pub fn enterprise_mismatch(context: &FailureContext, found: Option<(&str, &str)>) -> Self {
        let owner = match found {
            Some((id, "")) => format!("to enterprise {id}"),
            Some((id, name)) => format!("to enterprise {id} ({name})"),
            None => "to an account outside any enterprise".to_owned(),
        };
        Self::new(
            Reason::EnterpriseMismatch,
            format!(
                "The credentials in Secret {} belong {owner}, not to enterprise {}.",
                context.secret, context.enterprise
            ),
            format!(
                "Put the credentials of enterprise {} into the Secret, or create a BoxConnection for the other enterprise.",
                context.enterprise
            ),
        )
    }

    /// What an error of the Box client means; `None` where the visit was told to stop.
    pub fn from_box_error(context: &FailureContext, error: &box_client::Error) -> Option<Self> {
        let summary = to_sentence(&error.to_string());
        let failure = match error {
            box_client::Error::Denied { denial: refusal, .. } => {
                let (reason, remediation) = denial_remediation(context, *refusal);
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
            box_client::Error::InvalidResponse { .. } => Self::new(
                Reason::BoxResponseInvalid,
                summary,
                "If it lasts, look at what stands between the operator and Box (a proxy?), and tell Box's support the request id.",
            ),
            box_client::Error::ClockSkew { .. } => Self::new(
                Reason::ClockSkew,
                summary,
                "A cluster admin sets the clock of the node that the operator runs on.",
            ),
            box_client::Error::LimitExceeded(_) => Self::new(
                Reason::ListTooLarge,
                summary,
                "Please report the size of the enterprise to the makers of the operator.",
            ),
            box_client::Error::TokenStore(error) => Self::token_store_failed(context, *error),
            box_client::Error::Cancelled => return None,
        };
        Some(failure)
    }
}

const CHECK_SCOPES: &str = "In Box's developer console, the app needs the scope \"Manage users\" and the access level \"App + Enterprise Access\"; after a change of either, a Box admin authorizes the app again (Admin Console > Integrations > Platform Apps Manager).";

fn denial_remediation(context: &FailureContext, denial: Denial) -> (Reason, String) {
    let (app, secret, enterprise) = (context.app_label(), &context.secret, &context.enterprise);
    match denial {
        Denial::AppNotAuthorized => (
            Reason::AppNotAuthorized,
            format!(
                "A Box admin of enterprise {enterprise} authorizes {app} (Admin Console > Integrations > Platform Apps Manager; again after every change of its scopes)."
            ),
        ),
        Denial::AuthorizationExpired if context.method == Some(AuthType::Oauth2) => (
            Reason::AuthorizationExpired,
            format!(
                "An admin or co-admin of enterprise {enterprise} authorizes {app} again: kubectl boxsync connect {} -n {}.",
                context.connection, context.namespace
            ),
        ),
        Denial::AuthorizationExpired => (
            Reason::AuthorizationExpired,
            format!(
                "A Box admin of enterprise {enterprise} authorizes {app} again (Admin Console > Integrations > Platform Apps Manager), or its owner puts new credentials into Secret {secret}."
            ),
        ),
        Denial::AccessBlocked => (
            Reason::AccessBlocked,
            format!(
                "A Box admin of enterprise {enterprise} allows {app} from this network and under the enterprise's security policies (Admin Console > Enterprise Settings > Security)."
            ),
        ),
        Denial::PermissionDenied => (Reason::PermissionDenied, CHECK_SCOPES.to_owned()),
        Denial::CredentialsRejected(rejection) => {
            (Reason::CredentialsRejected, rejection_remediation(context, rejection))
        }
    }
}

fn rejection_remediation(context: &FailureContext, rejection: CredentialRejection) -> String {
    let (app, secret, enterprise) = (context.app_label(), &context.secret, &context.enterprise);
    match rejection {
        CredentialRejection::InvalidClient => format!(
            "Put the current client id and secret of the app (Box's developer console > Configuration) into Secret {secret}."
        ),
        CredentialRejection::GrantCredentialsInvalid => format!(
            "Box says this for four causes. Check in its developer console that the secret in Secret {secret} is current, that {enterprise} is the enterprise's id, that the access level is \"App + Enterprise Access\", and that a Box admin has authorized {app}."
        ),
        CredentialRejection::UnknownKeyId => format!(
            "The key pair was replaced: download a new config.json from Box's developer console and put it into Secret {secret}."
        ),
        CredentialRejection::InvalidSubject => {
            format!("Check that spec.enterpriseId {enterprise} is the id of the enterprise that {app} belongs to.")
        }
        CredentialRejection::GrantTypeNotAllowed => format!(
            "{} is made for another way to sign in: choose the other method in spec.auth, or create an app of the right type.",
            capitalize(&app)
        ),
        CredentialRejection::InvalidCode => format!(
            "A code of Box's authorize page is good once, and for 30 seconds: run kubectl boxsync connect {} -n {} again.",
            context.connection, context.namespace
        ),
        CredentialRejection::Unknown => format!(
            "Check in Box's developer console that {app} is active and that Secret {secret} holds its current credentials."
        ),
    }
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `text` as a sentence: a capital at its beginning and a full stop at its end.
fn to_sentence(text: &str) -> String {
    with_full_stop(capitalize(text.trim()))
}

fn with_full_stop(text: String) -> String {
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}
