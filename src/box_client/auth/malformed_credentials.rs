//! Why credentials cannot be used at all.

use super::limits::{MAX_PBKDF2_ITERATIONS, MAX_SCRYPT_MEMORY, MAX_SCRYPT_PASSES};

const CREATE_OR_ENCRYPT_AGAIN: &str = "Generate a new key pair in Box's developer console, or encrypt it again: `openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 100000 -in old.pem -out new.pem`.";

/// Why credentials cannot be used: what is wrong, and how to fix it. Never contains any of their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCredentials {
    #[error("The {0} is empty. Copy it again from the app's page in Box's developer console.")]
    Empty(&'static str),
    #[error(
        "The {what} is longer than {limit} bytes, which is the limit. Copy it again from the app's page in Box's developer console."
    )]
    TooLong { what: &'static str, limit: usize },
    #[error(
        "The {0} contains a line break or another control character. Copy it again from the app's page in Box's developer console."
    )]
    ControlCharacter(&'static str),
    #[error(
        "The {0} looks like base64: it is encoded once too often. Put it into `stringData` as it is, or encode it only once in `data`."
    )]
    Base64Twice(&'static str),
    #[error("The {0} is not text. Copy it again from the app's page in Box's developer console.")]
    NotUtf8(&'static str),
    #[error(
        "The configuration file of the app is not JSON (line {line}, column {column}). Use the unmodified file from Box's developer console (Configuration, \"App Settings\", Download as JSON)."
    )]
    NotJson { line: usize, column: usize },
    #[error(
        "The configuration file of the app is JSON, but not a Box app configuration. Download it again from Box's developer console (Configuration, \"App Settings\", Download as JSON)."
    )]
    NotBoxConfig,
    /// A field of the configuration file, by its path.
    #[error(
        "The configuration file of the app has no {0}, or it is not a string. Generate a key pair in Box's developer console and use the downloaded file."
    )]
    MissingField(&'static str),
    #[error(
        "The private key cannot be decrypted with boxAppSettings.appAuth.passphrase. The key and the passphrase must be from the same configuration file."
    )]
    WrongPassphrase,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is a PEM in the legacy encrypted format. Convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem` and use the new key in the configuration file."
    )]
    LegacyEncryptedPem,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) uses an unsupported cipher or an unsupported key derivation. Convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem` and use the new key in the configuration file."
    )]
    UnsupportedKeyCipher,
    #[error(
        "The private key is encrypted with PBKDF2 and {found} iterations; at most {MAX_PBKDF2_ITERATIONS} are accepted. {CREATE_OR_ENCRYPT_AGAIN}"
    )]
    TooManyIterations { found: u32 },
    #[error(
        "The private key is encrypted with scrypt and N={cost}, r={block_size}, p={passes}; at most {} MiB and p={MAX_SCRYPT_PASSES} are accepted. {CREATE_OR_ENCRYPT_AGAIN}",
        MAX_SCRYPT_MEMORY >> 20
    )]
    ScryptTooCostly { cost: u64, block_size: u16, passes: u16 },
    /// Not certainly the fault of the credentials: the machine may be busy.
    #[error(
        "Decrypting the private key (boxAppSettings.appAuth.privateKey) took longer than {seconds} s. If this persists, generate a new key pair in Box's developer console: its keys are decrypted within milliseconds."
    )]
    DecryptionTimedOut { seconds: u64 },
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is not a complete PEM of a private key. Use the unmodified configuration file from Box's developer console."
    )]
    MalformedKey,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is not an RSA key of 2048 to 4096 bits. Generate a new key pair in Box's developer console."
    )]
    UnsupportedKey,
}
