//! The JSON records in slices, one per line. Pure.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::IntoStaticStr;

use crate::{
    api::RosterContent,
    user_list::{CodesByName, TrackingCodes, User, UserRole, UserStatus},
};

const TRACKING_CODES_KEY: &str = "trackingCodes";

/// The keys that a user's line lacks if the user has none of it. Each roster names those that its publisher knew.
pub(super) fn optional_keys() -> Vec<String> {
    vec![TRACKING_CODES_KEY.to_owned()]
}

/// A user in a `Live` or `Held` slice. Every key but `trackingCodes` is always present, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedUser<'a> {
    /// Box's id of the user: a string of digits. It does not change when login or name change.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The email address with which the user signs in.
    #[serde(borrow)]
    pub login: Cow<'a, str>,
    /// The display name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// active, inactive, cannot_delete_edit, cannot_delete_edit_upload, or any value that Box adds later.
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    /// admin, coadmin, user, or any value that Box adds later.
    #[serde(borrow)]
    pub role: Cow<'a, str>,
    /// Whether it is an app user: created by an app, not a person.
    pub app: bool,
    /// When the user was created in Box; null if Box does not report it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub created_at: Option<Timestamp>,
    /// Empty if there is none.
    #[serde(borrow)]
    pub job_title: Cow<'a, str>,
    /// The user's language in Box's notation: en.
    #[serde(borrow)]
    pub language: Cow<'a, str>,
    /// The user's time zone in Box's notation: Europe/Berlin.
    #[serde(borrow)]
    pub timezone: Cow<'a, str>,
    /// The user's storage quota in bytes; -1 is unlimited.
    pub space_amount: i64,
    /// The user's tracking codes, which the enterprise defines itself, by their names: {"department": "Sales"}. Absent if
    /// there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracking_codes: CodesByName<'a>,
}

impl<'a> PublishedUser<'a> {
    pub(super) fn from_user(user: User<'a>) -> Self {
        let User {
            id,
            login,
            name,
            job_title,
            language,
            timezone,
            status,
            role,
            app,
            created_at,
            space_amount,
            tracking_codes,
        } = user;
        Self {
            id: id.into(),
            login: login.into(),
            name: name.into(),
            status: status.as_str().into(),
            role: role.as_str().into(),
            app,
            created_at: created_at.and_then(|t| Timestamp::from_second(t).ok()),
            job_title: job_title.into(),
            language: language.into(),
            timezone: timezone.into(),
            space_amount,
            tracking_codes: tracking_codes.pairs().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    pub(super) fn as_user(&self) -> User<'_> {
        User {
            id: &self.id,
            login: &self.login,
            name: &self.name,
            job_title: &self.job_title,
            language: &self.language,
            timezone: &self.timezone,
            status: UserStatus::from_name(&self.status),
            role: UserRole::from_name(&self.role),
            app: self.app,
            created_at: self.created_at.map(Timestamp::as_second),
            space_amount: self.space_amount,
            tracking_codes: TrackingCodes::by_name(&self.tracking_codes),
        }
    }

    /// All fields except the id, by key. Optional keys that the user lacks are left out.
    fn field_values(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return BTreeMap::new() };
        fields.into_iter().filter(|(key, _)| key != "id").collect()
    }
}

/// A user in a `Removed` slice. Every key is always present, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedUser {
    /// Box's id of the user: a string of digits.
    pub id: String,
    /// The login last reported by Box.
    pub login: String,
    /// The name last reported by Box.
    pub name: String,
    /// The status last reported by Box.
    pub last_status: String,
    /// When the user was removed from the list.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub removed_at: Timestamp,
}

impl RemovedUser {
    pub(super) fn from_user(user: &User<'_>, removed_at: Timestamp) -> Self {
        Self {
            id: user.id.to_owned(),
            login: user.login.to_owned(),
            name: user.name.to_owned(),
            last_status: user.status.as_str().to_owned(),
            removed_at,
        }
    }
}

