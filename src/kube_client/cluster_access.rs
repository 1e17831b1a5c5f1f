//! Which API server is called, as whom, and over which way: what kubeconfig, flags and environment say together.

use std::{collections::BTreeMap, ffi::OsString, fs, io, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Uri;
use secrecy::{ExposeSecret, SecretString};

use super::{
    cluster_overrides::{ClusterOverrides, override_cluster, override_user},
    exec_plugin::{ExecPlugin, InvalidExecConfig},
    kubeconfig::{EnvLookup, Kubeconfig, KubeconfigCluster, KubeconfigFileError, KubeconfigUser, read_kubeconfig},
    proxy::{InvalidProxyUrl, Proxy, proxy_for},
};

const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why no API server can be called. The texts hold neither secrets nor the content of files.
#[derive(Debug, thiserror::Error)]
pub enum ClusterAccessError {
    #[error(transparent)]
    File(#[from] KubeconfigFileError),
    #[error("there is no kubeconfig, and this is no pod with a ServiceAccount: set KUBECONFIG")]
    NoKubeconfig,
    #[error("the ServiceAccount of this pod cannot be used: {file} cannot be read: {cause}")]
    ServiceAccount { file: String, cause: io::Error },
    #[error("{origin} has no current-context")]
    NoCurrentContext { origin: String },
    #[error("{origin} has no {kind} {name:?}")]
    Missing { origin: String, kind: &'static str, name: String },
    #[error("cluster {cluster:?} of {origin} has no server")]
    NoServer { origin: String, cluster: String },
    #[error("the server address {0:?} is not a URL with http or https")]
    InvalidServer(String),
    #[error(transparent)]
    InvalidProxyUrl(#[from] InvalidProxyUrl),
    #[error("{field} {cause}")]
    Data { field: &'static str, cause: String },
    #[error("{field}: {file} cannot be read: {cause}")]
    DataFile { field: &'static str, file: String, cause: io::Error },
    #[error("{0}")]
    Contradiction(&'static str),
    #[error("the auth provider {0:?} of the kubeconfig is not supported: use a credential plugin (exec)")]
    AuthProvider(String),
    #[error(transparent)]
    Exec(#[from] InvalidExecConfig),
}

/// Which certificates of the server are accepted.
#[derive(Clone, Debug)]
pub(super) enum ServerTrust {
    /// Those that the system trusts.
    System,
    /// Those of a PEM bundle; a file is read again when it changes.
    Bundle { pem: Vec<u8>, file: Option<PathBuf> },
    /// Any (`insecure-skip-tls-verify`).
    Any,
}

/// How requests say who sends them.
#[derive(Clone, Debug)]
pub(super) enum CredentialSource {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    Token(SecretString),
    /// The file is read again every minute; the token is used while it cannot be read.
    TokenFile {
        file: PathBuf,
        last: SecretString,
    },
    Exec(Box<ExecPlugin>),
}

/// Where and how to call the API server.
#[derive(Clone, Debug)]
pub struct ClusterAccess {
    pub namespace: String,
    pub(super) server: Uri,
    pub(super) tls_server_name: Option<String>,
    pub(super) trust: ServerTrust,
    pub(super) proxy: Option<Proxy>,
    pub(super) credentials: CredentialSource,
    /// Certificates and key in PEM.
    pub(super) client_identity: Option<(Vec<u8>, SecretString)>,
    /// Header names and values.
    pub(super) impersonation: Vec<(String, String)>,
}

impl ClusterAccess {
    /// Resolves kubeconfig, flags and environment as kubectl does. The ServiceAccount of a pod is used only if there is no
    /// kubeconfig at all (`KUBECONFIG` is unset, the default file does not exist) and no flag selects a cluster: a wrong
    /// path must not lead to another cluster.
    ///
    /// # Errors
    /// A file cannot be read, or what it says is incomplete or contradictory.
    pub fn load(overrides: &ClusterOverrides, env: EnvLookup<'_>) -> Result<Self, ClusterAccessError> {
        let kubeconfig = read_kubeconfig(overrides.kubeconfig.as_deref(), env)?;
        let ClusterOverrides { context, cluster, user, server, .. } = overrides;
        let selects = [context, cluster, user, server].into_iter().any(Option::is_some);
        match kubeconfig {
            Some(kubeconfig) => Self::from_kubeconfig(&kubeconfig, overrides, env),
            None if selects => Self::from_kubeconfig(&Kubeconfig::default(), overrides, env),
            None => Self::in_cluster(overrides, env),
        }
    }

    fn from_kubeconfig(
        kubeconfig: &Kubeconfig,
        overrides: &ClusterOverrides,
        env: EnvLookup<'_>,
    ) -> Result<Self, ClusterAccessError> {
        let origin = || kubeconfig.origin();
        fn find<T: Clone>(
            kind: &'static str,
            name: &str,
            entries: &BTreeMap<String, T>,
            origin: String,
        ) -> Result<T, ClusterAccessError> {
            let missing = || ClusterAccessError::Missing { origin, kind, name: name.to_owned() };
            entries.get(name).cloned().ok_or_else(missing)
        }
        let context_name = overrides.context.as_ref().or(kubeconfig.current_context.as_ref());
        let context = match context_name {
            Some(name) => find("context", name, &kubeconfig.contexts, origin())?,
            None if overrides.server.is_some() || overrides.cluster.is_some() => Default::default(),
            None => return Err(ClusterAccessError::NoCurrentContext { origin: origin() }),
        };
        let cluster_name = overrides.cluster.clone().or(context.cluster).filter(|name| !name.is_empty());
        let cluster = match &cluster_name {
            Some(name) if overrides.server.is_none() || overrides.cluster.is_some() => {
                find("cluster", name, &kubeconfig.clusters, origin())?
            }
            Some(name) => kubeconfig.clusters.get(name).cloned().unwrap_or_default(),
            None => KubeconfigCluster::default(),
        };
        let user = match (&overrides.user, &context.user) {
            (Some(name), _) => find("user", name, &kubeconfig.users, origin())?,
            // kubectl does not mind a user that is not there.
            (None, Some(name)) => kubeconfig.users.get(name).cloned().unwrap_or_default(),
            (None, None) => KubeconfigUser::default(),
        };
        let cluster = override_cluster(cluster, overrides);
        let address = cluster.server.clone().filter(|server| !server.is_empty());
        let address = address.ok_or_else(|| {
            let cluster = cluster_name.unwrap_or_default();
            ClusterAccessError::NoServer { origin: origin(), cluster }
        })?;
        let server = parse_server(&address)?;
        let proxy_url = cluster.proxy_url.as_deref().filter(|url| !url.is_empty());
        let user = override_user(user, overrides);
        let trust = server_trust(&cluster)?;
        Ok(Self {
            namespace: [&overrides.namespace, &context.namespace]
                .into_iter()
                .flatten()
                .find(|namespace| !namespace.is_empty())
                .map_or_else(|| "default".to_owned(), Clone::clone),
            proxy: proxy_for(&server, proxy_url, env)?,
            tls_server_name: cluster.tls_server_name.clone().filter(|name| !name.is_empty()),
            client_identity: client_identity(&user)?,
            impersonation: impersonation_headers(&user)?,
            credentials: credential_source(user, &cluster, &trust)?,
            trust,
            server,
        })
    }

    fn in_cluster(overrides: &ClusterOverrides, env: EnvLookup<'_>) -> Result<Self, ClusterAccessError> {
        let variable = |name: &str| env(name).and_then(|v| v.into_string().ok()).filter(|value| !value.is_empty());
        let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
        else {
            return Err(ClusterAccessError::NoKubeconfig);
        };
        let read = |name: &str| {
            let file = format!("{SERVICE_ACCOUNT_DIR}/{name}");
            fs::read_to_string(&file).map_err(|cause| ClusterAccessError::ServiceAccount { file, cause })
        };
        let (token, pod_ca) = (read("token")?, read("ca.crt")?);
        let namespace = match overrides.namespace.clone().or_else(|| variable("POD_NAMESPACE")) {
            Some(namespace) => namespace,
            None => read("namespace")?.trim().to_owned(),
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let server = parse_server(&format!("https://{host}:{port}"))?;
        let trust = match override_cluster(KubeconfigCluster::default(), overrides) {
            flags if flags.certificate_authority.is_some() || flags.insecure_skip_tls_verify == Some(true) => {
                server_trust(&flags)?
            }
            _ => ServerTrust::Bundle {
                pem: pod_ca.into_bytes(),
                file: Some(PathBuf::from(format!("{SERVICE_ACCOUNT_DIR}/ca.crt"))),
            },
        };
        let user = override_user(KubeconfigUser::default(), overrides);
        Ok(Self {
            namespace,
            tls_server_name: overrides.tls_server_name.clone(),
            trust,
            // In a pod, the proxy of the environment is the way to Box, not to the API server of the pod's own cluster.
            proxy: proxy_for(&server, overrides.proxy_url.as_deref(), &|_| None)?,
            client_identity: client_identity(&user)?,
            impersonation: impersonation_headers(&user)?,
            credentials: match &overrides.token {
                Some(token) => CredentialSource::Token(token.clone()),
                None => CredentialSource::TokenFile {
                    file: PathBuf::from(format!("{SERVICE_ACCOUNT_DIR}/token")),
                    last: token.trim().into(),
                },
            },
            server,
        })
    }
}

/// An address without scheme is `https` if a port follows, as in kubectl (`--server host:6443`).
fn parse_server(address: &str) -> Result<Uri, ClusterAccessError> {
    // An address may hold a password: the text of the error is cut before it.
    let shown = || ClusterAccessError::InvalidServer(without_userinfo(address));
    let address = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    let uri: Uri = address.parse().map_err(|_| shown())?;
    let has_userinfo = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("http" | "https") if !has_userinfo => Ok(uri),
        _ => Err(shown()),
    }
}

fn without_userinfo(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((before, host)) => format!("{}…@{host}", before.split_once("://").map_or("", |_| "https://")),
        None => address.to_owned(),
    }
}

fn server_trust(cluster: &KubeconfigCluster) -> Result<ServerTrust, ClusterAccessError> {
    const FIELD: &str = "certificate-authority";
    let file = cluster.certificate_authority.as_ref().filter(|file| !file.is_empty());
    let data = cluster.certificate_authority_data.as_ref().filter(|data| !data.is_empty());
    let insecure = cluster.insecure_skip_tls_verify == Some(true);
    match (file, data) {
        (Some(_), Some(_)) => Err(ClusterAccessError::Contradiction(
            "the cluster has both certificate-authority and certificate-authority-data: remove one",
        )),
        (Some(_), None) | (None, Some(_)) if insecure => Err(ClusterAccessError::Contradiction(
            "the cluster has both insecure-skip-tls-verify and a certificate-authority: remove one",
        )),
        (Some(file), None) => Ok(ServerTrust::Bundle { pem: read_data_file(FIELD, file)?, file: Some(file.into()) }),
        (None, Some(data)) => {
            Ok(ServerTrust::Bundle { pem: decode_data("certificate-authority-data", data)?, file: None })
        }
        (None, None) if insecure => Ok(ServerTrust::Any),
        (None, None) => Ok(ServerTrust::System),
    }
}

fn client_identity(user: &KubeconfigUser) -> Result<Option<(Vec<u8>, SecretString)>, ClusterAccessError> {
    let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    let certificate = match (given(&user.client_certificate), given(&user.client_certificate_data)) {
        (Some(_), Some(_)) => {
            return Err(ClusterAccessError::Contradiction(
                "the user has both client-certificate and client-certificate-data: remove one",
            ));
        }
        (Some(file), None) => read_data_file("client-certificate", &file)?,
        (None, Some(data)) => decode_data("client-certificate-data", &data)?,
        (None, None) => return Ok(None),
    };
    let key_data = user.client_key_data.as_ref().map(|data| data.expose_secret()).filter(|data| !data.is_empty());
    let key = match (given(&user.client_key), key_data) {
        (Some(_), Some(_)) => {
            return Err(ClusterAccessError::Contradiction(
                "the user has both client-key and client-key-data: remove one",
            ));
        }
        (Some(file), None) => read_data_file("client-key", &file)?,
        (None, Some(data)) => decode_data("client-key-data", data)?,
        (None, None) => {
            return Err(ClusterAccessError::Contradiction("the user has a client-certificate and no client-key"));
        }
    };
    let not_text = |_| ClusterAccessError::Data { field: "client-key", cause: "is not PEM".to_owned() };
    Ok(Some((certificate, String::from_utf8(key).map_err(not_text)?.into())))
}

fn credential_source(
    user: KubeconfigUser,
    cluster: &KubeconfigCluster,
    trust: &ServerTrust,
) -> Result<CredentialSource, ClusterAccessError> {
    let KubeconfigUser { token, token_file, username, password, auth_provider, exec, .. } = user;
    let has_certificate = [&user.client_certificate, &user.client_certificate_data]
        .into_iter()
        .flatten()
        .any(|certificate| !certificate.is_empty());
    let token = token.filter(|token| !token.expose_secret().is_empty());
    let username = username.filter(|name| !name.is_empty());
    if token.is_some() && username.is_some() {
        return Err(ClusterAccessError::Contradiction(
            "the user has both a token and a username: only one can be used",
        ));
    }
    if let Some(file) = token_file.filter(|file| !file.is_empty()) {
        let last = match (read_data_file("tokenFile", &file), token) {
            (Ok(bytes), _) => String::from_utf8_lossy(&bytes).trim().into(),
            (Err(_), Some(token)) => token,
            (Err(error), None) => return Err(error),
        };
        return Ok(CredentialSource::TokenFile { file: file.into(), last });
    }
    if let Some(token) = token {
        return Ok(CredentialSource::Token(token));
    }
    if let Some(username) = username {
        return Ok(CredentialSource::Basic { username, password: password.unwrap_or_default() });
    }
    match (exec, auth_provider) {
        (Some(_), Some(_)) => {
            Err(ClusterAccessError::Contradiction("the user has both exec and auth-provider: remove one"))
        }
        // A certificate says who it is, as in kubectl.
        (Some(_), None) if has_certificate => Ok(CredentialSource::None),
        (Some(exec), None) => {
            let ca = match trust {
                ServerTrust::Bundle { pem, .. } => Some(STANDARD.encode(pem)),
                ServerTrust::System | ServerTrust::Any => None,
            };
            Ok(CredentialSource::Exec(Box::new(ExecPlugin::new(exec, cluster, ca)?)))
        }
        (None, Some(provider)) => match provider.config.unwrap_or_default().remove("id-token") {
            Some(token) if provider.name == "oidc" => Ok(CredentialSource::Token(token)),
            _ => Err(ClusterAccessError::AuthProvider(provider.name)),
        },
        (None, None) => Ok(CredentialSource::None),
    }
}

fn impersonation_headers(user: &KubeconfigUser) -> Result<Vec<(String, String)>, ClusterAccessError> {
    let KubeconfigUser { impersonate, impersonate_uid, impersonate_groups, impersonate_extra, .. } = user;
    let name = impersonate.as_ref().filter(|name| !name.is_empty());
    let mut headers = Vec::new();
    headers.extend(name.map(|name| ("impersonate-user".to_owned(), name.clone())));
    headers.extend(impersonate_uid.iter().map(|uid| ("impersonate-uid".to_owned(), uid.clone())));
    headers.extend(impersonate_groups.iter().flatten().map(|group| ("impersonate-group".to_owned(), group.clone())));
    for (key, values) in impersonate_extra.iter().flatten() {
        headers.extend(values.iter().map(|value| (format!("impersonate-extra-{}", escape_key(key)), value.clone())));
    }
    if name.is_none() && !headers.is_empty() {
        return Err(ClusterAccessError::Contradiction("a group or UID is impersonated without a user: add --as"));
    }
    Ok(headers)
}

/// Escapes what a header name cannot hold, and the escape character.
fn escape_key(key: &str) -> String {
    key.to_lowercase().bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' => text + &char::from(byte).to_string(),
        byte if b"!#$&'*+-.^_`|~".contains(&byte) => text + &char::from(byte).to_string(),
        byte => text + &format!("%{byte:02x}"),
    })
}

fn read_data_file(field: &'static str, file: &str) -> Result<Vec<u8>, ClusterAccessError> {
    fs::read(file).map_err(|cause| ClusterAccessError::DataFile { field, file: file.to_owned(), cause })
}

fn decode_data(field: &'static str, base64: &str) -> Result<Vec<u8>, ClusterAccessError> {
    let compact: String = base64.split_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| ClusterAccessError::Data { field, cause: "is not base64".to_owned() })
}

/// The environment of this process.
pub fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
