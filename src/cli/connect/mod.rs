//! `connect`: credentials from a person to Box and into the Secret, then a sync that shows whether they work. A reconnect
//! is the same.
//!
//! | file | holds |
//! | --- | --- |
//! | `flags` | what may be asked |
//! | `aim` | the connection that is meant: one that is there, or one to create |
//! | `given` | what the person hands over, on standard input or in a file |
//! | `grant`, `loopback` | OAuth 2.0: Box's page, and the answer that comes back from it |
//! | `entry` | Box is entered with it: who answers, and for which enterprise |
//! | `secret`, `keeper` | the Secret: read, written, and who else writes it |
//!
//! Invariant: nothing is written before Box has answered for the right enterprise, but with --no-check.

mod aim;
mod entry;
mod flags;
mod given;
mod grant;
mod keeper;
mod loopback;
mod secret;

use aim::Aim;
use entry::Entry;
pub(super) use flags::ConnectFlags;
use kube::ResourceExt;
use secret::Content;

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    site::Site,
    sync,
    wait::{self, Awaited},
};
use crate::{
    api::{AuthType, BoxConnection},
    boxapi::Credentials,
};

pub(super) async fn run(flags: &ConnectFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let aim = aim::find(flags, site).await?;
    fitting(flags, aim.method)?;
    let kept = secret::read(site, &aim.names.secret).await?;
    kept.writable()?;
    if let Some(keeper) = kept.keeper() {
        writeln!(
            desk.err,
            "warning: Secret {} looks kept by {keeper}: what is written here will be overwritten. Put the credentials where it takes them from, too.",
            aim.names.secret
        )?;
    }
    if !aim.agreed(flags, desk)? {
        writeln!(desk.out, "Nothing was created.")?;
        return Ok(Exit::NotSo);
    }
    let content = match aim.method {
        AuthType::Oauth2 => granted(flags, &aim, &kept, desk).await?,
        AuthType::ClientCredentials => {
            let app = given::app(flags, aim.method, &kept, desk)?;
            tried(flags, &aim, app.credentials()?, desk).await?;
            app.content()
        }
        AuthType::Jwt => {
            let config = given::config(flags, &kept, desk)?;
            let credentials = Credentials::jwt(config.clone()).map_err(entry::unusable)?;
            if let Some(other) = credentials.enterprise_id().filter(|id| *id != aim.names.enterprise) {
                return Err(entry::of_another_enterprise("the configuration file is", Some((other, "")), &aim.names));
            }
            tried(flags, &aim, credentials, desk).await?;
            Content::from([("config.json", config)])
        }
    };
    let wrote = secret::write(site, kept, &content).await?;
    writeln!(desk.out, "secret/{} {wrote}", aim.names.secret)?;
    let connection = aim.create(site, desk).await?;
    synced(flags, &connection, site, desk).await
}

/// Flags of another way to sign in are a mistake, not nothing.
fn fitting(flags: &ConnectFlags, method: AuthType) -> Result<(), Stop> {
    let stray = match method {
        AuthType::Oauth2 => [("--config", flags.config.is_some()), ("--no-check", flags.no_check)],
        AuthType::ClientCredentials => [("--config", flags.config.is_some()), ("--no-browser", flags.no_browser)],
        AuthType::Jwt => [("--client-id", flags.client_id.is_some()), ("--no-browser", flags.no_browser)],
    };
    match stray.iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Stop::usage(format!("{} signs in by {}, and {flag} is not for that.", flags.name, aim::word(method))))
        }
        None => Ok(()),
    }
}

/// A user's authorization: what the Secret is to hold once they granted it.
async fn granted(flags: &ConnectFlags, aim: &Aim, kept: &secret::Kept, desk: &mut Desk<'_>) -> Result<Content, Stop> {
    let app = given::app(flags, aim.method, kept, desk)?;
    let invited = app.client()?;
    let credentials = grant::ask(flags, invited, &aim.names.enterprise, desk).await?;
    let entry = Entry::new(flags, aim, credentials, desk)?;
    let account = entry.account().await?;
    let refresh = entry.refresh_token()?;
    writeln!(desk.out, "Box: {account}")?;
    let mut content = app.content();
    content.insert("refreshToken", refresh);
    Ok(content)
}

async fn tried(flags: &ConnectFlags, aim: &Aim, credentials: Credentials, desk: &mut Desk<'_>) -> Result<(), Stop> {
    if !flags.no_check {
        let account = Entry::new(flags, aim, credentials, desk)?.account().await?;
        writeln!(desk.out, "Box: {account}")?;
    }
    Ok(())
}

/// Makes the operator try at once, and shows what comes of it.
async fn synced(
    flags: &ConnectFlags,
    connection: &BoxConnection,
    site: &Site,
    desk: &mut Desk<'_>,
) -> Result<Exit, Stop> {
    let name = connection.name_any();
    if connection.spec.suspend {
        writeln!(
            desk.out,
            "{name} is suspended: no sync was asked for. It goes on once spec.suspend is false: kubectl patch boxconnection {name} -n {} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'",
            site.namespace
        )?;
        return Ok(Exit::Fine);
    }
    if flags.no_sync {
        return Ok(Exit::Fine);
    }
    let request = sync::create(site, connection, None).await?;
    wait::all(vec![Awaited::new(connection, request)], flags.timeout, site, desk).await
}
