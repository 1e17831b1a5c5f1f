//! `check`: what the operator last saw, and then whatever a connection needs, tried from this terminal.

use std::path::Path;

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::Resource;
use secrecy::SecretSlice;
use serde::de::DeserializeOwned;

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    finding::{Check, Finding},
    flags::CheckFlags,
    gate::{self, Pass},
    leader::{self, Leader},
    round::Round,
    seen::Seen,
    site::Site,
    trouble::{self, Right},
};
use crate::{
    api::{AuthType, BoxConnection, Reason, UserRoster, UserSlice, UserSyncRequest},
    boxapi::Credentials,
    cluster::Trouble,
    signin::{self, Failure, Names},
};

/// All but those of the cluster.
const OF_BOX: &[Check] = &[Check::Reachable, Check::Clock, Check::Token, Check::Enterprise, Check::Users];

/// `site` is not needed where a file is checked.
pub(super) async fn run(flags: &CheckFlags, site: Option<&Site>, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    match (&flags.file, &flags.name, site) {
        (Some(file), _, _) => of_file(file, flags, desk).await,
        (None, Some(name), Some(site)) => of_connection(name, flags, site, desk).await,
        (None, _, _) => Err(Stop::usage("name a connection, or a file with --file.")),
    }
}

async fn of_connection(name: &str, flags: &CheckFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let now = desk.clock.now();
    let leader = leader::leader(site, flags.operator_namespace.as_deref(), now).await?;
    let missing = Box::pin(missing(site, name)).await;
    if missing.contains(&"BoxConnections") {
        let mut round = Round::new(flags.output, desk);
        round.note(operator(&leader))?;
        round.note(kinds(&missing))?;
        round.skip(&[Check::Secret, Check::Key], "Not checked: there can be no connection.")?;
        round.skip(OF_BOX, "Not checked: there can be no connection.")?;
        return round.end(None);
    }
    let connection = site.connection(name).await?;
    let seen = Seen::new(leader.clone(), &connection, now);
    let text = format!("{}\n{}\n", seen.text(desk.ink), desk.ink.bold("Checked from this terminal"));
    let mut round = Round::new(flags.output, desk);
    round.say(&text)?;
    round.note(operator(&leader))?;
    round.note(kinds(&missing))?;
    let names = Names::of(&connection);
    let pass = pass(&mut round, site, &connection, &names).await?;
    Box::pin(gate::tried(&mut round, &flags.box_api_url, &names, pass)).await?;
    round.end(Some(&seen))
}

fn operator(leader: &Leader) -> Finding {
    match leader {
        Leader::Leads { name, lease, .. } => {
            Finding::fine(Check::Operator, format!("{name} leads, and renews Lease {lease}."))
        }
        Leader::Late { lease, .. } => Finding::wrong(
            Check::Operator,
            format!("No operator leads: nobody renews Lease {lease}."),
            START_THE_OPERATOR,
        ),
        Leader::Nobody { r#where } => Finding::wrong(
            Check::Operator,
            format!("No operator leads: there is no Lease of one in {}.", r#where),
            START_THE_OPERATOR,
        ),
        Leader::Unknown { why } => Finding::unchecked(Check::Operator, format!("Not checked: {why}.")),
    }
}

const START_THE_OPERATOR: &str = "A cluster admin looks why it does not run (kubectl get pods -A -l app.kubernetes.io/name=boxsync-operator), or installs the chart boxsync-operator.";

/// Those of our kinds that the API server does not serve.
async fn missing(site: &Site, name: &str) -> Vec<&'static str> {
    let (connections, requests, rosters, slices) = tokio::join!(
        unserved::<BoxConnection>(site, name),
        unserved::<UserSyncRequest>(site, name),
        unserved::<UserRoster>(site, name),
        unserved::<UserSlice>(site, name),
    );
    let kinds = [
        (connections, "BoxConnections"),
        (requests, "UserSyncRequests"),
        (rosters, "UserRosters"),
        (slices, "UserSlices"),
    ];
    kinds.into_iter().filter(|(unserved, _)| *unserved).map(|(_, kind)| kind).collect()
}

/// Whether the kind is unknown here. Who may not read such objects is told nothing: then it is taken to be there.
async fn unserved<K>(site: &Site, name: &str) -> bool
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    matches!(site.cluster.call(site.cluster.api::<K>(&site.namespace).get(name)).await, Err(Trouble::NotServed))
}

fn kinds(missing: &[&str]) -> Finding {
    match missing {
        [] => Finding::fine(Check::Kinds, "The API server serves the kinds of boxsync."),
        missing => Finding::wrong(
            Check::Kinds,
            format!("The API server serves no {}.", missing.join(", ")),
            "A cluster admin installs the CRDs: kubectl apply --server-side -f crds/.",
        ),
    }
}

/// What Box can be shown: the Secret is read with the caller's own rights.
async fn pass(round: &mut Round<'_, '_>, site: &Site, connection: &BoxConnection, names: &Names) -> Result<Pass, Stop> {
    let Some((method, name)) = connection.spec.auth.chosen() else {
        round.note(Finding::failed(Check::Secret, &Failure::no_method(names)))?;
        return without(round, "Not checked: it is not known how to sign in.");
    };
    let secret = match read(site, name).await {
        Ok(secret) => secret,
        Err(Trouble::NotFound) => {
            round.note(Finding::failed(Check::Secret, &Failure::no_secret(names)))?;
            return without(round, "Not checked: there is no Secret.");
        }
        Err(trouble) => {
            let why = trouble::sentence(&trouble, &Right::to("get", "secrets", &site.namespace));
            round.note(Finding::unchecked(Check::Secret, format!("Not checked: {why}")))?;
            return without(round, "Not checked: it needs what is in the Secret, which you cannot read.");
        }
    };
    round.note(Finding::fine(Check::Secret, format!("Secret {name} is there.")))?;
    match method {
        AuthType::ClientCredentials | AuthType::Jwt => {
            held(round, signin::credentials(names, method, secret), &format!("Secret {name}"))
        }
        AuthType::Oauth2 => stored(round, site, names, secret).await,
    }
}

