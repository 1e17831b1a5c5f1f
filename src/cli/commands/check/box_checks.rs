//! The checks that call Box, step by step: reachability, sign-in, enterprise, access to the user list.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    result::{CheckKind, CheckResult},
    runner::CheckRun,
};
use crate::{
    api::Reason,
    auth::{Failure, FailureContext},
    box_client::{self, Account, BaseUrl, Client, Credentials, ProxyConfig, TokenSource, Transport},
    cli::exit_code::CliError,
};

/// Longer than the client's own retries, and short enough for interactive use.
const CALL_TIMEOUT: Duration = Duration::from_secs(45);

/// How the checks sign in to Box.
pub(crate) enum BoxAuth {
    Credentials(Credentials),
    /// The operator's access token, which is never renewed by the plugin.
    AccessToken(SecretString),
    /// The credentials name another enterprise.
    WrongEnterprise(Failure),
    /// No credentials, and why.
    Unavailable(String),
}

/// Runs all checks that call Box.
pub(crate) async fn run_box_checks(
    check_run: &mut CheckRun<'_, '_>,
    base: &BaseUrl,
    context: &FailureContext,
    auth: BoxAuth,
) -> Result<(), CliError> {
    let proxy = ProxyConfig::from_env().proxy_for(base);
    let reachability = match box_client::https_transport(env!("CARGO_PKG_VERSION")) {
        Ok(transport) => box_client::check_reachability(&transport, base).await.map(|reached| (transport, reached)),
        Err(error) => Err(error),
    };
    match reachability {
        Ok((transport, reachability)) => {
            let via = proxy.map_or_else(|| "without a proxy".to_owned(), |proxy| format!("through the proxy {proxy}"));
            check_run.add_result(CheckResult::pass(CheckKind::BoxApi, format!("{base} is reachable, {via}.")))?;
            let now = check_run.io.clock.now();
            check_run.add_result(CheckResult::from_clock(reachability.server_time, now))?;
            check_sign_in(check_run, transport, base, context, auth).await
        }
        Err(error) => {
            check_run.add_result(CheckResult::unreachable(&error, proxy.as_deref()))?;
            let why = "Not checked: Box cannot be reached from here.";
            check_run.skip_checks(&[CheckKind::Clock, CheckKind::Token], why)?;
            match auth {
                BoxAuth::WrongEnterprise(failure) => {
                    check_run.add_result(CheckResult::from_failure(CheckKind::Enterprise, &failure))?
                }
                BoxAuth::Credentials(_) | BoxAuth::AccessToken(_) | BoxAuth::Unavailable(_) => {
                    check_run.skip_checks(&[CheckKind::Enterprise], why)?
                }
            }
            check_run.skip_checks(&[CheckKind::UserList], why)
        }
    }
}

async fn check_sign_in(
    check_run: &mut CheckRun<'_, '_>,
    transport: Transport,
    base: &BaseUrl,
    context: &FailureContext,
    auth: BoxAuth,
) -> Result<(), CliError> {
    let clock = check_run.io.clock.clone();
    let (base, now) = (base.clone(), Arc::new(move || clock.now()));
    let why = match auth {
        BoxAuth::Credentials(credentials) => {
            let context = FailureContext { client_id: Some(credentials.client_id().to_owned()), ..context.clone() };
            let session = TokenSource::new(transport, base, credentials, context.enterprise.clone(), now);
            let client = Client::new(&session, CancellationToken::new());
            return check_with_credentials(check_run, &client, &context).await;
        }
        BoxAuth::AccessToken(token) => match TokenSource::with_access_token(transport, base, token, now) {
            Ok(session) => {
                let client = Client::new(&session, CancellationToken::new());
                return check_with_access_token(check_run, &client, context).await;
            }
            Err(_) => {
                "Not checked: the stored access token is invalid. The operator renews it at its next sync.".to_owned()
            }
        },
        BoxAuth::WrongEnterprise(failure) => {
            let why = "Not checked: the credentials belong to another enterprise.";
            check_run.skip_checks(&[CheckKind::Token], why)?;
            check_run.add_result(CheckResult::from_failure(CheckKind::Enterprise, &failure))?;
            return check_run.skip_checks(&[CheckKind::UserList], why);
        }
        BoxAuth::Unavailable(why) => why,
    };
    check_run.skip_checks(&[CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList], &why)
}

