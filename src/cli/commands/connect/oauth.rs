//! The OAuth 2.0 authorization of a user: opens or prints Box's page, then receives the redirect or reads it from stdin.

use super::{
    args::ConnectArgs,
    callback_server::{self, CallbackServer},
};
use crate::{
    box_client::{AuthorizationRequest, AuthorizationResponse, ClientCredentials, Credentials},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        output::styled::Tty,
    },
};

pub(crate) async fn request_authorization(
    args: &ConnectArgs,
    app: ClientCredentials,
    enterprise: &str,
    io: &mut Io<'_>,
) -> Result<Credentials, CliError> {
    let server = if args.no_browser { None } else { Some(CallbackServer::bind(args.port).await?) };
    let port = server.as_ref().map_or(Some(args.port).filter(|port| *port > 0), |l| Some(l.port()));
    let authorization_request = AuthorizationRequest::new(app, callback_server::redirect_uri(port));
    let page = authorization_request.authorization_url(&args.box_account_url);
    writeln!(
        io.out,
        "Grant access in Box, as an admin or co-admin of enterprise {enterprise}:\n\n  {page}\n\n\
         The Box app needs the redirect URI {} (developer console > Configuration > OAuth 2.0 Redirect URIs; any port matches).",
        callback_server::redirect_uri(None)
    )?;
    let authorization_response = match server {
        None => read_pasted_response(&authorization_request, io)?,
        Some(server) => {
            writeln!(io.out, "Waiting for the redirect to {}.", callback_server::redirect_uri(port))?;
            io.out.flush()?;
            if (io.stdout_tty, io.stdin_tty) == (Tty::Interactive, Tty::Interactive) {
                // Errors are ignored: the address is printed and can be opened elsewhere.
                open::that_detached(&page).ok();
            }
            let outcome = tokio::time::timeout(args.timeout, server.wait_for_response(&authorization_request)).await;
            outcome.map_err(|_| {
                CliError::Message(
                    ExitStatus::TimedOut,
                    "timed out waiting for access to be granted. Nothing was written. Run it again; if the redirect page does not load, run it with --no-browser and paste its address."
                        .to_owned(),
                )
            })?
        }
    };
    match authorization_response {
        AuthorizationResponse::Granted(code) => Ok(authorization_request.into_credentials(code)),
        AuthorizationResponse::Denied(why) => {
            let why = why.map(|why| format!(" (\"{why}\")")).unwrap_or_default();
            Err(CliError::Message(ExitStatus::Failure, format!("access was not granted{why}. Nothing was written.")))
        }
        AuthorizationResponse::StateMismatch => Err(CliError::Message(
            ExitStatus::Failure,
            "the pasted address does not match this sign-in attempt: it is incomplete or from an earlier run. Nothing was written. Run it again, and paste the whole address of the redirect page."
                .to_owned(),
        )),
    }
}

/// Reads the redirect address, or only its query.
fn read_pasted_response(
    authorization_request: &AuthorizationRequest,
    io: &mut Io<'_>,
) -> Result<AuthorizationResponse, CliError> {
    writeln!(
        io.out,
        "Box then redirects the browser to a page that will not load. Copy its address and paste it here within 30 seconds."
    )?;
    let line = io.prompt("Address: ")?;
    let query = line.split_once('?').map_or(line.as_str(), |(_, query)| query);
    Ok(authorization_request.parse_redirect(query.split_once('#').map_or(query, |(query, _)| query)))
}
