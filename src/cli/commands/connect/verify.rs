//! Verifies credentials with Box, and messages for failures.

use secrecy::{ExposeSecret, SecretSlice};

use super::{args::ConnectArgs, target::ConnectTarget};
use crate::{
    auth::{Failure, SignIn},
    box_client::{Client, Credentials, MalformedCredentials},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
    },
};

/// Signs in and prints the account. An account of another enterprise is rejected.
pub(crate) async fn sign_in(
    args: &ConnectArgs,
    target: &ConnectTarget,
    credentials: Credentials,
    io: &mut Io<'_>,
) -> Result<Client, CliError> {
    let transport = args
        .box_api
        .transport()
        .map_err(|e| CliError::error(format!("cannot create a Box client: {e}. Nothing was written.")))?;
    let (base_url, clock) = (args.box_api.base_url.clone(), io.clock.to_fn());
    let sign_in = SignIn::with_credentials(transport, base_url, credentials, &target.context, clock);
    let verified = async {
        sign_in.request_token().await?;
        sign_in.verify_account().await
    };
    let (account, enterprise) = verified.await.map_err(|failure| {
        failure.map_or_else(|| CliError::error("the call to Box was cancelled. Nothing was written."), failure_error)
    })?;
    writeln!(io.out, "Box: {} of enterprise {enterprise}", account.login)?;
    Ok(sign_in.client)
}

/// The refresh token of the user's authorization.
pub(crate) fn issued_refresh_token(client: &Client) -> Result<SecretSlice<u8>, CliError> {
    let token = client.refresh_token().ok_or_else(|| {
        CliError::Message(
            ExitStatus::Failure,
            "Box granted access without a refresh token, so access would expire within an hour. Nothing was written. Check in Box's developer console that the app's authentication is \"User Authentication (OAuth 2.0)\"."
                .to_owned(),
        )
    })?;
    Ok(SecretSlice::from(token.expose_secret().as_bytes().to_vec()))
}

pub(crate) fn malformed_credentials_error(why: MalformedCredentials) -> CliError {
    CliError::Message(ExitStatus::Failure, format!("the given credentials are malformed. {why} Nothing was written."))
}

pub(crate) fn failure_error(Failure { summary, remediation, .. }: Failure) -> CliError {
    let message = format!("{summary} {remediation}");
    CliError::Message(ExitStatus::Failure, format!("{} Nothing was written.", message.trim_end()))
}
