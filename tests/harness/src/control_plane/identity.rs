//! The admin's token and the key pair that signs ServiceAccount tokens.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::error::{Context as _, Error, Result};

/// SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point itself (RFC 5480).
const P256_PUBLIC_KEY: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) struct AdminCredentials {
    pub(super) token: String,
}

impl AdminCredentials {
    /// Writes `tokens.csv`, `service-accounts.key` and `service-accounts.pub`.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let failed = |_| Error::new("cannot generate a key");
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random)
            .with_context(|| "cannot load the generated key".to_owned())?;
        let public = [&P256_PUBLIC_KEY, pair.public_key().as_ref()].concat();
        write_private_file(&folder.join("service-accounts.key"), &encode_pem("PRIVATE KEY", private.as_ref()))?;
        write_private_file(&folder.join("service-accounts.pub"), &encode_pem("PUBLIC KEY", &public))?;

        let mut bytes = [0; 16];
        random.fill(&mut bytes).map_err(failed)?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        write_private_file(&folder.join("tokens.csv"), &format!("{token},admin,admin,system:masters\n"))?;
        Ok(Self { token })
    }
}

fn encode_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

/// Readable by this user only.
pub(super) fn write_private_file(path: &Path, text: &str) -> Result<()> {
    let error_context = || format!("cannot write {}", path.display());
    // Written to a temporary file and renamed, so that readers never get a partial file.
    let unfinished = path.with_added_extension("tmp");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(error_context)?;
    file.write_all(text.as_bytes()).with_context(error_context)?;
    fs::rename(&unfinished, path).with_context(error_context)
}
