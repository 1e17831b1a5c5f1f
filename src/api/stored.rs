//! Objects as they are stored. Each is decoded by itself, so that one that this version cannot read hides no other one of
//! its list.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, api::ObjectMeta};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    BoxConnection, ROSTER_FORMAT_VERSION, RosterChange, RosterContent, Trigger, UserCounts, UserRoster, UserSyncRequest,
};

/// A kind whose objects may be of a newer version.
pub trait DecodeStored: DeserializeOwned {
    /// # Errors
    /// This version cannot read the object.
    fn decode(object: Value) -> serde_json::Result<Self> {
        serde_json::from_value(object)
    }
}

impl DecodeStored for BoxConnection {}
impl DecodeStored for UserSyncRequest {}
impl DecodeStored for UserRoster {
    /// The format is read before the rest: of a roster of a newer format nothing else is known.
    fn decode(object: Value) -> serde_json::Result<Self> {
        match object["format"].as_i64() {
            Some(format) if format > ROSTER_FORMAT_VERSION => Ok(UserRoster {
                metadata: serde_json::from_value(object["metadata"].clone())?,
                spec: unknown_content(format, object["enterpriseId"].as_str().unwrap_or_default()),
            }),
            _ => serde_json::from_value(object),
        }
    }
}

fn unknown_content(format: i64, enterprise_id: &str) -> RosterContent {
    let unknown_time = Time(jiff::Timestamp::UNIX_EPOCH);
    RosterContent {
        format,
        enterprise_id: enterprise_id.to_owned(),
        revision: 0,
        revision_time: unknown_time.clone(),
        users: UserCounts::default(),
        slice_count: 0,
        slices: Vec::new(),
        oldest_removed_at: None,
        held: None,
        unconfirmed: Vec::new(),
        previous: None,
        change: RosterChange {
            trigger: Trigger::Scheduled,
            start_time: unknown_time,
            added: 0,
            updated: 0,
            removed: 0,
            calls: 0,
            requests: Vec::new(),
            requested_at: None,
            requested_by: Vec::new(),
            approved: None,
            mass_changes: Vec::new(),
        },
        journal: Vec::new(),
        swept_at: None,
        fence: None,
        optional_keys: Vec::new(),
    }
}

/// A stored object, or why this version cannot read it.
#[derive(Clone, Debug)]
pub struct Stored<K>(pub Result<K, Unreadable>);

/// An object that this version cannot read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    metadata: ObjectMeta,
    /// The whole object.
    pub object: Value,
    /// Why, with a part of the object.
    pub error: String,
}

impl<'de, K: DecodeStored> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        Ok(Self(K::decode(object.clone()).map_err(|error| Unreadable {
            metadata: serde_json::from_value(object["metadata"].clone()).unwrap_or_default(),
            object,
            error: error.to_string(),
        })))
    }
}

impl<K: Resource> Resource for Stored<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_roster_of_a_newer_format_is_known_by_its_format_alone() {
        let newer = json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserRoster", "metadata": { "name": "acme", "uid": "u" },
            "format": 2, "enterpriseId": "1001", "slices": "elsewhere", "revision": { "major": 1 },
        });
        let stored: Stored<UserRoster> = serde_json::from_value(newer.clone()).expect("an object");
        let roster = stored.0.expect("readable");
        assert_eq!((roster.spec.format, roster.spec.enterprise_id.as_str()), (2, "1001"));
        assert_eq!(roster.metadata.uid.as_deref(), Some("u"));
        let damaged: Stored<UserRoster> = serde_json::from_value(Value::Object(
            newer
                .as_object()
                .expect("an object")
                .clone()
                .into_iter()
                .map(|(k, v)| if k == "format" { (k, json!(1)) } else { (k, v) })
                .collect(),
        ))
        .expect("an object");
        assert_eq!(damaged.meta().name.as_deref(), Some("acme"));
        assert!(damaged.0.is_err());
    }
}
