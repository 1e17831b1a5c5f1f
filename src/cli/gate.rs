//! Box's gate, tried from here step by step: is it there, does it know us, does it open, and on what.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    exit::Stop,
    finding::{Check, Finding},
    round::Round,
};
use crate::{
    api::Reason,
    boxapi::{self, Account, BaseUrl, Credentials, Proxy, Session, Transport, Visit},
    signin::{Failure, Names},
};

/// Longer than the client's own tries take, and as long as a person watches.
const LIMIT: Duration = Duration::from_secs(45);

/// What Box is shown.
pub(super) enum Pass {
    Credentials(Credentials),
    /// An access token that the operator keeps: shown, and never renewed from here.
    Lent(SecretString),
    /// The credentials say themselves that they belong to another enterprise.
    Foreign(Failure),
    /// Nothing, and why.
    None(String),
}

/// Tries all that concerns Box.
pub(super) async fn tried(round: &mut Round<'_, '_>, base: &BaseUrl, names: &Names, pass: Pass) -> Result<(), Stop> {
    let proxy = Proxy::from_env().towards(base);
    let reached = match boxapi::https(env!("CARGO_PKG_VERSION")) {
        Ok(transport) => boxapi::reach(&transport, base).await.map(|reached| (transport, reached)),
        Err(error) => Err(error),
    };
    match reached {
        Ok((transport, reached)) => {
            let by = proxy.map_or_else(|| "without a proxy".to_owned(), |proxy| format!("through the proxy {proxy}"));
            round.note(Finding::fine(Check::Reachable, format!("{base} answers, {by}.")))?;
            let now = round.desk.clock.now();
            round.note(Finding::clock(reached.date, now))?;
            entered(round, transport, base, names, pass).await
        }
        Err(error) => {
            round.note(Finding::unreached(&error, proxy.as_deref()))?;
            let why = "Not checked: Box cannot be reached from here.";
            round.skip(&[Check::Clock, Check::Token], why)?;
            match pass {
                Pass::Foreign(failure) => round.note(Finding::failed(Check::Enterprise, &failure))?,
                Pass::Credentials(_) | Pass::Lent(_) | Pass::None(_) => round.skip(&[Check::Enterprise], why)?,
            }
            round.skip(&[Check::Users], why)
        }
    }
}

async fn entered(
    round: &mut Round<'_, '_>,
    transport: Transport,
    base: &BaseUrl,
    names: &Names,
    pass: Pass,
) -> Result<(), Stop> {
    let clock = round.desk.clock.clone();
    let (base, now) = (base.clone(), Arc::new(move || clock.now()));
    let why = match pass {
        Pass::Credentials(credentials) => {
            let names = Names { client_id: Some(credentials.client_id().to_owned()), ..names.clone() };
            let session = Session::new(transport, base, credentials, names.enterprise.clone(), now);
            let visit = session.visit(CancellationToken::new());
            return own(round, &visit, &names).await;
        }
        Pass::Lent(token) => match Session::lent(transport, base, token, now) {
            Ok(session) => {
                let visit = session.visit(CancellationToken::new());
                return lent(round, &visit, names).await;
            }
            Err(_) => "Not checked: what is stored as the access token is none. The operator renews it when it next needs one.".to_owned(),
        },
        Pass::Foreign(failure) => {
            let why = "Not checked: the credentials are those of another enterprise.";
            round.skip(&[Check::Token], why)?;
            round.note(Finding::failed(Check::Enterprise, &failure))?;
            return round.skip(&[Check::Users], why);
        }
        Pass::None(why) => why,
    };
    round.skip(&[Check::Token, Check::Enterprise, Check::Users], &why)
}

/// With the credentials themselves.
async fn own(round: &mut Round<'_, '_>, visit: &Visit, names: &Names) -> Result<(), Stop> {
    if let Err(failure) = answered(names, visit.sign_in()).await {
        round.note(Finding::failed(Check::Token, &failure))?;
        return round.skip(&[Check::Enterprise, Check::Users], "Not checked: Box gives no token.");
    }
    let client_id = names.client_id.as_deref().unwrap_or_default();
    let said = format!("Box gives a token to the app with client id {client_id}.");
    round.note(Finding::fine(Check::Token, said))?;
    match answered(names, visit.account()).await {
        Ok(account) => inside(round, visit, names, account).await,
        Err(failure) => {
            round.note(Finding::failed(Check::Enterprise, &failure))?;
            round.skip(&[Check::Users], "Not checked: Box does not say who we are.")
        }
    }
}

/// With the access token that the operator keeps.
async fn lent(round: &mut Round<'_, '_>, visit: &Visit, names: &Names) -> Result<(), Stop> {
    let failure = match answered(names, visit.account()).await {
        Ok(account) => {
            let said = "Box takes the access token that the operator keeps. A new one is not asked for from here: a refresh token works once, and is the operator's.";
            round.note(Finding::fine(Check::Token, said))?;
            return inside(round, visit, names, account).await;
        }
        Err(failure) => failure,
    };
    if failure.reason == Reason::AuthorizationExpired {
        // It lives an hour, and the operator renews it only when it needs one: this is no fault.
        let why = "Not checked: the access token that the operator keeps has run out, and a new one is not asked for from here, since a refresh token works once. The operator renews it when it next needs one.";
        return round.skip(&[Check::Token, Check::Enterprise, Check::Users], why);
    }
    round.note(Finding::failed(Check::Token, &failure))?;
    round.skip(&[Check::Enterprise, Check::Users], "Not checked: Box does not let us in.")
}

/// Box knows us: whose it takes us for, and what it lets us see.
async fn inside(round: &mut Round<'_, '_>, visit: &Visit, names: &Names, account: Account) -> Result<(), Stop> {
    match account.enterprise {
        Some(found) if found.id == names.enterprise => {
            let name = if found.name.is_empty() { String::new() } else { format!(" ({})", found.name) };
            let said = format!("The credentials are those of enterprise {}{name}.", found.id);
            round.note(Finding::fine(Check::Enterprise, said))?;
        }
        other => {
            let found = other.as_ref().map(|e| (e.id.as_str(), e.name.as_str()));
            round.note(Finding::failed(Check::Enterprise, &Failure::mismatch(names, found)))?;
            return round.skip(&[Check::Users], "Not checked: it would be another enterprise's.");
        }
    }
    match answered(names, visit.may_list_users()).await {
        Ok(()) => round.note(Finding::fine(Check::Users, "Box lets the app list users.")),
        Err(failure) => round.note(Finding::failed(Check::Users, &failure)),
    }
}

/// What Box answered, in the operator's own words where it is no.
async fn answered<T>(names: &Names, asked: impl Future<Output = Result<T, boxapi::Error>>) -> Result<T, Failure> {
    let late = || {
        let what = format!("Box gave no usable answer within {} s.", LIMIT.as_secs());
        Failure::new(Reason::BoxUnavailable, what, "")
    };
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(answer) => answer.map_err(|error| Failure::of_box(names, &error).unwrap_or_else(late)),
        Err(_) => Err(late()),
    }
}