/// Checks with the credentials of the Secret.
async fn check_with_credentials(
    check_run: &mut CheckRun<'_, '_>,
    client: &Client,
    context: &FailureContext,
) -> Result<(), CliError> {
    if let Err(failure) = call_box(context, client.sign_in()).await {
        check_run.add_result(CheckResult::from_failure(CheckKind::Token, &failure))?;
        return check_run
            .skip_checks(&[CheckKind::Enterprise, CheckKind::UserList], "Not checked: Box issued no token.");
    }
    let client_id = context.client_id.as_deref().unwrap_or_default();
    let message = format!("Box issues a token to the app with client id {client_id}.");
    check_run.add_result(CheckResult::pass(CheckKind::Token, message))?;
    match call_box(context, client.get_account()).await {
        Ok(account) => check_account(check_run, client, context, account).await,
        Err(failure) => {
            check_run.add_result(CheckResult::from_failure(CheckKind::Enterprise, &failure))?;
            check_run.skip_checks(&[CheckKind::UserList], "Not checked: Box did not return the account.")
        }
    }
}

/// Checks with the operator's access token.
async fn check_with_access_token(
    check_run: &mut CheckRun<'_, '_>,
    client: &Client,
    context: &FailureContext,
) -> Result<(), CliError> {
    let failure = match call_box(context, client.get_account()).await {
        Ok(account) => {
            let message = "Box accepts the operator's access token. The plugin requests no new one: a refresh token works once and belongs to the operator.";
            check_run.add_result(CheckResult::pass(CheckKind::Token, message))?;
            return check_account(check_run, client, context, account).await;
        }
        Err(failure) => failure,
    };
    if failure.reason == Reason::AuthorizationExpired {
        // An access token is valid for an hour and only renewed when needed: not a failure.
        let why = "Not checked: the operator's access token has expired. The plugin requests no new one: a refresh token works once and belongs to the operator, which renews it at its next sync.";
        return check_run.skip_checks(&[CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList], why);
    }
    check_run.add_result(CheckResult::from_failure(CheckKind::Token, &failure))?;
    check_run.skip_checks(&[CheckKind::Enterprise, CheckKind::UserList], "Not checked: Box rejected the token.")
}

/// Checks the enterprise of the account, and its access to the user list.
async fn check_account(
    check_run: &mut CheckRun<'_, '_>,
    client: &Client,
    context: &FailureContext,
    account: Account,
) -> Result<(), CliError> {
    match account.enterprise {
        Some(found) if found.id == context.enterprise => {
            let name = if found.name.is_empty() { String::new() } else { format!(" ({})", found.name) };
            let message = format!("The credentials belong to enterprise {}{name}.", found.id);
            check_run.add_result(CheckResult::pass(CheckKind::Enterprise, message))?;
        }
        other => {
            let found = other.as_ref().map(|e| (e.id.as_str(), e.name.as_str()));
            check_run.add_result(CheckResult::from_failure(
                CheckKind::Enterprise,
                &Failure::enterprise_mismatch(context, found),
            ))?;
            return check_run
                .skip_checks(&[CheckKind::UserList], "Not checked: the credentials belong to another enterprise.");
        }
    }
    match call_box(context, client.check_list_access()).await {
        Ok(()) => check_run.add_result(CheckResult::pass(CheckKind::UserList, "Box allows the app to list users.")),
        Err(failure) => check_run.add_result(CheckResult::from_failure(CheckKind::UserList, &failure)),
    }
}

/// Calls Box with a timeout; errors are explained as the operator does.
async fn call_box<T>(
    context: &FailureContext,
    call: impl Future<Output = Result<T, box_client::Error>>,
) -> Result<T, Failure> {
    let timeout_failure = || {
        let summary = format!("Box sent no usable response within {} s.", CALL_TIMEOUT.as_secs());
        Failure::new(Reason::BoxUnavailable, summary, "")
    };
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| Failure::from_box_error(context, &error).unwrap_or_else(timeout_failure)),
        Err(_) => Err(timeout_failure()),
    }
}
