//! The HTTP client of the API server: connection, credentials and headers of each request.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy, rt::TokioExecutor};
use kube::{
    Client,
    client::{Body, retry::RetryPolicy},
};
use rustls::pki_types::ServerName;
use tower::{BoxError, ServiceBuilder, retry::RetryLayer, service_fn};

use super::{
    cluster_access::{ClusterAccess, CredentialSource},
    credentials::{ClientIdentity, CredentialsError, RequestCredentials},
    dialer::{Dialer, describe_cause},
    exec_plugin::ExecSettings,
    proxy::{ProxyScheme, is_local},
    tls::{self, TlsSetupError},
};

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientSetupError {
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the user to impersonate has characters that no header may have")]
    Impersonation,
}

/// Why there is no response. The text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct RequestError(String);

/// Whether the client itself repeats a request that the server turned away (429, 503, 504).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRetries {
    None,
    /// For people's commands, which have nobody else to repeat them.
    Some,
}

/// A cluster, with credentials that were obtained. All clients share them; each has connections of its own.
pub struct ClusterConnection {
    access: ClusterAccess,
    credentials: Option<RequestCredentials>,
    headers: HeaderMap,
    connector: HttpsConnector<Dialer>,
}

impl ClusterAccess {
    /// Reads certificates and runs the credential plugin, if the user has one.
    ///
    /// # Errors
    /// A certificate, a key or a credential cannot be used, or the plugin failed.
    pub async fn connect(self, settings: ExecSettings) -> Result<ClusterConnection, ClientSetupError> {
        let identity = ClientIdentity::default();
        if let Some((certificates, key)) = &self.client_identity {
            let parsed = tls::parse_identity(certificates, key).map_err(TlsSetupError::from)?;
            identity.set(Some(Arc::new(parsed)));
        }
        // In plain text, credentials leave this machine no more than those of kubectl do.
        let is_protected =
            self.server.scheme_str() == Some("https") || is_local(self.server.host().unwrap_or_default());
        let credentials = RequestCredentials::new(&self.credentials, &identity, settings)?;
        let credentials = is_protected.then_some(credentials);
        if let (CredentialSource::Exec(_), Some(credentials)) = (&self.credentials, &credentials) {
            credentials.authorization().await?;
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.impersonation {
            let name: HeaderName = name.parse().map_err(|_| ClientSetupError::Impersonation)?;
            headers.append(name, HeaderValue::from_str(value).map_err(|_| ClientSetupError::Impersonation)?);
        }
        let tls = tls::client_config(&self.trust, Arc::new(identity))?;
        let dialer = Dialer::new(self.proxy.clone(), tls.clone());
        let mut https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        if let Some(name) = &self.tls_server_name {
            let invalid = |_| TlsSetupError::ServerName(name.clone());
            let name = ServerName::try_from(name.clone()).map_err(invalid)?;
            https = https.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let connector = https.enable_http1().wrap_connector(dialer);
        Ok(ClusterConnection { access: self, credentials, headers, connector })
    }
}

impl ClusterConnection {
    /// The namespace of the context, the flag or the pod.
    pub fn namespace(&self) -> &str {
        &self.access.namespace
    }

    /// A client with connections of its own.
    pub fn client(&self, user_agent: &'static str, retries: ClientRetries) -> Client {
        let mut headers = self.headers.clone();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(user_agent));
        let forwarding = self
            .access
            .proxy
            .as_ref()
            .filter(|proxy| proxy.scheme != ProxyScheme::Socks5 && self.access.server.scheme_str() == Some("http"));
        if let Some(auth) = forwarding.and_then(|proxy| proxy.basic_auth.clone()) {
            headers.insert(header::PROXY_AUTHORIZATION, auth);
        }
        let sender = Arc::new(RequestSender {
            http: legacy::Client::builder(TokioExecutor::new()).build(self.connector.clone()),
            server: self.access.server.clone(),
            credentials: self.credentials.clone(),
            headers,
        });
        let service = service_fn(move |request| {
            let sender = sender.clone();
            async move { sender.send(request).await.map_err(BoxError::from) }
        });
        let retry = (retries == ClientRetries::Some).then(|| RetryLayer::new(RetryPolicy::server_retry()));
        Client::new(ServiceBuilder::new().option_layer(retry).service(service), self.namespace())
    }
}

struct RequestSender {
    http: legacy::Client<HttpsConnector<Dialer>, Body>,
    server: Uri,
    credentials: Option<RequestCredentials>,
    headers: HeaderMap,
}

impl RequestSender {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, RequestError> {
        *request.uri_mut() = absolute_uri(&self.server, request.uri())
            .ok_or_else(|| RequestError("the address of the API server is no URL".to_owned()))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        if let Some(credentials) = &self.credentials {
            let header = credentials.authorization().await.map_err(|e| RequestError(e.to_string()))?;
            request.headers_mut().extend(header.map(|value| (header::AUTHORIZATION, value)));
        }
        let response = self.http.request(request).await.map_err(|e| RequestError(describe_cause(&e)))?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(credentials) = &self.credentials
        {
            credentials.mark_rejected().await;
        }
        Ok(response)
    }
}

/// The path of a request below the address of the server, which may have a path of its own.
fn absolute_uri(server: &Uri, request: &Uri) -> Option<Uri> {
    let base = server.path().trim_end_matches('/');
    let path = request.path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme(server.scheme_str()?).authority(server.authority()?.as_str());
    uri.path_and_query(format!("{base}{path}")).build().ok()
}
