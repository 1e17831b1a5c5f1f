//! Certificates of servers that webpki rejects and kubectl accepts: a certificate that is trusted itself, and a CA's
//! certificate as that of a server. Self-made clusters and inspecting proxies have both. Pure.

use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime},
    server::ParsedCertificate,
};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, oid::db::rfc5912},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints},
};

/// Certificates between that of the server and a trusted one.
const MAX_INTERMEDIATES: u8 = 4;

/// Why a certificate is not accepted here either. The reason that counts is webpki's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTrusted;

/// Whether the certificate is valid now, for this name and as that of a server, and is one of the trusted certificates
/// or signed by one of them, over intermediates or not.
pub(super) fn verify(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    server_name: &ServerName<'_>,
    now: UnixTime,
    trusted: &[CertificateDer<'static>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), NotTrusted> {
    let parsed = ParsedCertificate::try_from(end_entity).map_err(|_| NotTrusted)?;
    verify_server_name(&parsed, server_name).map_err(|_| NotTrusted)?;
    let certificate = Certificate::from_der(end_entity).map_err(|_| NotTrusted)?;
    if !is_current(&certificate, now) || !serves(&certificate)? || !is_understood(&certificate) {
        return Err(NotTrusted);
    }
    if trusted.iter().any(|other| other.as_ref() == end_entity.as_ref()) {
        return Ok(());
    }
    let parse = |der: &CertificateDer<'_>| Certificate::from_der(der).ok();
    let search = ChainSearch {
        roots: trusted.iter().filter_map(parse).collect(),
        intermediates: intermediates.iter().take(usize::from(MAX_INTERMEDIATES)).filter_map(parse).collect(),
        algorithms,
        now,
    };
    if search.leads_to_a_root(&certificate, 0) { Ok(()) } else { Err(NotTrusted) }
}

fn is_current(certificate: &Certificate, now: UnixTime) -> bool {
    let validity = certificate.tbs_certificate().validity();
    let now = now.as_secs();
    validity.not_before.to_unix_duration().as_secs() <= now && now <= validity.not_after.to_unix_duration().as_secs()
}

/// Whether it is for servers: it says so, or says nothing.
fn serves(certificate: &Certificate) -> Result<bool, NotTrusted> {
    let usage = certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>().map_err(|_| NotTrusted)?;
    Ok(usage.is_none_or(|(_, usage)| {
        usage.0.iter().any(|id| *id == rfc5912::ID_KP_SERVER_AUTH || *id == rfc5912::ANY_EXTENDED_KEY_USAGE)
    }))
}

/// Whether every critical extension is one that is checked here (RFC 5280, 4.2).
fn is_understood(certificate: &Certificate) -> bool {
    let checked = [
        rfc5912::ID_CE_BASIC_CONSTRAINTS,
        rfc5912::ID_CE_KEY_USAGE,
        rfc5912::ID_CE_EXT_KEY_USAGE,
        rfc5912::ID_CE_SUBJECT_ALT_NAME,
    ];
    let mut extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    extensions.all(|extension| !extension.critical || checked.contains(&extension.extn_id))
}

struct ChainSearch<'a> {
    roots: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    now: UnixTime,
}

impl ChainSearch<'_> {
    /// `depth`: the number of intermediates below the certificate's issuer.
    fn leads_to_a_root(&self, certificate: &Certificate, depth: u8) -> bool {
        let signs = |issuer: &&Certificate| self.may_sign(issuer, depth) && self.signed(certificate, issuer);
        self.roots.iter().any(|root| signs(&root))
            || depth < MAX_INTERMEDIATES
                && self.intermediates.iter().filter(signs).any(|issuer| self.leads_to_a_root(issuer, depth + 1))
    }

    /// A current CA whose limits hold. Limits on names are not evaluated here: a CA that has some is not accepted.
    fn may_sign(&self, issuer: &Certificate, depth: u8) -> bool {
        let tbs = issuer.tbs_certificate();
        let is_ca = match tbs.get_extension::<BasicConstraints>() {
            Ok(Some((_, limits))) => limits.ca && limits.path_len_constraint.is_none_or(|most| depth <= most),
            Ok(None) | Err(_) => false,
        };
        let signs_certificates = match tbs.get_extension::<KeyUsage>() {
            Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
            Err(_) => false,
        };
        let names_are_free = matches!(tbs.get_extension::<NameConstraints>(), Ok(None));
        let is_issuer = is_ca && signs_certificates && names_are_free && is_understood(issuer);
        is_issuer && is_current(issuer, self.now) && serves(issuer) == Ok(true)
    }

    fn signed(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let (tbs, issuer) = (certificate.tbs_certificate(), issuer.tbs_certificate());
        if tbs.issuer() != issuer.subject() || certificate.signature_algorithm() != tbs.signature() {
            return false;
        }
        let key = issuer.subject_public_key_info();
        // The algorithms are compared without the tag and length of their outer sequence.
        let (Ok(signature_algorithm), Ok(key_algorithm), Ok(message)) =
            (value_of(certificate.signature_algorithm()), value_of(&key.algorithm), tbs.to_der())
        else {
            return false;
        };
        let (Some(key), Some(signature)) = (key.subject_public_key.as_bytes(), certificate.signature().as_bytes())
        else {
            return false;
        };
        self.algorithms
            .iter()
            .filter(|algorithm| {
                algorithm.signature_alg_id().as_ref() == signature_algorithm
                    && algorithm.public_key_alg_id().as_ref() == key_algorithm
            })
            .any(|algorithm| algorithm.verify_signature(key, &message, signature).is_ok())
    }
}

/// The content of a short sequence.
fn value_of(sequence: &impl Encode) -> Result<Vec<u8>, NotTrusted> {
    let der = sequence.to_der().map_err(|_| NotTrusted)?;
    der.get(2..).map(<[u8]>::to_vec).ok_or(NotTrusted)
}
