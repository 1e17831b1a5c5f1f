//! The test-only key pairs, and public keys as an app registers them.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// The passphrase of the private keys.
pub const PASSPHRASE: &str = "box-sim-passphrase";

/// The format of the private key in a `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// PKCS#8 with PBES2, 3DES and a SHA-1 PRF: as in files from Box.
    Pkcs8TripleDes,
    /// PKCS#8 with PBES2 and AES-256.
    Pkcs8Aes256,
    /// Traditional PEM, `Proc-Type: 4,ENCRYPTED`.
    TraditionalPem,
}

impl KeyFormat {
    pub const ALL: &[Self] = &[Self::Pkcs8TripleDes, Self::Pkcs8Aes256, Self::TraditionalPem];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs8TripleDes => "pkcs8-3des",
            Self::Pkcs8Aes256 => "pkcs8-aes256",
            Self::TraditionalPem => "traditional",
        }
    }
}

/// One of the two key pairs among the fixtures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPair {
    First,
    Second,
}

impl KeyPair {
    /// The encrypted private key.
    #[must_use]
    pub const fn private_pem(self, format: KeyFormat) -> &'static str {
        match (self, format) {
            (Self::First, KeyFormat::Pkcs8TripleDes) => include_str!("../fixtures/first.pkcs8-3des.pem"),
            (Self::First, KeyFormat::Pkcs8Aes256) => include_str!("../fixtures/first.pkcs8-aes256.pem"),
            (Self::First, KeyFormat::TraditionalPem) => include_str!("../fixtures/first.traditional.pem"),
            (Self::Second, KeyFormat::Pkcs8TripleDes) => include_str!("../fixtures/second.pkcs8-3des.pem"),
            (Self::Second, KeyFormat::Pkcs8Aes256) => include_str!("../fixtures/second.pkcs8-aes256.pem"),
            (Self::Second, KeyFormat::TraditionalPem) => include_str!("../fixtures/second.traditional.pem"),
        }
    }

    #[must_use]
    pub const fn public_pem(self) -> &'static str {
        match self {
            Self::First => include_str!("../fixtures/first.public.pem"),
            Self::Second => include_str!("../fixtures/second.public.pem"),
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// An RSA public key as `ring` verifies with it.
#[derive(Clone)]
pub(crate) struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Parses `BEGIN PUBLIC KEY` and `BEGIN RSA PUBLIC KEY`.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        let base64: String = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64).ok()?;
        if pem.contains("BEGIN RSA PUBLIC KEY") {
            return Some(Self(der));
        }
        // SubjectPublicKeyInfo: a sequence of an algorithm and a bit string that holds the key behind a zero byte.
        let (inside, _) = der_element(0x30, &der)?;
        let (_algorithm, rest) = der_element(0x30, inside)?;
        let (bits, _) = der_element(0x03, rest)?;
        Some(Self(bits.strip_prefix(&[0])?.to_vec()))
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(message, signature).is_ok()
    }
}

/// The content of a DER element with this tag, and what follows it.
fn der_element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = der else { return None };
    if *first != tag {
        return None;
    }
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}
