//! Why credentials cannot be used at all.

/// Why credentials cannot even be tried: what is wrong, and how to mend it. Never holds any of their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCredentials {
    #[error("The {0} is empty. Copy it again from the app's page in Box's developer console.")]
    Empty(&'static str),
    #[error("The {0} is not text. Copy it again from the app's page in Box's developer console.")]
    NotUtf8(&'static str),
    #[error(
        "The configuration file of the app is not JSON (line {line}, column {column}). Use the file as Box's developer console hands it out (Configuration, \"App Settings\", Download as JSON)."
    )]
    NotJson { line: usize, column: usize },
    #[error(
        "The configuration file of the app is JSON, but not the file that Box's developer console hands out. Download it there again (Configuration, \"App Settings\", Download as JSON)."
    )]
    NotBoxConfig,
    /// A member of the configuration file, by its path.
    #[error(
        "The configuration file of the app lacks {0}, or it is not a text. Generate a key pair in Box's developer console and use the file that it hands out then."
    )]
    MissingField(&'static str),
    #[error(
        "The private key cannot be decrypted with boxAppSettings.appAuth.passphrase. Use key and passphrase of the same configuration file."
    )]
    WrongPassphrase,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is an encrypted PEM of the traditional kind (\"Proc-Type: 4,ENCRYPTED\"), which is not supported. Convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem` and put the new one into the configuration file."
    )]
    LegacyEncryptedPem,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is encrypted in a way that is not supported. Convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem` and put the new one into the configuration file."
    )]
    UnsupportedKeyCipher,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is not a complete PEM of a private key. Use the configuration file as Box's developer console hands it out."
    )]
    MalformedKey,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is not an RSA key of 2048 to 4096 bits. Generate a new key pair in Box's developer console."
    )]
    UnsupportedKey,
}
