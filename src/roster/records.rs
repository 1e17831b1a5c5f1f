//! The lines of slices: what is written and what readers get. Pure.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{UserRecord, UserRole, UserStatus};

/// A user of a `Live` or `Held` slice. Every key is always there, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedUser<'a> {
    /// Box's id of the user: digits, as a text. It stays when login and name change.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The e-mail address with which the user signs in.
    #[serde(borrow)]
    pub login: Cow<'a, str>,
    /// The display name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// active, inactive, cannot_delete_edit, cannot_delete_edit_upload, or what Box adds later.
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    /// admin, coadmin, user, or what Box adds later.
    #[serde(borrow)]
    pub role: Cow<'a, str>,
    /// Whether it is an app user: one that an app made, and no person.
    pub app: bool,
    /// When the user was created in Box; null where Box does not tell.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub created_at: Option<Timestamp>,
    /// Empty where there is none.
    #[serde(borrow)]
    pub job_title: Cow<'a, str>,
    /// The language of Box for this user, as Box names it: en.
    #[serde(borrow)]
    pub language: Cow<'a, str>,
    /// As Box names it: Europe/Berlin.
    #[serde(borrow)]
    pub timezone: Cow<'a, str>,
    /// How much the user may store: bytes; -1 is unlimited.
    pub space_amount: i64,
}

impl<'a> PublishedUser<'a> {
    pub(super) fn from_record(record: UserRecord<'a>) -> Self {
        let UserRecord { id, login, name, job_title, language, timezone, status, role, app, created_at, space_amount } =
            record;
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
        }
    }

    pub(super) fn as_record(&self) -> UserRecord<'_> {
        UserRecord {
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
        }
    }

    /// What is known of the user beside the id and the login, as values by their keys.
    fn field_values(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return BTreeMap::new() };
        fields.into_iter().filter(|(key, _)| key != "id").collect()
    }
}

/// A user of a `Removed` slice. Every key is always there, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedUser {
    /// Box's id of the user: digits, as a text.
    pub id: String,
    /// The login that Box told last.
    pub login: String,
    /// The name that Box told last.
    pub name: String,
    /// The status that Box told last.
    pub last_status: String,
    /// When the user went from the list.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub removed_at: Timestamp,
}

impl RemovedUser {
    pub(super) fn from_user(user: &UserRecord<'_>, removed_at: Timestamp) -> Self {
        Self {
            id: user.id.to_owned(),
            login: user.login.to_owned(),
            name: user.name.to_owned(),
            last_status: user.status.as_str().to_owned(),
            removed_at,
        }
    }
}

/// A line of a `Changes` slice: what happened to one user in one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeRecord {
    /// What happened.
    pub op: ChangeOp,
    /// Box's id of the user: digits, as a text.
    pub id: String,
    /// The login after the change; of a user who was removed, the last one.
    pub login: String,
    /// What changed: from and to. Of a user who was removed all that was known, to null. `state` tells where a user who
    /// returned had been, and that one was held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, [Value; 2]>,
}

/// What happened to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChangeOp {
    /// Box lists a user whom the list did not know.
    Added,
    /// Something about the user changed.
    Updated,
    /// The user went from the list.
    Removed,
    /// Box lists the user again: who had been removed counts as added, who had been held was in the list all along.
    Returned,
    /// Box no longer lists the user; the removal is held.
    Held,
}

impl ChangeOp {
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeOp::Added => "added",
            ChangeOp::Updated => "updated",
            ChangeOp::Removed => "removed",
            ChangeOp::Returned => "returned",
            ChangeOp::Held => "held",
        }
    }
}

impl ChangeRecord {
    pub(super) fn user_added(user: &UserRecord<'_>) -> Self {
        Self::new(ChangeOp::Added, user, BTreeMap::new())
    }

    pub(super) fn user_updated(from: UserRecord<'_>, to: UserRecord<'_>) -> Self {
        Self::new(ChangeOp::Updated, &to, diff_fields(from, to))
    }

    pub(super) fn user_removed(user: UserRecord<'_>) -> Self {
        let fields = PublishedUser::from_record(user)
            .field_values()
            .into_iter()
            .map(|(key, was)| (key, [was, Value::Null]))
            .collect();
        Self::new(ChangeOp::Removed, &user, fields)
    }

    pub(super) fn removal_held(user: &UserRecord<'_>) -> Self {
        Self::new(ChangeOp::Held, user, state_transition("live", "held"))
    }

    /// Back from among those who were removed.
    pub(super) fn removed_user_returned(user: &UserRecord<'_>) -> Self {
        Self::new(ChangeOp::Returned, user, state_transition("removed", "live"))
    }

    /// Back from among those who were held.
    pub(super) fn held_user_returned(from: UserRecord<'_>, to: UserRecord<'_>) -> Self {
        let mut fields = state_transition("held", "live");
        fields.extend(diff_fields(from, to));
        Self::new(ChangeOp::Returned, &to, fields)
    }

    fn new(op: ChangeOp, user: &UserRecord<'_>, fields: BTreeMap<String, [Value; 2]>) -> Self {
        Self { op, id: user.id.to_owned(), login: user.login.to_owned(), fields }
    }
}

fn state_transition(from: &str, to: &str) -> BTreeMap<String, [Value; 2]> {
    BTreeMap::from([("state".to_owned(), [from.into(), to.into()])])
}

fn diff_fields(from: UserRecord<'_>, to: UserRecord<'_>) -> BTreeMap<String, [Value; 2]> {
    let to = PublishedUser::from_record(to).field_values();
    let pairs = PublishedUser::from_record(from).field_values().into_iter().map(|(key, was)| {
        let is = to.get(&key).cloned().unwrap_or_default();
        (key, [was, is])
    });
    pairs.filter(|(_, [was, is])| was != is).collect()
}
