//! Why Box was not entered, or did not give what was asked, in words for a person. Pure: errors of the client are
//! translated here, by exhaustive tables, and no error of a library reaches a user's eyes.

use std::time::Duration;

use super::names::Names;
use crate::{
    api::{AuthType, CONNECTION_UID, Held, Reason},
    boxapi::{self, Nonsense, Refusal, Rejected, Unkept},
};

/// A failed attempt: what happened, who does what where, and when Box wants to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// What happened, in Box's words where they are Box's: whole sentences.
    pub what: String,
    /// Who does what where: whole sentences; empty where nobody has to.
    pub remedy: String,
    /// The wait that Box itself asked for.
    pub retry_after: Option<Duration>,
    /// Removals that wait for approval, where nothing could be published for them.
    pub held: Option<Box<Held>>,
}

impl Failure {
    pub fn new(reason: Reason, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, what: what.into(), remedy: remedy.into(), retry_after: None, held: None }
    }

    pub fn no_secret(names: &Names) -> Self {
        Self::new(
            Reason::CredentialsMissing,
            format!("There is no Secret {} in namespace {}.", names.secret, names.namespace),
            format!("Create it with the keys {}.", names.keys()),
        )
    }

    pub fn no_key(names: &Names, key: &str) -> Self {
        Self::new(
            Reason::CredentialsMissing,
            format!("Secret {} has no key {key}, or it is empty.", names.secret),
            format!("Put the keys {} into it.", names.keys()),
        )
    }

    pub fn unusable(names: &Names, why: &boxapi::Unusable) -> Self {
        let what = format!("The credentials in Secret {} cannot be used: {why}", names.secret);
        Self::new(Reason::CredentialsInvalid, ended(what), "")
    }

    pub fn oauth_disabled(names: &Names) -> Self {
        Self::new(
            Reason::OAuthDisabled,
            format!(
                "BoxConnection {} signs in with a user's authorization (OAuth 2.0), and this operator runs without --oauth.",
                names.connection
            ),
            "A cluster admin runs the operator with --oauth and gives it the right to create and update Secrets (the chart's value oauth.enabled), or the connection gets another method in spec.auth.",
        )
    }

    /// The tokens of a user's authorization could not be had, or not be kept.
    fn unkept(names: &Names, why: Unkept) -> Self {
        let (secret, name, namespace) = (names.tokens(), &names.connection, &names.namespace);
        match why {
            Unkept::Elsewhere => Self::new(
                Reason::RestoredTokens,
                format!(
                    "The tokens in Secret {secret} belong to a BoxConnection of another cluster, or to one that was deleted: they came back from a backup. Using them here would end the authorization there, so they are not used."
                ),
                format!(
                    "For an authorization of its own, run kubectl boxsync connect {name} -n {namespace}. If the other connection is gone for good, hand its tokens over: kubectl annotate secret {secret} -n {namespace} --overwrite {CONNECTION_UID}={}.",
                    names.uid
                ),
            ),
            Unkept::InTheWay => Self::new(
                Reason::CredentialsInvalid,
                format!(
                    "There is a Secret {secret} in namespace {namespace} that the operator has not made, where it keeps the tokens of this connection."
                ),
                "Rename or delete that Secret, or give the BoxConnection another name.",
            ),
            Unkept::Denied => Self::new(
                Reason::Internal,
                format!(
                    "The API server does not let the operator keep tokens in Secret {secret}. Nothing was renewed."
                ),
                format!(
                    "A cluster admin gives the operator's ServiceAccount the right to get, create and update Secrets in namespace {namespace} (the chart's value oauth.enabled)."
                ),
            ),
            Unkept::Unreachable => Self::new(
                Reason::Internal,
                format!("The API server did not answer when Secret {secret} was read or written. Nothing was renewed."),
                "",
            ),
            Unkept::Lost => Self::new(
                Reason::Internal,
                format!("Box renewed the tokens, and they could not be written into Secret {secret}."),
                format!(
                    "If the next attempt finds the authorization expired, run kubectl boxsync connect {name} -n {namespace}."
                ),
            ),
            Unkept::Nobody => Self::oauth_disabled(names),
        }
    }

    pub fn no_method(names: &Names) -> Self {
        Self::new(
            Reason::CredentialsInvalid,
            format!("BoxConnection {} names no sign-in method, or more than one.", names.connection),
            "Set exactly one of spec.auth.clientCredentials, spec.auth.jwt and spec.auth.oauth2.",
        )
    }

    pub fn mismatch(names: &Names, found: Option<(&str, &str)>) -> Self {
        let belongs = match found {
            Some((id, "")) => format!("to enterprise {id}"),
            Some((id, name)) => format!("to enterprise {id} ({name})"),
            None => "to an account outside any enterprise".to_owned(),
        };
        Self::new(
            Reason::EnterpriseMismatch,
            format!(
                "The credentials in Secret {} belong {belongs}, not to enterprise {}.",
                names.secret, names.enterprise
            ),
            format!(
                "Put the credentials of enterprise {} into the Secret, or create a BoxConnection for the other enterprise.",
                names.enterprise
            ),
        )
    }

    /// What an error of the Box client means; `None` where the visit was told to stop.
    pub fn of_box(names: &Names, error: &boxapi::Error) -> Option<Self> {
        let what = sentence(&error.to_string());
        let failure = match error {
            boxapi::Error::Refused { refusal, .. } => {
                let (reason, remedy) = refused(names, *refusal);
                Self::new(reason, what, remedy)
            }
            boxapi::Error::Limited { wait, .. } => {
                Self { retry_after: *wait, ..Self::new(Reason::RateLimited, what, "") }
            }
            boxapi::Error::Unavailable { wait, .. } => {
                Self { retry_after: *wait, ..Self::new(Reason::BoxUnavailable, what, "") }
            }
            boxapi::Error::Invalid { what: Nonsense::NoUsers, .. } => {
                Self::new(Reason::BoxResponseInvalid, what, CHECK_SCOPES)
            }
            boxapi::Error::Invalid { .. } => Self::new(
                Reason::BoxResponseInvalid,
                what,
                "If it lasts, look at what stands between the operator and Box (a proxy?), and tell Box's support the request id.",
            ),
            boxapi::Error::ClockSkew { .. } => Self::new(
                Reason::ClockSkew,
                what,
                "A cluster admin sets the clock of the node that the operator runs on.",
            ),
            boxapi::Error::TooLarge(_) => Self::new(
                Reason::ListTooLarge,
                what,
                "Please report the size of the enterprise to the makers of the operator.",
            ),
            boxapi::Error::Unkept(why) => Self::unkept(names, *why),
            boxapi::Error::Stopped => return None,
        };
        Some(failure)
    }
}

