//! What the person hands over: on standard input, at a prompt that does not show it, or in a file. Never as an argument.

use std::{fs, path::Path};

use secrecy::{ExposeSecret, SecretSlice};

use super::flags::ConnectFlags;
use super::{
    entry,
    secret::{Content, Kept},
};
use crate::{
    api::AuthType,
    boxapi::{ClientCredentials, Credentials},
    cli::{
        desk::{Desk, Seat},
        exit::Stop,
    },
};

/// An app's client id and client secret.
pub(super) struct App {
    id: SecretSlice<u8>,
    secret: SecretSlice<u8>,
}

impl App {
    pub(super) fn client(&self) -> Result<ClientCredentials, Stop> {
        ClientCredentials::new(self.id.clone(), self.secret.clone()).map_err(entry::unusable)
    }

    pub(super) fn credentials(&self) -> Result<Credentials, Stop> {
        self.client().map(Credentials::ClientCredentials)
    }

    pub(super) fn content(&self) -> Content {
        Content::from([("clientId", self.id.clone()), ("clientSecret", self.secret.clone())])
    }
}

/// The app: from --client-id and standard input, and what is not given there from the Secret.
///
/// Who connects by OAuth 2.0 without --client-id means to authorize the same app again, and is asked for nothing. The
/// others come because the client secret was replaced.
pub(super) fn app(flags: &ConnectFlags, method: AuthType, kept: &Kept, desk: &mut Desk<'_>) -> Result<App, Stop> {
    let (known_id, known_secret) = (kept.value("clientId"), kept.value("clientSecret"));
    // A secret belongs to its app: to another one it says nothing.
    let named = flags.client_id.as_ref().map(|id| id.trim().as_bytes());
    let known_secret = known_secret
        .filter(|_| named.is_none_or(|named| known_id.as_ref().is_some_and(|known| known.expose_secret() == named)));
    let id = match (&flags.client_id, known_id) {
        (Some(id), _) => SecretSlice::from(id.trim().as_bytes().to_vec()),
        (None, Some(id)) => id,
        (None, None) => match desk.answerer {
            Seat::Person => SecretSlice::from(desk.asked("Client id of the Box app: ")?.into_bytes()),
            Seat::Program => {
                return Err(Stop::usage(format!(
                    "Secret {} has no clientId yet. Pass --client-id, and the client secret on standard input; both are on the app's page in Box's developer console.",
                    kept.name
                )));
            }
        },
    };
    let again = flags.client_id.is_none() && method == AuthType::Oauth2;
    match known_secret {
        Some(secret) if again => Ok(App { id, secret }),
        known => {
            let stays = known.as_ref().map(|_| format!(" (empty: that of Secret {} stays)", kept.name));
            let line = desk.hidden(&format!("Client secret{}: ", stays.unwrap_or_default()))?;
            match (line.expose_secret().is_empty(), known) {
                (false, _) => Ok(App { id, secret: bytes(line.expose_secret()) }),
                (true, Some(secret)) => Ok(App { id, secret }),
                (true, None) => Err(Stop::usage(
                    "no client secret was given. It is read from standard input: type it at the prompt, or pass it in a pipe.",
                )),
            }
        }
    }
}

/// The app's configuration file, as Box's developer console hands it out.
pub(super) fn config(flags: &ConnectFlags, kept: &Kept, desk: &mut Desk<'_>) -> Result<SecretSlice<u8>, Stop> {
    let known = kept.value("config.json");
    let path = match (&flags.config, desk.answerer, known) {
        (Some(path), _, _) => path.clone(),
        (None, Seat::Program, Some(known)) => return Ok(known),
        (None, Seat::Program, None) => {
            return Err(Stop::usage(format!(
                "Secret {} has no config.json yet. Name the file that Box's developer console handed out with --config, or pass it on standard input with --config -.",
                kept.name
            )));
        }
        (None, Seat::Person, known) => {
            let stays = known.as_ref().map(|_| format!(" (empty: that of Secret {} stays)", kept.name));
            let path = desk.asked(&format!("Configuration file of the Box app{}: ", stays.unwrap_or_default()))?;
            match (path.as_str(), known) {
                ("", Some(known)) => return Ok(known),
                ("", None) => return Err(Stop::usage("no file was named. Pass it with --config.")),
                (path, _) => path.into(),
            }
        }
    };
    let mut text = Vec::new();
    let read = if path == Path::new("-") { desk.input.read_to_end(&mut text).map(|_| text) } else { fs::read(&path) };
    read.map(SecretSlice::from).map_err(|e| {
        Stop::usage(format!(
            "{} cannot be read: {e}. Name the configuration file of the app, or - for standard input.",
            path.display()
        ))
    })
}

fn bytes(text: &str) -> SecretSlice<u8> {
    SecretSlice::from(text.as_bytes().to_vec())
}