/// A line of a `Changes` slice: one change of a user in one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeRecord {
    /// The kind of the change.
    pub op: ChangeOp,
    /// Box's id of the user: a string of digits.
    pub id: String,
    /// The login after the change; for a removed user the last one.
    pub login: String,
    /// The changed fields, each with its old and its new value; null if the user has no such key. For a removed user all
    /// fields, with null as the new value.
    /// `state` is the previous and the new state of a user that returned or whose removal is held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, [Value; 2]>,
}

/// The kind of a change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(const_into_str, serialize_all = "camelCase")]
pub enum ChangeOp {
    /// Box lists a user that was not in the list.
    Added,
    /// A field of the user changed.
    Updated,
    /// The user was removed from the list.
    Removed,
    /// Box lists the user again: a removed user counts as added; a held user was in the list all the time.
    Returned,
    /// Box no longer lists the user; the removal is held.
    Held,
}

impl ChangeOp {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

impl ChangeRecord {
    pub(super) fn user_added(user: &User<'_>) -> Self {
        Self::new(ChangeOp::Added, user, BTreeMap::new())
    }

    pub(super) fn user_updated(from: User<'_>, to: User<'_>) -> Self {
        Self::new(ChangeOp::Updated, &to, diff_fields(from, to))
    }

    pub(super) fn user_removed(user: User<'_>) -> Self {
        let fields = PublishedUser::from_user(user)
            .field_values()
            .into_iter()
            .map(|(key, was)| (key, [was, Value::Null]))
            .collect();
        Self::new(ChangeOp::Removed, &user, fields)
    }

    pub(super) fn removal_held(user: &User<'_>) -> Self {
        Self::new(ChangeOp::Held, user, state_transition("live", "held"))
    }

    /// Box lists a removed user again.
    pub(super) fn removed_user_returned(user: &User<'_>) -> Self {
        Self::new(ChangeOp::Returned, user, state_transition("removed", "live"))
    }

    /// Box lists a user again whose removal was held.
    pub(super) fn held_user_returned(from: User<'_>, to: User<'_>) -> Self {
        let mut fields = state_transition("held", "live");
        fields.extend(diff_fields(from, to));
        Self::new(ChangeOp::Returned, &to, fields)
    }

    fn new(op: ChangeOp, user: &User<'_>, fields: BTreeMap<String, [Value; 2]>) -> Self {
        Self { op, id: user.id.to_owned(), login: user.login.to_owned(), fields }
    }
}

fn state_transition(from: &str, to: &str) -> BTreeMap<String, [Value; 2]> {
    BTreeMap::from([("state".to_owned(), [from.into(), to.into()])])
}

fn diff_fields(from: User<'_>, to: User<'_>) -> BTreeMap<String, [Value; 2]> {
    let [mut was, mut is] = [from, to].map(|user| PublishedUser::from_user(user).field_values());
    let keys: BTreeSet<String> = was.keys().chain(is.keys()).cloned().collect();
    let pairs = keys.into_iter().map(|key| {
        let pair = [was.remove(&key).unwrap_or_default(), is.remove(&key).unwrap_or_default()];
        (key, pair)
    });
    pairs.filter(|(_, [was, is])| was != is).collect()
}

/// What the lines of a published list can tell of a user: a list of an older version lacks optional keys also of users
/// who have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownKeys {
    All,
    WithoutTrackingCodes,
}

impl KnownKeys {
    pub(super) fn of_roster(roster: &RosterContent) -> Self {
        match roster.optional_keys.iter().any(|key| key == TRACKING_CODES_KEY) {
            true => Self::All,
            false => Self::WithoutTrackingCodes,
        }
    }

    /// The published user to compare with the new one: what its line cannot tell counts as unchanged.
    pub(super) fn comparable<'a>(self, published: User<'a>, new: &User<'a>) -> User<'a> {
        match self {
            Self::All => published,
            Self::WithoutTrackingCodes => User { tracking_codes: new.tracking_codes, ..published },
        }
    }
}
