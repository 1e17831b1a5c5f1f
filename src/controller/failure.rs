//! Why an attempt ended without a list, in words for a person. Pure: errors of other rooms are translated here, by
//! exhaustive tables, and no error of a library reaches a user's eyes.

use std::time::Duration;

use crate::{
    api::{AuthType, BoxConnection, Held, Reason},
    boxapi::{self, Nonsense, Refusal, Rejected},
    cluster::Trouble,
    roster::{self, Conflict},
};

/// A failed attempt: what happened, who does what where, and when Box wants to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// What happened, in Box's words where they are Box's: whole sentences.
    pub(super) what: String,
    /// Who does what where: whole sentences; empty where nobody has to.
    pub(super) remedy: String,
    /// The wait that Box itself asked for.
    pub(super) retry_after: Option<Duration>,
    /// Removals that wait for approval, where nothing could be published for them.
    pub(super) held: Option<Box<Held>>,
}

/// The names that a remedy speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) connection: String,
    pub(super) namespace: String,
    pub(super) secret: String,
    pub(super) enterprise: String,
    pub(super) method: Option<AuthType>,
    /// Known once the Secret was read.
    pub(super) client_id: Option<String>,
}

impl Names {
    pub(super) fn of(connection: &BoxConnection) -> Self {
        let chosen = connection.spec.auth.chosen();
        Self {
            connection: connection.metadata.name.clone().unwrap_or_default(),
            namespace: connection.metadata.namespace.clone().unwrap_or_default(),
            secret: chosen.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            enterprise: connection.spec.enterprise_id.clone(),
            method: chosen.map(|(method, _)| method),
            client_id: None,
        }
    }

    fn app(&self) -> String {
        self.client_id
            .as_ref()
            .map_or_else(|| "the Box app".to_owned(), |id| format!("the Box app with client id {id}"))
    }

    /// The Secret's keys for this method, as a remedy names them.
    fn keys(&self) -> &'static str {
        match self.method {
            Some(AuthType::ClientCredentials) => "clientId and clientSecret",
            Some(AuthType::Jwt) => "config.json",
            None => "of one sign-in method",
        }
    }
}