fn without(round: &mut Round<'_, '_>, why: &str) -> Result<Pass, Stop> {
    round.skip(&[Check::Key], why)?;
    Ok(Pass::None(why.to_owned()))
}

async fn read(site: &Site, name: &str) -> Result<Secret, Trouble> {
    site.cluster.call(site.cluster.api::<Secret>(&site.namespace).get(name)).await
}

/// What the credentials of an app are worth.
fn held(round: &mut Round<'_, '_>, read: Result<Credentials, Failure>, place: &str) -> Result<Pass, Stop> {
    match read {
        Ok(credentials) => {
            round.note(Finding::fine(Check::Key, complete(&credentials, place)))?;
            Ok(Pass::Credentials(credentials))
        }
        // They were read: what is wrong is whose they are.
        Err(failure) if failure.reason == Reason::EnterpriseMismatch => {
            round.note(Finding::fine(Check::Key, format!("What {place} holds is complete, and can be read.")))?;
            Ok(Pass::Foreign(failure))
        }
        Err(failure) => {
            round.note(Finding::failed(Check::Key, &failure))?;
            Ok(Pass::None("Not checked: the credentials cannot be used.".to_owned()))
        }
    }
}

fn complete(credentials: &Credentials, place: &str) -> String {
    let what = match credentials {
        Credentials::ClientCredentials(_) => "has a client id and a client secret",
        Credentials::Jwt(_) => "is complete, and its key can be decrypted",
        Credentials::Oauth2(_) | Credentials::Code(_) => "has a client id, a client secret and a refresh token",
    };
    format!("{place} {what}; the app's client id is {}.", credentials.client_id())
}

/// A user's authorization: its tokens are the operator's, and only looked at.
async fn stored(round: &mut Round<'_, '_>, site: &Site, names: &Names, seed: Secret) -> Result<Pass, Stop> {
    match signin::credentials(names, AuthType::Oauth2, seed) {
        Ok(credentials) => {
            let told = complete(&credentials, &format!("Secret {}", names.secret));
            round.note(Finding::fine(Check::Key, told))?;
        }
        Err(failure) => round.note(Finding::failed(Check::Key, &failure))?,
    }
    let place = names.tokens();
    let why = match read(site, &place).await {
        Ok(secret) => match signin::stored_token(secret) {
            Some(token) => return Ok(Pass::Lent(token)),
            None => format!("Secret {place} has no access token yet"),
        },
        Err(Trouble::NotFound) => format!("the operator has stored no tokens yet (Secret {place})"),
        Err(trouble) => {
            let told = trouble::sentence(&trouble, &Right::to("get", "secrets", &site.namespace));
            told.trim_end_matches('.').to_owned()
        }
    };
    Ok(Pass::None(format!(
        "Not checked: {why}. A token is not asked for from here, since a refresh token works once and is the operator's."
    )))
}

async fn of_file(file: &Path, flags: &CheckFlags, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let place = if file == Path::new("-") { "the file".to_owned() } else { file.display().to_string() };
    let read = Credentials::jwt(bytes(file, desk)?);
    let own = read.as_ref().ok().and_then(|c| c.enterprise_id()).map(str::to_owned);
    let enterprise = match (&flags.enterprise_id, &own, &read) {
        (Some(asked), _, _) => asked.clone(),
        (None, Some(own), _) => own.clone(),
        (None, None, Err(_)) => String::new(),
        (None, None, Ok(_)) => {
            return Err(Stop::usage(format!(
                "{place} names no enterprise: say with --enterprise-id which one is meant (Admin Console > Account & Billing)."
            )));
        }
    };
    // The Secret that the file will end up in has no name yet.
    let names = Names { enterprise, secret: "NAME".to_owned(), method: Some(AuthType::Jwt), ..Names::default() };
    let read = match (read, own) {
        (Ok(_), Some(own)) if own != names.enterprise => Err(Failure::new(
            Reason::EnterpriseMismatch,
            format!("The file is made for enterprise {own}, not for enterprise {}.", names.enterprise),
            format!("Use the file of an app of enterprise {}, or another --enterprise-id.", names.enterprise),
        )),
        (Ok(credentials), _) => Ok(credentials),
        (Err(why), _) => Err(Failure::new(Reason::CredentialsInvalid, why.to_string(), "")),
    };
    let mut round = Round::new(flags.output, desk);
    let pass = held(&mut round, read, &place)?;
    Box::pin(gate::tried(&mut round, &flags.box_api_url, &names, pass)).await?;
    round.end(None)
}

fn bytes(file: &Path, desk: &mut Desk<'_>) -> Result<SecretSlice<u8>, Stop> {
    let mut bytes = Vec::new();
    let read =
        if file == Path::new("-") { desk.input.read_to_end(&mut bytes).map(|_| bytes) } else { std::fs::read(file) };
    read.map(SecretSlice::from).map_err(|e| {
        Stop::usage(format!(
            "{} cannot be read: {e}. Name the file that Box's developer console hands out, or - for standard input.",
            file.display()
        ))
    })
}
