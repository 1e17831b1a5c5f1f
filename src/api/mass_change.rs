//! A change of so many users in one sync that somebody should know of it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::unknown_word::{UnknownWord, schema_of_known_words};

/// A change of more than 10 users, and of more than spec.maxRemovalPercent of the list, in one sync. It is published.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct MassChange {
    /// Deactivated: users left the status active. LoginChanged: logins changed, as by a new domain. Recreated: users
    /// vanished, and new ones have their logins. TrackingCodeLost: users lost a tracking code, as when it is renamed or
    /// switched off.
    pub kind: MassChangeKind,
    /// The number of users.
    pub users: i64,
}

/// What happened to many users at once.
#[derive(
    Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantNames,
)]
#[strum(const_into_str)]
pub enum MassChangeKind {
    /// Users left the status active, and are still listed.
    Deactivated,
    /// Logins changed, as by a new domain.
    LoginChanged,
    /// Users vanished, and new ones have their logins.
    Recreated,
    /// Users lost a tracking code, as when it is renamed, or when the enterprise switches them off: whoever selects users by
    /// it finds nobody.
    TrackingCodeLost,
    /// Of a newer version.
    #[serde(untagged)]
    Other(UnknownWord),
}

impl JsonSchema for MassChangeKind {
    fn schema_name() -> Cow<'static, str> {
        "MassChangeKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema_of_known_words(Self::VARIANTS)
    }
}

impl MassChangeKind {
    /// Those that this version knows.
    pub const KNOWN: [Self; 4] = [Self::Deactivated, Self::LoginChanged, Self::Recreated, Self::TrackingCodeLost];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other(word) => word.as_str(),
            known => known.into_str(),
        }
    }
}
