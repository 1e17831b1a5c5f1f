//! TLS to the API server: which certificates are accepted, and which is shown.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use rustls_platform_verifier::Verifier;
use secrecy::{ExposeSecret, SecretString};

use super::{cluster_access::ServerTrust, server_certificate};

/// How often a CA file is read again, for clusters that replace their CA.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// Why a certificate and key of the client cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    #[error("it holds no certificate")]
    NoCertificate,
    #[error("its key is encrypted: store it without a passphrase")]
    EncryptedKey,
    #[error("it holds no private key in PEM (PKCS#8, PKCS#1 or SEC 1)")]
    NoKey,
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error(
        "the key is of a kind that is not supported (RSA of 2048 bits or more, ECDSA P-256, P-384, P-521, Ed25519)"
    )]
    UnsupportedKey,
}

/// Why TLS to the server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("client-certificate or client-key: {0}")]
    Identity(#[from] InvalidIdentity),
    #[error("the certificate-authority holds no certificate that can be read")]
    NoAuthority,
    #[error("the certificates that this system trusts cannot be read: {0}")]
    System(rustls::Error),
    #[error("tls-server-name {0:?} is no host name")]
    ServerName(String),
    #[error("TLS cannot be set up: {0}")]
    Other(rustls::Error),
}

/// The chain and its key, of PEM.
///
/// # Errors
/// One is missing or of an unsupported kind, or they do not belong together.
pub(super) fn parse_identity(certificates: &[u8], key: &SecretString) -> Result<CertifiedKey, InvalidIdentity> {
    let chain = read_certificates(certificates);
    if chain.is_empty() {
        return Err(InvalidIdentity::NoCertificate);
    }
    let pem = key.expose_secret();
    let encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"].iter().any(|mark| pem.contains(mark));
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        _ if encrypted => return Err(InvalidIdentity::EncryptedKey),
        Ok(key) => key,
        Err(_) => return Err(InvalidIdentity::NoKey),
    };
    let identity = CertifiedKey::from_der(chain, key, &crypto_provider());
    identity.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => InvalidIdentity::Mismatch,
        _ => InvalidIdentity::UnsupportedKey,
    })
}

/// The certificates of PEM. What cannot be read is left out.
fn read_certificates(bytes: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bytes).filter_map(Result::ok).collect()
}

fn crypto_provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// # Errors
/// No trusted certificate can be read.
pub(super) fn client_config(
    trust: &ServerTrust,
    identity: Arc<dyn ResolvesClientCert>,
) -> Result<ClientConfig, TlsSetupError> {
    let provider = crypto_provider();
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        ServerTrust::System => Arc::new(Verifier::new(provider.clone()).map_err(TlsSetupError::System)?),
        ServerTrust::Bundle { pem, file } => Arc::new(BundleVerifier::new(pem, file.clone(), provider.clone())?),
        ServerTrust::Any => Arc::new(AnyServer(provider.clone())),
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsSetupError::Other)?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_client_cert_resolver(identity))
}

/// Accepts what the certificates of a bundle sign, and, as kubectl does, the certificates of the bundle themselves.
#[derive(Debug)]
struct BundleVerifier {
    file: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    current: RwLock<(Arc<Authorities>, Instant)>,
}

#[derive(Debug)]
struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
}

impl Authorities {
    fn new(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, TlsSetupError> {
        let certificates = read_certificates(pem);
        let mut roots = RootCertStore::empty();
        // One that cannot be read does not make the others useless.
        let (added, ignored) = roots.add_parsable_certificates(certificates.iter().cloned());
        if added == 0 {
            return Err(TlsSetupError::NoAuthority);
        }
        if ignored > 0 {
            tracing::warn!(ignored, "certificates of the certificate-authority cannot be read");
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let chains = chains.build().map_err(|_| TlsSetupError::NoAuthority)?;
        Ok(Self { certificates, chains })
    }
}

impl BundleVerifier {
    fn new(pem: &[u8], file: Option<PathBuf>, provider: Arc<CryptoProvider>) -> Result<Self, TlsSetupError> {
        let current = RwLock::new((Arc::new(Authorities::new(pem, &provider)?), Instant::now()));
        Ok(Self { file, provider, current })
    }

    fn authorities(&self) -> Arc<Authorities> {
        let (authorities, read_at) = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = self.file.as_ref().filter(|_| read_at.elapsed() >= RELOAD_INTERVAL) else {
            return authorities;
        };
        let read = fs::read(file).ok().and_then(|pem| Authorities::new(&pem, &self.provider).ok()).map(Arc::new);
        if read.is_none() {
            tracing::warn!(file = %file.display(), "certificate-authority cannot be read, the last one stays");
        }
        let authorities = read.unwrap_or(authorities);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (authorities.clone(), Instant::now());
        authorities
    }
}

/// Whether kubectl may accept what was rejected for this reason. Whatever else is wrong with a certificate stays wrong.
fn is_kubectl_more_lenient(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.to_string().contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

impl ServerCertVerifier for BundleVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authorities = self.authorities();
        let chain = authorities.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        chain.or_else(|error| {
            if !is_kubectl_more_lenient(&error) {
                return Err(error);
            }
            let algorithms = self.provider.signature_verification_algorithms.all;
            let trusted = &authorities.certificates;
            server_certificate::verify(end_entity, intermediates, server_name, now, trusted, algorithms)
                .map(|()| ServerCertVerified::assertion())
                .map_err(|_| error)
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `insecure-skip-tls-verify`: any certificate, whose key the server must have.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake means, for people.
pub(super) fn describe_tls_error(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(cause) = error else { return format!("TLS failed: {error}") };
    let why = match cause {
        CertificateError::UnknownIssuer => {
            "no certificate-authority of the kubeconfig (or, without one, of this system) signed it".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed by an algorithm that is not supported (SHA-1, DSA, or an unusual curve)".to_owned()
        }
        CertificateError::BadSignature => {
            "its signature does not match, or the key of its certificate-authority is not supported (RSA below 2048 bits)"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is a CA certificate, and not one that the certificate-authority of the kubeconfig holds or signed"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "it is an X.509 certificate of version 1, which names no host".to_owned()
        }
        other => other.to_string(),
    };
    format!("the certificate of the server is not accepted: {why}")
}
