//! What a request says about its sender: a header, and the certificate of new connections. RequestCredentials of a plugin or a
//! file are renewed.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use jiff::Timestamp;
use rustls::{SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Mutex, time::Instant};

use super::{
    cluster_access::CredentialSource,
    exec_plugin::{ExecPlugin, ExecPluginError, ExecSettings},
    tls::{InvalidIdentity, parse_identity},
};

/// How often a token file is read, as in client-go.
const FILE_INTERVAL: Duration = Duration::from_secs(60);
/// How soon a plugin is run again, whatever it said about its token: a wrong clock must not run it for each request.
const MIN_PLUGIN_INTERVAL: Duration = Duration::from_secs(30);

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(transparent)]
    Plugin(#[from] ExecPluginError),
    #[error("the credential plugin {command} printed a certificate that cannot be used: {cause}")]
    PluginIdentity { command: String, cause: InvalidIdentity },
    #[error("the token has characters that no header may have")]
    InvalidToken,
    #[error("the credential plugin was interrupted")]
    Interrupted,
}

/// The certificate of new connections. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientIdentity(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

impl ClientIdentity {
    pub(super) fn set(&self, identity: Option<Arc<CertifiedKey>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }
}

impl ResolvesClientCert for ClientIdentity {
    /// Whatever authorities the server names: it knows best whether it accepts the certificate.
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The credentials of one cluster. Clones share them, so that a plugin runs once for all clients.
#[derive(Clone)]
pub(super) struct RequestCredentials(Kind);

#[derive(Clone)]
enum Kind {
    Constant(Option<HeaderValue>),
    File(Arc<Mutex<FileToken>>),
    Plugin { plugin: Arc<ExecPlugin>, settings: ExecSettings, identity: ClientIdentity, issued: Arc<Mutex<Issued>> },
}

struct FileToken {
    file: PathBuf,
    token: SecretString,
    read_at: Instant,
}

#[derive(Default)]
struct Issued {
    header: Option<HeaderValue>,
    expires: Option<Timestamp>,
    run_at: Option<Instant>,
    /// The server no longer accepts it.
    rejected: bool,
}

impl Issued {
    fn is_usable(&self) -> bool {
        let Some(run_at) = self.run_at else { return false };
        let expired = self.expires.is_some_and(|expires| Timestamp::now() >= expires);
        !(expired || self.rejected) || run_at.elapsed() < MIN_PLUGIN_INTERVAL
    }
}

impl RequestCredentials {
    /// `identity` receives the certificates of a plugin.
    ///
    /// # Errors
    /// A token that no header can hold.
    pub(super) fn new(
        source: &CredentialSource,
        identity: &ClientIdentity,
        settings: ExecSettings,
    ) -> Result<Self, CredentialsError> {
        Ok(Self(match source {
            CredentialSource::None => Kind::Constant(None),
            CredentialSource::Basic { username, password } => {
                let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
                Kind::Constant(Some(secret_header(format!("Basic {pair}"))?))
            }
            CredentialSource::Token(token) => Kind::Constant(Some(bearer(token)?)),
            CredentialSource::TokenFile { file, last } => {
                let token = FileToken { file: file.clone(), token: last.clone(), read_at: Instant::now() };
                Kind::File(Arc::new(Mutex::new(token)))
            }
            CredentialSource::Exec(plugin) => Kind::Plugin {
                plugin: Arc::new((**plugin).clone()),
                settings,
                identity: identity.clone(),
                issued: Arc::default(),
            },
        }))
    }

    /// The `Authorization` of a request. Runs a plugin if its credentials are missing, expired or rejected.
    ///
    /// # Errors
    /// The plugin failed.
    pub(super) async fn authorization(&self) -> Result<Option<HeaderValue>, CredentialsError> {
        match &self.0 {
            Kind::Constant(header) => Ok(header.clone()),
            Kind::File(token) => bearer(&token.lock().await.current()).map(Some),
            Kind::Plugin { plugin, settings, identity, issued } => {
                let mut issued = issued.clone().lock_owned().await;
                if issued.is_usable() {
                    return Ok(issued.header.clone());
                }
                let (plugin, settings, identity) = (plugin.clone(), *settings, identity.clone());
                // The lock moves along: who stops waiting for the plugin does not start a second one.
                let run = tokio::task::spawn_blocking(move || {
                    let credentials = plugin.run(settings)?;
                    let certificate = credentials.identity.as_ref().map(|(certificates, key)| {
                        parse_identity(certificates.as_bytes(), key).map_err(|cause| CredentialsError::PluginIdentity {
                            command: plugin.shown_command(),
                            cause,
                        })
                    });
                    identity.set(certificate.transpose()?.map(Arc::new));
                    *issued = Issued {
                        header: credentials.token.as_ref().map(bearer).transpose()?,
                        expires: credentials.expires,
                        run_at: Some(Instant::now()),
                        rejected: false,
                    };
                    Ok(issued.header.clone())
                });
                run.await.map_err(|_| CredentialsError::Interrupted)?
            }
        }
    }

    /// The server answered 401 to what `authorization` gave.
    pub(super) async fn mark_rejected(&self) {
        if let Kind::Plugin { issued, .. } = &self.0 {
            issued.lock().await.rejected = true;
        }
    }
}

impl FileToken {
    fn current(&mut self) -> SecretString {
        if self.read_at.elapsed() >= FILE_INTERVAL {
            // Without the file, the token of before is used: some remove the file on purpose.
            if let Ok(text) = fs::read_to_string(&self.file) {
                self.token = text.trim().into();
            }
            self.read_at = Instant::now();
        }
        self.token.clone()
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, CredentialsError> {
    secret_header(format!("Bearer {}", token.expose_secret().trim()))
}

fn secret_header(text: String) -> Result<HeaderValue, CredentialsError> {
    let mut header = HeaderValue::try_from(text).map_err(|_| CredentialsError::InvalidToken)?;
    header.set_sensitive(true);
    Ok(header)
}
