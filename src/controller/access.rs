//! Getting into Box: the Secret is read, its credentials are tried, and the enterprise that answers is checked.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    cluster::Trouble,
    context::Context,
    failure::{Failure, Names},
    memory::{Held, Version},
    observe::status_of,
    report::Access,
};
use crate::{
    api::{Account, App, AuthType, BoxConnection, Conditions, Consequence, Enterprise, State},
    boxapi::Visit,
    roster::digest_of,
    signin::credentials,
};

/// An API server that has just started denies what it will allow once it has read its rules; it is asked twice.
const RIGHTS_LOADED: Duration = Duration::from_secs(1);

/// How much is to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A token that still lives is proof enough: the listing will tell.
    Token,
    /// The credentials themselves: a new token is asked for.
    Credentials,
}

/// Box let us in.
pub(super) struct Admitted {
    pub(super) visit: Visit,
    pub(super) access: Access,
    pub(super) names: Names,
    /// Why the Secret's new content was not taken, where the older content went on.
    pub(super) passed_over: Option<Failure>,
    /// Calls made to Box before the visit.
    pub(super) calls_before: u32,
}

/// Why we did not get in.
#[derive(Debug)]
pub(super) enum Barred {
    /// It says something of the connection.
    Failed(Refused),
    /// The API server could not be asked: nobody knows.
    Trouble(Trouble),
    /// The visit was told to stop.
    Stopped,
}

/// Nobody let us in, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) failure: Failure,
    /// The app that the credentials name, as far as they could be read.
    pub(super) app: Option<App>,
    pub(super) calls: u32,
}

/// Reads which version of the Secret there is.
pub(super) async fn look(context: &Context, connection: &BoxConnection) -> Result<(), Trouble> {
    // Whatever comes of it, the next look is a minute away.
    context.recall(connection, |memory| memory.looked_at = Some(Instant::now()));
    let Some((method, secret_name)) = connection.spec.auth.chosen() else { return Ok(()) };
    let namespace = connection.namespace().unwrap_or_default();
    let secret = match context.cluster.secret(&namespace, secret_name).await {
        Ok(secret) => Some(secret),
        Err(Trouble::NotFound) => None,
        Err(trouble) => return Err(trouble),
    };
    let version = version(method, secret_name, secret.as_ref());
    context.recall(connection, |memory| memory.look(&version));
    Ok(())
}

/// Gets into Box with what the Secret holds now. New content that is no good leaves older credentials in use as long
/// as their token lives.
pub(super) async fn enter(
    context: &Context,
    connection: &BoxConnection,
    proof: Proof,
    stop: &CancellationToken,
) -> Result<Admitted, Barred> {
    let names = Names::of(connection);
    let Some((method, secret_name)) = connection.spec.auth.chosen() else {
        return Err(barred(Failure::no_method(&names)));
    };
    if method == AuthType::Oauth2 && !context.rules.oauth {
        return Err(barred(Failure::oauth_disabled(&names)));
    }
    let secret = read(context, connection, &names, secret_name).await?;
    let version = version(method, secret_name, secret.as_ref());
    context.recall(connection, |memory| {
        memory.look(&version);
        memory.try_with(&version);
    });
    let Some(secret) = secret else {
        context.recall(connection, |memory| memory.session = None);
        return Err(barred(Failure::no_secret(&names)));
    };
    let held = context.recall(connection, |memory| memory.session.clone());
    if let Some(held) = held.as_ref().filter(|held| held.version == version) {
        return admit(context, connection, held, proof, stop).await;
    }
    let resource_version = secret.resource_version().unwrap_or_default();
    let known = accepted(connection, &version, &resource_version);
    let new = match credentials(&names, method, secret) {
        Ok(credentials) => Held {
            version: version.clone(),
            resource_version,
            client_id: credentials.client_id().to_owned(),
            session: context.session(connection, credentials),
        },
        Err(failure) => {
            let refused = Refused { failure, app: None, calls: 0 };
            return older(context, connection, held, &version, refused, stop).await;
        }
    };
    let proof = if known { proof } else { Proof::Credentials };
    match admit(context, connection, &new, proof, stop).await {
        Ok(admitted) => {
            context.recall(connection, |memory| memory.session = Some(new));
            Ok(admitted)
        }
        Err(Barred::Failed(refused)) if refused.failure.reason.consequence() == Consequence::Disconnected => {
            older(context, connection, held, &version, refused, stop).await
        }
        Err(barred) => Err(barred),
    }
}