const CHECK_SCOPES: &str = "In Box's developer console, the app needs the scope \"Manage users\" and the access level \"App + Enterprise Access\"; after a change of either, a Box admin authorizes the app again (Admin Console > Integrations > Platform Apps Manager).";

fn refused(names: &Names, refusal: Refusal) -> (Reason, String) {
    let (app, secret, enterprise) = (names.app(), &names.secret, &names.enterprise);
    match refusal {
        Refusal::AppNotAuthorized => (
            Reason::AppNotAuthorized,
            format!(
                "A Box admin of enterprise {enterprise} authorizes {app} (Admin Console > Integrations > Platform Apps Manager; again after every change of its scopes)."
            ),
        ),
        Refusal::AuthorizationExpired if names.method == Some(AuthType::Oauth2) => (
            Reason::AuthorizationExpired,
            format!(
                "An admin or co-admin of enterprise {enterprise} authorizes {app} again: kubectl boxsync connect {} -n {}.",
                names.connection, names.namespace
            ),
        ),
        Refusal::AuthorizationExpired => (
            Reason::AuthorizationExpired,
            format!(
                "A Box admin of enterprise {enterprise} authorizes {app} again (Admin Console > Integrations > Platform Apps Manager), or its owner puts new credentials into Secret {secret}."
            ),
        ),
        Refusal::AccessBlocked => (
            Reason::AccessBlocked,
            format!(
                "A Box admin of enterprise {enterprise} allows {app} from this network and under the enterprise's security policies (Admin Console > Enterprise Settings > Security)."
            ),
        ),
        Refusal::PermissionDenied => (Reason::PermissionDenied, CHECK_SCOPES.to_owned()),
        Refusal::CredentialsRejected(why) => (Reason::CredentialsRejected, rejected(names, why)),
    }
}

fn rejected(names: &Names, why: Rejected) -> String {
    let (app, secret, enterprise) = (names.app(), &names.secret, &names.enterprise);
    match why {
        Rejected::ClientInvalid => format!(
            "Put the current client id and secret of the app (Box's developer console > Configuration) into Secret {secret}."
        ),
        Rejected::GrantInvalid => format!(
            "Box says this for four causes. Check in its developer console that the secret in Secret {secret} is current, that {enterprise} is the enterprise's id, that the access level is \"App + Enterprise Access\", and that a Box admin has authorized {app}."
        ),
        Rejected::KeyReplaced => format!(
            "The key pair was replaced: download a new config.json from Box's developer console and put it into Secret {secret}."
        ),
        Rejected::SubjectWrong => {
            format!("Check that spec.enterpriseId {enterprise} is the id of the enterprise that {app} belongs to.")
        }
        Rejected::GrantTypeNotAllowed => format!(
            "{} is made for another way to sign in: choose the other method in spec.auth, or create an app of the right type.",
            capitalized(&app)
        ),
        Rejected::CodeInvalid => format!(
            "A code of Box's authorize page is good once, and for 30 seconds: run kubectl boxsync connect {} -n {} again.",
            names.connection, names.namespace
        ),
        Rejected::Unknown => format!(
            "Check in Box's developer console that {app} is active and that Secret {secret} holds its current credentials."
        ),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `text` as a sentence: a capital at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    ended(capitalized(text.trim()))
}

fn ended(text: String) -> String {
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}
