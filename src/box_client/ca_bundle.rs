//! Certificates that are trusted in addition to those of the system, for networks whose proxy inspects TLS.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// All public authorities together take 250 KiB.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The certificates of a PEM file, which is what is parsed: its path.
#[derive(Clone, Debug, Default)]
pub struct CaBundle(Vec<CertificateDer<'static>>);

/// Why a file of certificates cannot be used. The texts name the file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCaBundle {
    #[error("{} cannot be read: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("{} holds no certificate in PEM", file.display())]
    Empty { file: PathBuf },
    #[error("certificate {number} of {} cannot be read", file.display())]
    Malformed { file: PathBuf, number: usize },
    #[error("SSL_CERT_FILE is empty: name a file with the trusted certificates, or unset it")]
    NoSystemFile,
    #[error("SSL_CERT_FILE: {0}")]
    SystemFile(#[source] Box<InvalidCaBundle>),
}

impl FromStr for CaBundle {
    type Err = InvalidCaBundle;

    fn from_str(file: &str) -> Result<Self, InvalidCaBundle> {
        Self::read(Path::new(file))
    }
}

impl CaBundle {
    /// Reads a file; each of its certificates must be usable.
    ///
    /// # Errors
    /// The file cannot be read, holds no certificate, or one that cannot be used.
    fn read(file: &Path) -> Result<Self, InvalidCaBundle> {
        let mut certificates = Vec::new();
        for (index, certificate) in read_pem(file)?.into_iter().enumerate() {
            let malformed = || InvalidCaBundle::Malformed { file: file.to_owned(), number: index + 1 };
            let certificate = certificate.ok_or_else(malformed)?;
            RootCertStore::empty().add(certificate.clone()).map_err(|_| malformed())?;
            certificates.push(certificate);
        }
        Ok(Self(certificates))
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }
}

/// Checks the file of trusted certificates that `SSL_CERT_FILE` names. Where it is missing or has no certificate, each
/// server would be called untrusted.
///
/// # Errors
/// The variable is empty, or the file cannot be read or holds no certificate.
pub fn check_system_certificates(ssl_cert_file: Option<&OsStr>) -> Result<(), InvalidCaBundle> {
    // Elsewhere the system's own verifier is used, which does not know the variable.
    let file = match ssl_cert_file {
        Some(file) if cfg!(all(unix, not(target_vendor = "apple"))) => Path::new(file),
        Some(_) | None => return Ok(()),
    };
    if file.as_os_str().is_empty() {
        return Err(InvalidCaBundle::NoSystemFile);
    }
    match read_pem(file) {
        // Public bundles may hold some that are not known here.
        Ok(certificates) if certificates.iter().any(Option::is_some) => Ok(()),
        Ok(_) => Err(InvalidCaBundle::SystemFile(Box::new(InvalidCaBundle::Empty { file: file.to_owned() }))),
        Err(error) => Err(InvalidCaBundle::SystemFile(Box::new(error))),
    }
}

/// The certificates of a file, `None` for one that is no PEM; at least one.
fn read_pem(file: &Path) -> Result<Vec<Option<CertificateDer<'static>>>, InvalidCaBundle> {
    let unreadable = |cause| InvalidCaBundle::Unreadable { file: file.to_owned(), cause };
    if fs::metadata(file).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB")));
    }
    let pem = fs::read(file).map_err(unreadable)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).map(Result::ok).collect();
    if certificates.is_empty() { Err(InvalidCaBundle::Empty { file: file.to_owned() }) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &str = include_str!("../../tests/e2e/like_kubectl/certificates/ca-p521.crt");

    /// A file that is deleted afterwards.
    struct PemFile(PathBuf);

    impl PemFile {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("boxsync-ca-bundle-{}-{name}", std::process::id()));
            fs::write(&path, text).expect("a file");
            Self(path)
        }
    }

    impl Drop for PemFile {
        fn drop(&mut self) {
            fs::remove_file(&self.0).ok();
        }
    }

    #[test]
    fn all_certificates_of_a_bundle_are_read() {
        let file = PemFile::new("two", &format!("# ours\n{AUTHORITY}\n{AUTHORITY}"));
        assert_eq!(CaBundle::read(&file.0).expect("a bundle").certificates().count(), 2);
        assert!(check_system_certificates(Some(file.0.as_os_str())).is_ok());
    }

    #[test]
    fn a_bundle_that_cannot_be_used_is_an_error_that_names_the_file() {
        let broken = AUTHORITY.replace("\nM", "\nMAAA");
        for (name, text, expected) in [
            ("empty", "", "holds no certificate in PEM"),
            ("text", "not PEM", "holds no certificate in PEM"),
            ("der", "\u{30}\u{1}", "holds no certificate in PEM"),
            ("second", &*format!("{AUTHORITY}{broken}"), "certificate 2 of"),
        ] {
            let file = PemFile::new(name, text);
            let error = CaBundle::read(&file.0).expect_err(name).to_string();
            assert!(error.contains(expected) && error.contains(&*file.0.to_string_lossy()), "{error}");
        }
        let error = CaBundle::read(Path::new("/missing.pem")).expect_err("missing").to_string();
        assert!(error.starts_with("/missing.pem cannot be read: "), "{error}");
    }

    #[test]
    fn a_system_file_that_is_missing_or_empty_is_an_error() {
        assert!(check_system_certificates(None).is_ok());
        let empty = PemFile::new("system", "");
        for (file, expected) in [
            (OsStr::new("/missing.pem"), "SSL_CERT_FILE: /missing.pem cannot be read"),
            (OsStr::new(""), "SSL_CERT_FILE is empty"),
            (empty.0.as_os_str(), "holds no certificate in PEM"),
        ] {
            let error = check_system_certificates(Some(file)).expect_err("unusable").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