/// The credentials that were in use before, where the Secret's new content was refused.
async fn older(
    context: &Context,
    connection: &BoxConnection,
    held: Option<Held>,
    new: &Version,
    refused: Refused,
    stop: &CancellationToken,
) -> Result<Admitted, Barred> {
    let connected = status_of(connection).conditions.is("Connected", State::True);
    let usable = held.filter(|held| {
        let same = held.version.method == new.method && held.version.secret_name == new.secret_name;
        connected && same && held.session.holds_token()
    });
    let Some(held) = usable else { return Err(Barred::Failed(refused)) };
    match admit(context, connection, &held, Proof::Token, stop).await {
        Ok(admitted) => Ok(Admitted { passed_over: Some(refused.failure), calls_before: refused.calls, ..admitted }),
        Err(Barred::Failed(again)) => {
            // Trouble that passes does not say that the older credentials are lost as well.
            let calls = refused.calls + again.calls;
            let lost = again.failure.reason.consequence() == Consequence::Disconnected;
            Err(Barred::Failed(Refused { calls, ..if lost { refused } else { again } }))
        }
        Err(barred) => Err(barred),
    }
}

async fn read(
    context: &Context,
    connection: &BoxConnection,
    names: &Names,
    secret: &str,
) -> Result<Option<Secret>, Barred> {
    let namespace = connection.namespace().unwrap_or_default();
    let mut answer = context.cluster.secret(&namespace, secret).await;
    if matches!(answer, Err(Trouble::Forbidden(_))) {
        tokio::time::sleep(RIGHTS_LOADED).await;
        answer = context.cluster.secret(&namespace, secret).await;
    }
    match answer {
        Ok(secret) => Ok(Some(secret)),
        Err(Trouble::NotFound) => Ok(None),
        Err(Trouble::Forbidden(_)) => Err(barred(Failure::secret_forbidden(names))),
        Err(Trouble::Refused { code, .. }) => Err(barred(Failure::secret_unreadable(names, code))),
        Err(trouble @ (Trouble::Conflict | Trouble::NotServed | Trouble::Unreachable(_))) => {
            Err(Barred::Trouble(trouble))
        }
    }
}

/// Kept out before Box was asked.
fn barred(failure: Failure) -> Barred {
    Barred::Failed(Refused { failure, app: None, calls: 0 })
}

fn version(method: AuthType, secret_name: &str, secret: Option<&Secret>) -> Version {
    let data = secret.map(|s| s.data.iter().flatten());
    // A digest over digests: where one value ends and the next begins is part of it.
    let content =
        data.map(|data| data.map(|(key, value)| format!("{key}={}\n", digest_of(&value.0))).collect::<String>());
    Version { method, secret_name: secret_name.to_owned(), content: content.map(|c| digest_of(c.as_bytes())) }
}

/// Whether Box has accepted this very Secret before, maybe from another process.
fn accepted(connection: &BoxConnection, version: &Version, resource_version: &str) -> bool {
    status_of(connection).credentials.as_ref().is_some_and(|c| {
        c.method == version.method && c.secret_name == version.secret_name && c.resource_version == resource_version
    })
}

/// Tries a session and checks who answers.
async fn admit(
    context: &Context,
    connection: &BoxConnection,
    held: &Held,
    proof: Proof,
    stop: &CancellationToken,
) -> Result<Admitted, Barred> {
    let names = Names { client_id: Some(held.client_id.clone()), ..Names::of(connection) };
    let app = App { client_id: held.client_id.clone(), auth_type: held.version.method };
    let visit = held.session.visit(stop.clone()).heard_by(context.listener(connection));
    let answer = async {
        match proof {
            Proof::Token => {}
            Proof::Credentials => visit.sign_in().await?,
        }
        visit.account().await
    };
    let account = match answer.await {
        Ok(account) => account,
        Err(error) => {
            let failure = Failure::of_box(&names, &error).ok_or(Barred::Stopped)?;
            let wait = failure.retry_after.map(|wait| Instant::now() + wait);
            context.recall(connection, |memory| memory.allowed_at = wait);
            return Err(Barred::Failed(Refused { failure, app: Some(app), calls: visit.calls() }));
        }
    };
    context.recall(connection, |memory| memory.allowed_at = None);
    let found = match account.enterprise {
        Some(found) if found.id == names.enterprise => found,
        other => {
            let found = other.as_ref().map(|e| (e.id.as_str(), e.name.as_str()));
            let failure = Failure::mismatch(&names, found);
            return Err(Barred::Failed(Refused { failure, app: Some(app), calls: visit.calls() }));
        }
    };
    let passed_over = held.session.passed_over().and_then(|error| Failure::of_box(&names, &error));
    // What was passed over was not accepted.
    let before = status_of(connection).credentials.as_ref().filter(|_| passed_over.is_some());
    let resource_version = before.map_or(&held.resource_version, |c| &c.resource_version).clone();
    let access = Access {
        enterprise: Enterprise { id: found.id, name: found.name },
        account: Account { id: account.id, login: account.login, name: account.name },
        app,
        method: held.version.method,
        secret_name: held.version.secret_name.clone(),
        resource_version,
        authorization_ends: held.session.authorization_ends(),
    };
    Ok(Admitted { visit, access, names, passed_over, calls_before: 0 })
}
