//! Box entered with credentials: who answers, for which enterprise, and what is said when it does not let us in.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretSlice};
use tokio_util::sync::CancellationToken;

use super::aim::Aim;
use super::flags::ConnectFlags;
use crate::{
    boxapi::{self, Credentials, Session, Unusable},
    cli::{
        desk::Desk,
        exit::{Exit, Stop},
    },
    signin::{Failure, Names},
};

pub(super) struct Entry {
    session: Session,
    names: Names,
}

/// The Box account that the credentials act as.
pub(super) struct Account {
    login: String,
    enterprise: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of enterprise {}", self.login, self.enterprise)
    }
}

impl Entry {
    pub(super) fn new(
        flags: &ConnectFlags,
        aim: &Aim,
        credentials: Credentials,
        desk: &Desk<'_>,
    ) -> Result<Self, Stop> {
        let transport = boxapi::https(env!("CARGO_PKG_VERSION"))
            .map_err(|e| Stop::trouble(format!("no client for Box could be made: {e}. Nothing was written.")))?;
        let names = Names { client_id: Some(credentials.client_id().to_owned()), ..aim.names.clone() };
        let clock = desk.clock.clone();
        let now: boxapi::Now = Arc::new(move || clock.now());
        let session = Session::new(transport, flags.box_api_url.clone(), credentials, names.enterprise.clone(), now);
        Ok(Self { session, names })
    }

    /// Signs in and asks who that is. Another enterprise's account is refused.
    pub(super) async fn account(&self) -> Result<Account, Stop> {
        let visit = self.session.visit(CancellationToken::new());
        let entered = async {
            visit.sign_in().await?;
            visit.account().await
        };
        let boxapi::Account { login, enterprise, id: _, name: _ } =
            entered.await.map_err(|error| refused(&self.names, &error))?;
        match enterprise {
            Some(found) if found.id == self.names.enterprise => {
                let name = if found.name.is_empty() { String::new() } else { format!(" ({})", found.name) };
                Ok(Account { login, enterprise: format!("{}{name}", found.id) })
            }
            other => {
                let found = other.as_ref().map(|found| (found.id.as_str(), found.name.as_str()));
                Err(of_another_enterprise(&format!("Box answers for {login},"), found, &self.names))
            }
        }
    }

    /// What the authorization of a user is renewed with.
    pub(super) fn refresh_token(&self) -> Result<SecretSlice<u8>, Stop> {
        let token = self.session.refresh_token().ok_or_else(|| {
            Stop::Told(
                Exit::NotSo,
                "Box granted access without a refresh token, so that it would end within the hour. Nothing was written. Check in Box's developer console that the app's authentication is \"User Authentication (OAuth 2.0)\"."
                    .to_owned(),
            )
        })?;
        Ok(SecretSlice::from(token.expose_secret().as_bytes().to_vec()))
    }
}

/// `who` goes on with "of enterprise …".
pub(super) fn of_another_enterprise(who: &str, found: Option<(&str, &str)>, names: &Names) -> Stop {
    let belongs = match found {
        Some((id, "")) => format!("of enterprise {id}"),
        Some((id, name)) => format!("of enterprise {id} ({name})"),
        None => "outside any enterprise".to_owned(),
    };
    Stop::Told(
        Exit::NotSo,
        format!(
            "{who} {belongs}, and {} is for enterprise {}. Nothing was written. Sign in to Box there (a private window of the browser forgets the other account), or use the credentials of an app of that enterprise.",
            names.connection, names.enterprise
        ),
    )
}

pub(super) fn unusable(why: Unusable) -> Stop {
    Stop::Told(Exit::NotSo, format!("what was given cannot be used. {why} Nothing was written."))
}

fn refused(names: &Names, error: &boxapi::Error) -> Stop {
    let told = Failure::of_box(names, error)
        .map_or_else(|| error.to_string(), |failure| format!("{} {}", failure.what, failure.remedy));
    Stop::Told(Exit::NotSo, format!("{} Nothing was written.", told.trim_end()))
}