impl Failure {
    pub(super) fn new(reason: Reason, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, what: what.into(), remedy: remedy.into(), retry_after: None, held: None }
    }

    pub(super) fn no_secret(names: &Names) -> Self {
        Self::new(
            Reason::CredentialsMissing,
            format!("There is no Secret {} in namespace {}.", names.secret, names.namespace),
            format!("Create it with the keys {}.", names.keys()),
        )
    }

    pub(super) fn no_key(names: &Names, key: &str) -> Self {
        Self::new(
            Reason::CredentialsMissing,
            format!("Secret {} has no key {key}, or it is empty.", names.secret),
            format!("Put the keys {} into it.", names.keys()),
        )
    }

    pub(super) fn unusable(names: &Names, why: &boxapi::Unusable) -> Self {
        let what = format!("The credentials in Secret {} cannot be used: {why}", names.secret);
        Self::new(Reason::CredentialsInvalid, ended(what), "")
    }

    pub(super) fn secret_forbidden(names: &Names) -> Self {
        Self::new(
            Reason::Internal,
            format!("The API server does not let the operator read Secret {}.", names.secret),
            format!(
                "A cluster admin gives the operator's ServiceAccount the right to get Secrets in namespace {} (a RoleBinding to the operator's ClusterRole, as its chart makes it).",
                names.namespace
            ),
        )
    }

    pub(super) fn secret_unreadable(names: &Names, code: u16) -> Self {
        Self::new(
            Reason::Internal,
            format!("The API server answered {code} when the operator read Secret {}.", names.secret),
            "If it lasts, a cluster admin looks at the API server's log.",
        )
    }

    pub(super) fn no_method(names: &Names) -> Self {
        Self::new(
            Reason::CredentialsInvalid,
            format!("BoxConnection {} names no sign-in method, or more than one.", names.connection),
            "Set exactly one of spec.auth.clientCredentials and spec.auth.jwt.",
        )
    }

    pub(super) fn mismatch(names: &Names, found: Option<(&str, &str)>) -> Self {
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

    pub(super) fn panicked() -> Self {
        Self::new(
            Reason::Internal,
            "The operator ran into an error of its own.",
            "The operator's log has the details; please report them.",
        )
    }

    /// What it means that a list could not be published.
    pub(super) fn of_roster(names: &Names, error: &roster::Error) -> Self {
        match error {
            roster::Error::Conflict(conflict) => Self::conflict(names, conflict),
            roster::Error::TooLarge { .. } | roster::Error::LineTooLong => Self::new(
                Reason::ListTooLarge,
                format!("The list cannot be published: {error}."),
                "Please report the size of the enterprise to the makers of the operator.",
            ),
            roster::Error::Unknown(held) => Self {
                held: Some(Box::new(held.clone())),
                ..Self::new(
                    Reason::RemovalsHeld,
                    format!(
                        "The published list was deleted or damaged, and {} of its {} users are missing in Box; nobody knows who they are. Nothing was published.",
                        held.removals, held.total
                    ),
                    format!(
                        "Restore the UserRoster {} and its UserSlices from a backup, or, if so many users are really gone, create a UserSyncRequest with approveRemovals: \"{}\".",
                        names.connection, held.digest
                    ),
                )
            },
            roster::Error::Trouble(trouble) => Self::of_trouble(names, trouble),
        }
    }

    /// Another roster of the connection's name is in the way.
    pub(super) fn conflict(names: &Names, conflict: &Conflict) -> Self {
        let (name, namespace) = (&names.connection, &names.namespace);
        let remedy = match conflict {
            Conflict::OtherOwner => format!(
                "If it belongs to a BoxConnection {name} that was deleted, Kubernetes removes it by itself within a minute or two; otherwise find its owner (kubectl get userroster {name} -o yaml) and delete the roster."
            ),
            Conflict::OtherEnterprise(_) => format!(
                "Nobody owns it: if it is no longer needed, delete it (kubectl delete userroster {name} -n {namespace}); otherwise give this BoxConnection another name."
            ),
            Conflict::NewerFormat(_) => "Run the newer version of the operator again, or delete the roster.".to_owned(),
        };
        Self::new(
            Reason::RosterConflict,
            format!("There is a UserRoster {name} in namespace {namespace} that is not this connection's: {conflict}."),
            remedy,
        )
    }

    fn of_trouble(names: &Names, trouble: &Trouble) -> Self {
        let namespace = &names.namespace;
        match trouble {
            Trouble::Forbidden(_) => Self::new(
                Reason::Internal,
                "The API server does not let the operator write the list.",
                format!(
                    "A cluster admin gives the operator's ServiceAccount the rights to UserRosters and UserSlices in namespace {namespace} (a RoleBinding to the operator's ClusterRole, as its chart makes it)."
                ),
            ),
            Trouble::Refused { code, .. } => Self::new(
                Reason::Internal,
                format!("The API server answered {code} when the list was written."),
                "If it lasts, a cluster admin looks at the API server's log: is a quota or an admission webhook in the way, is etcd full?",
            ),
            Trouble::NotFound | Trouble::NotServed => Self::new(
                Reason::Internal,
                "The API server does not know UserRosters and UserSlices.",
                "A cluster admin installs the CustomResourceDefinitions of this version of the operator.",
            ),
            Trouble::Conflict => Self::new(
                Reason::Internal,
                "Others wrote the list again and again while it was to be published.",
                "Check that no second operator works on this namespace.",
            ),
            Trouble::Unreachable(_) => {
                Self::new(Reason::Internal, "The API server could not be reached when the list was to be written.", "")
            }
        }
    }

    /// What an error of the Box client means; `None` where the visit was told to stop.
    pub(super) fn of_box(names: &Names, error: &boxapi::Error) -> Option<Self> {
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
