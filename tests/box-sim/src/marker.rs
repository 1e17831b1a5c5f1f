//! Markers: opaque to clients; a position in the order of ids.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The decoded form of Box's markers, and `page` for behaviours that count pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    #[serde(rename = "type")]
    kind: String,
    dir: String,
    tail: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) page: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(hop: &u64) -> bool {
    *hop == 0
}

impl Marker {
    /// A marker that continues after this key.
    pub(crate) fn after(key: u64, hop: u64) -> Self {
        Self { kind: "id".to_owned(), dir: "next".to_owned(), tail: key.to_string(), page: hop }
    }

    pub(crate) fn tail(&self) -> Option<u64> {
        self.tail.parse().ok()
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let marker: Self = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
        (marker.kind == "id" && marker.dir == "next" && marker.tail().is_some()).then_some(marker)
    }

    pub(crate) fn encode(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).expect("plain values always serialize"))
    }
}
