//! The limits on credentials, which are as large and as costly as the owner of a Secret makes them.

/// Bytes of an app's configuration file. Box's have 2 to 4 KiB.
pub const MAX_CONFIG_BYTES: usize = 64 << 10;
/// Bytes of a client id, which becomes part of statuses and messages. Box's have 32.
pub(super) const MAX_CLIENT_ID: usize = 256;
/// Bytes of a client secret. Box's have 32.
pub(super) const MAX_CLIENT_SECRET: usize = 1024;
/// Bytes of a refresh token. Box's have 64.
pub(super) const MAX_REFRESH_TOKEN: usize = 4096;
/// Bytes of the id of a key pair. Box's have 8.
pub(super) const MAX_KEY_ID: usize = 256;
/// Bytes of the passphrase of a private key. Box's have 32.
pub(super) const MAX_PASSPHRASE: usize = 1024;
/// Bytes of an enterprise id, as in `spec.enterpriseId`. It becomes part of messages.
pub(super) const MAX_ENTERPRISE_ID: usize = 64;

/// Box's developer console uses 2,048; password managers recommend up to 1,300,000. This many take up to three seconds.
pub(super) const MAX_PBKDF2_ITERATIONS: u32 = 2_000_000;
/// Bytes: 128·N·r. OpenSSL uses 16 MiB.
pub(super) const MAX_SCRYPT_MEMORY: u64 = 64 << 20;
/// Each pass (p) takes as long as the first, a quarter of a second at the limit of the memory.
pub(super) const MAX_SCRYPT_PASSES: u16 = 4;
