//! The kubeconfig: address, CA and token.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::identity;
use crate::error::{Context as _, Result};

pub(super) fn write_kubeconfig(path: &Path, url: &str, ca: &str, token: &str, namespace: &str) -> Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "boxsync",
        "clusters": [{
            "name": "boxsync",
            "cluster": { "server": url, "certificate-authority-data": STANDARD.encode(ca) },
        }],
        "users": [{ "name": "boxsync", "user": { "token": token } }],
        "contexts": [{
            "name": "boxsync",
            "context": { "cluster": "boxsync", "user": "boxsync", "namespace": namespace },
        }],
    });
    let text = serde_saphyr::to_string(&config).with_context(|| "cannot serialize the kubeconfig".to_owned())?;
    identity::write_private_file(path, &text)
}
