//! `connect`: verifies Box credentials, writes them into the Secret of a connection, and requests a sync. A reconnect works
//! the same way.
//!
//! | file | holds |
//! | --- | --- |
//! | `args` | command-line arguments |
//! | `target` | the connection: an existing one, or one to create |
//! | `input` | credentials from standard input, a prompt or a file |
//! | `oauth`, `callback_server` | the OAuth 2.0 authorization, and the server for its redirect |
//! | `verify` | sign-in to Box, and messages for failures |
//! | `secret`, `managed_by` | reading and writing the Secret, and who else manages it |
//!
//! Invariant: nothing is written until Box has accepted the credentials for the right enterprise, except with --no-check.

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

use super::sync::{
    self,
    wait::{self, PendingRequest},
};
use crate::{
    api::{AuthType, BoxConnection},
    auth::{self, KeyDecryption},
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
            "warning: Secret {} appears to be managed by {manager}, which will overwrite it. Update the credentials at their source, too.",
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
            let parsed = KeyDecryption::default().parse_jwt_config(config.clone()).await;
            let credentials = parsed.map_err(verify::malformed_credentials_error)?;
            auth::verify_enterprise_id(&target.context, &credentials).map_err(verify::failure_error)?;
            verify_credentials(args, &target, credentials, io).await?;
            SecretData::from([("config.json", config)])
        }
    };
    let result = secret::write_secret(kube, existing, &content).await?;
    writeln!(io.out, "secret/{} {result}", target.context.secret)?;
    let connection = target.create_connection(kube, io).await?;
    sync_connection(args, &connection, kube, io).await
}

/// Rejects flags of other sign-in methods.
fn check_method_flags(args: &ConnectArgs, method: AuthType) -> Result<(), CliError> {
    let foreign_flags = match method {
        AuthType::Oauth2 => [("--config", args.config.is_some()), ("--no-check", args.no_check)],
        AuthType::ClientCredentials => [("--config", args.config.is_some()), ("--no-browser", args.no_browser)],
        AuthType::Jwt => [("--client-id", args.client_id.is_some()), ("--no-browser", args.no_browser)],
    };
    match foreign_flags.iter().find(|(_, is_set)| *is_set) {
        Some((flag, _)) => Err(CliError::usage(format!(
            "{} signs in with {}; {flag} does not apply.",
            args.name,
            args::method_name(method)
        ))),
        None => Ok(()),
    }
}

/// Lets a user authorize the app, and returns the content of the Secret.
async fn authorize_user(
    args: &ConnectArgs,
    target: &ConnectTarget,
    existing: &secret::ExistingSecret,
    io: &mut Io<'_>,
) -> Result<SecretData, CliError> {
    let app = input::read_app_credentials(args, target.method, existing, io)?;
    let client_credentials = app.client_credentials()?;
    let credentials = oauth::request_authorization(args, client_credentials, &target.context.enterprise, io).await?;
    let client = verify::sign_in(args, target, credentials, io).await?;
    let mut content = app.secret_data();
    content.insert("refreshToken", verify::issued_refresh_token(&client)?);
    Ok(content)
}

async fn verify_credentials(
    args: &ConnectArgs,
    target: &ConnectTarget,
    credentials: Credentials,
    io: &mut Io<'_>,
) -> Result<(), CliError> {
    if !args.no_check {
        verify::sign_in(args, target, credentials, io).await?;
    }
    Ok(())
}

/// Requests a sync and shows its result.
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
            "{name} is suspended: no sync was requested. It resumes when spec.suspend is false: kubectl patch boxconnection {name} -n {} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'",
            kube.namespace
        )?;
        return Ok(ExitStatus::Success);
    }
    if args.no_sync {
        return Ok(ExitStatus::Success);
    }
    let request = sync::create_request(kube, connection, None).await?;
    wait::wait_for_all(vec![PendingRequest::new(connection, request, kube)], args.timeout, io).await
}
