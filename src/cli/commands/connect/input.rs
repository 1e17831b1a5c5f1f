//! Credentials from standard input, a prompt without echo, or a file. Never from an argument.

use secrecy::{ExposeSecret, SecretSlice};

use super::{
    args::ConnectArgs,
    secret::{ExistingSecret, SecretData},
    verify,
};
use crate::{
    api::AuthType,
    box_client::{ClientCredentials, Credentials},
    cli::{exit_code::CliError, io::Io, output::styled::Tty},
};

/// An app's client id and client secret.
pub(crate) struct AppCredentials {
    id: SecretSlice<u8>,
    secret: SecretSlice<u8>,
}

impl AppCredentials {
    pub(crate) fn client_credentials(&self) -> Result<ClientCredentials, CliError> {
        ClientCredentials::new(self.id.clone(), self.secret.clone()).map_err(verify::malformed_credentials_error)
    }

    pub(crate) fn credentials(&self) -> Result<Credentials, CliError> {
        self.client_credentials().map(Credentials::ClientCredentials)
    }

    pub(crate) fn secret_data(&self) -> SecretData {
        SecretData::from([("clientId", self.id.clone()), ("clientSecret", self.secret.clone())])
    }
}

/// The app: from --client-id and standard input; missing values come from the Secret.
///
/// OAuth 2.0 without --client-id authorizes the same app again, so nothing is prompted for. With the other methods, the
/// client secret was replaced.
pub(crate) fn read_app_credentials(
    args: &ConnectArgs,
    method: AuthType,
    existing: &ExistingSecret,
    io: &mut Io<'_>,
) -> Result<AppCredentials, CliError> {
    let (stored_id, stored_secret) = (existing.value("clientId"), existing.value("clientSecret"));
    // A stored secret belongs to the stored app only.
    let given_id = args.client_id.as_ref().map(|id| id.trim().as_bytes());
    let stored_secret = stored_secret.filter(|_| {
        given_id.is_none_or(|given| stored_id.as_ref().is_some_and(|stored| stored.expose_secret() == given))
    });
    let id = match (&args.client_id, stored_id) {
        (Some(id), _) => SecretSlice::from(id.trim().as_bytes().to_vec()),
        (None, Some(id)) => id,
        (None, None) => match io.stdin_tty {
            Tty::Interactive => SecretSlice::from(io.prompt("Client id of the Box app: ")?.into_bytes()),
            Tty::Piped => {
                return Err(CliError::usage(format!(
                    "Secret {} has no clientId yet. Pass --client-id, and the client secret on standard input; both are on the app's page in Box's developer console.",
                    existing.name
                )));
            }
        },
    };
    let is_reauthorization = args.client_id.is_none() && method == AuthType::Oauth2;
    match stored_secret {
        Some(secret) if is_reauthorization => Ok(AppCredentials { id, secret }),
        stored => {
            let hint = stored.as_ref().map(|_| format!(" (leave empty to keep the value in Secret {})", existing.name));
            let line = io.prompt_secret(&format!("Client secret{}: ", hint.unwrap_or_default()))?;
            match (line.expose_secret().is_empty(), stored) {
                (false, _) => Ok(AppCredentials { id, secret: secret_bytes(line.expose_secret()) }),
                (true, Some(secret)) => Ok(AppCredentials { id, secret }),
                (true, None) => Err(CliError::usage(
                    "no client secret was given. It is read from standard input: type it at the prompt, or pass it in a pipe.",
                )),
            }
        }
    }
}

/// The configuration file of the app, from Box's developer console.
pub(crate) fn read_jwt_config(
    args: &ConnectArgs,
    existing: &ExistingSecret,
    io: &mut Io<'_>,
) -> Result<SecretSlice<u8>, CliError> {
    let stored = existing.value("config.json");
    let path = match (&args.config, io.stdin_tty, stored) {
        (Some(path), _, _) => path.clone(),
        (None, Tty::Piped, Some(stored)) => return Ok(stored),
        (None, Tty::Piped, None) => {
            return Err(CliError::usage(format!(
                "Secret {} has no config.json yet. Pass the file downloaded from Box's developer console with --config, or pass it on standard input with --config -.",
                existing.name
            )));
        }
        (None, Tty::Interactive, stored) => {
            let hint = stored.as_ref().map(|_| format!(" (leave empty to keep the value in Secret {})", existing.name));
            let path = io.prompt(&format!("Configuration file of the Box app{}: ", hint.unwrap_or_default()))?;
            match (path.as_str(), stored) {
                ("", Some(stored)) => return Ok(stored),
                ("", None) => return Err(CliError::usage("no file given. Pass it with --config.")),
                (path, _) => path.into(),
            }
        }
    };
    Ok(io.read_file(&path, "the configuration file of the app")?.into())
}

fn secret_bytes(text: &str) -> SecretSlice<u8> {
    SecretSlice::from(text.as_bytes().to_vec())
}
