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

mod args;
mod callback_server;
mod input;
mod managed_by;
mod oauth;
mod secret;
mod target;
mod verify;

pub(crate) use args::ConnectArgs;
use kube::ResourceExt;
use secret::SecretData;
use target::ConnectTarget;
use verify::BoxLogin;

use super::sync::{
    self,
    wait::{self, PendingRequest},
};
use crate::{
    api::{AuthType, BoxConnection},
    box_client::Credentials,
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
    },
};

pub(crate) async fn run(args: &ConnectArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let target = target::resolve_target(args, kube).await?;
    check_method_flags(args, target.method)?;
    let existing = secret::read_secret(kube, &target.context.secret).await?;
    existing.check_writable()?;
    if let Some(manager) = existing.managed_by() {
        writeln!(
            io.err,
            "warning: Secret {} looks kept by {manager}: what is written here will be overwritten. Put the credentials where it takes them from, too.",
            target.context.secret
        )?;
    }
    if !target.confirm_creation(args, io)? {
        writeln!(io.out, "Nothing was created.")?;
        return Ok(ExitStatus::Failure);
    }
    let content = match target.method {
        AuthType::Oauth2 => authorize_user(args, &target, &existing, io).await?,
        AuthType::ClientCredentials => {
            let app = input::read_app_credentials(args, target.method, &existing, io)?;
            verify_credentials(args, &target, app.credentials()?, io).await?;
            app.secret_data()
        }
        AuthType::Jwt => {
            let config = input::read_jwt_config(args, &existing, io)?;
            let credentials = Credentials::jwt(config.clone()).map_err(verify::malformed_credentials_error)?;
            if let Some(other) = credentials.enterprise_id().filter(|id| *id != target.context.enterprise) {
                return Err(verify::wrong_enterprise_error(
                    "the configuration file is",
                    Some((other, "")),
                    &target.context,
                ));
            }
            verify_credentials(args, &target, credentials, io).await?;
            SecretData::from([("config.json", config)])
        }
    };
    let result = secret::write_secret(kube, existing, &content).await?;
    writeln!(io.out, "secret/{} {result}", target.context.secret)?;
    let connection = target.create_connection(kube, io).await?;
    sync_connection(args, &connection, kube, io).await
}

/// Flags of another way to sign in are a mistake, not nothing.
fn check_method_flags(args: &ConnectArgs, method: AuthType) -> Result<(), CliError> {
    let foreign_flags = match method {
        AuthType::Oauth2 => [("--config", args.config.is_some()), ("--no-check", args.no_check)],
        AuthType::ClientCredentials => [("--config", args.config.is_some()), ("--no-browser", args.no_browser)],
        AuthType::Jwt => [("--client-id", args.client_id.is_some()), ("--no-browser", args.no_browser)],
    };
    match foreign_flags.iter().find(|(_, is_set)| *is_set) {
        Some((flag, _)) => Err(CliError::usage(format!(
            "{} signs in by {}, and {flag} is not for that.",
            args.name,
            target::method_name(method)
        ))),
        None => Ok(()),
    }
}

/// A user's authorization: what the Secret is to hold once they granted it.
async fn authorize_user(
    args: &ConnectArgs,
    target: &ConnectTarget,
    existing: &secret::ExistingSecret,
    io: &mut Io<'_>,
) -> Result<SecretData, CliError> {
    let app = input::read_app_credentials(args, target.method, existing, io)?;
    let client_credentials = app.client_credentials()?;
    let credentials = oauth::request_authorization(args, client_credentials, &target.context.enterprise, io).await?;
    let login = BoxLogin::new(args, target, credentials, io)?;
    let account = login.verify_account().await?;
    let refresh = login.refresh_token()?;
    writeln!(io.out, "Box: {account}")?;
    let mut content = app.secret_data();
    content.insert("refreshToken", refresh);
    Ok(content)
}

async fn verify_credentials(
    args: &ConnectArgs,
    target: &ConnectTarget,
    credentials: Credentials,
    io: &mut Io<'_>,
) -> Result<(), CliError> {
    if !args.no_check {
        let account = BoxLogin::new(args, target, credentials, io)?.verify_account().await?;
        writeln!(io.out, "Box: {account}")?;
    }
    Ok(())
}

/// Makes the operator try at once, and shows what comes of it.
async fn sync_connection(
    args: &ConnectArgs,
    connection: &BoxConnection,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<ExitStatus, CliError> {
    let name = connection.name_any();
    if connection.spec.suspend {
        writeln!(
            io.out,
            "{name} is suspended: no sync was asked for. It goes on once spec.suspend is false: kubectl patch boxconnection {name} -n {} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'",
            kube.namespace
        )?;
        return Ok(ExitStatus::Success);
    }
    if args.no_sync {
        return Ok(ExitStatus::Success);
    }
    let request = sync::create_request(kube, connection, None).await?;
    wait::wait_for_all(vec![PendingRequest::new(connection, request)], args.timeout, kube, io).await
}
