//! User fields in responses, and their JSON.

use crate::{
    behaviour::{Behaviour, BehaviourSet},
    user::User,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

macro_rules! fields {
    ($($field:ident $name:literal $standard:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Field { $($field),* }
        const FIELDS: &[(Field, &str, bool)] = &[$((Field::$field, $name, $standard)),*];
    };
}

// The flag: part of the default response without `fields`. `id`, `type`, `name` and `login` are always included.
fields! {
    CreatedAt "created_at" true,
    ModifiedAt "modified_at" true,
    Language "language" true,
    Timezone "timezone" true,
    SpaceAmount "space_amount" true,
    SpaceUsed "space_used" true,
    MaxUploadSize "max_upload_size" true,
    Status "status" true,
    JobTitle "job_title" true,
    Phone "phone" true,
    Address "address" true,
    AvatarUrl "avatar_url" true,
    NotificationEmail "notification_email" true,
    Role "role" false,
    Enterprise "enterprise" false,
    TrackingCodes "tracking_codes" false,
    CanSeeManagedUsers "can_see_managed_users" false,
    IsSyncEnabled "is_sync_enabled" false,
    IsExternalCollabRestricted "is_external_collab_restricted" false,
    IsExemptFromDeviceLimits "is_exempt_from_device_limits" false,
    IsExemptFromLoginVerification "is_exempt_from_login_verification" false,
    MyTags "my_tags" false,
    Hostname "hostname" false,
    IsPlatformAccessOnly "is_platform_access_only" false,
    ExternalAppUserId "external_app_user_id" false,
}

/// One bit for each of `FIELDS`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldSet(u32);

impl FieldSet {
    /// Without `fields`: the default ones. With it: only the requested ones; unknown names are ignored.
    pub(crate) fn from_query(fields: Option<&str>) -> Self {
        let wanted = |name: &str, standard: bool| match fields {
            Some(list) => list.split(',').any(|asked| asked.trim() == name),
            None => standard,
        };
        Self(
            FIELDS
                .iter()
                .enumerate()
                .filter(|(_, (_, name, standard))| wanted(name, *standard))
                .fold(0, |set, (bit, _)| set | 1 << bit),
        )
    }

    fn iter(self) -> impl Iterator<Item = (Field, &'static str)> {
        FIELDS
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, (field, name, _))| (*field, *name))
    }
}

/// The value of a user's `enterprise` field.
pub(crate) enum EnterpriseValue<'a> {
    Present { id: &'a str, name: &'a str },
    Null,
}

pub(crate) struct UserWriter<'a> {
    pub(crate) fields: FieldSet,
    pub(crate) behaviours: BehaviourSet,
    pub(crate) enterprise: EnterpriseValue<'a>,
}

impl UserWriter<'_> {
    pub(crate) fn write_user(&self, user: &User, out: &mut Vec<u8>) {
        let on = |behaviour| self.behaviours.contains(behaviour);
        out.extend_from_slice(br#"{"type":"user","id":"#);
        if on(Behaviour::NumericIds) {
            write_json(&user.id, out)
        } else {
            write_json(&user.id.to_string(), out)
        }
        out.extend_from_slice(br#","name":"#);
        write_json(&user.name, out);
        out.extend_from_slice(br#","login":"#);
        write_json(&user.login, out);
        for (field, name) in self.fields.iter() {
            if matches!(field, Field::TrackingCodes) && on(Behaviour::TrackingCodesMissing) {
                continue;
            }
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            self.write_field(field, user, out);
        }
        if on(Behaviour::UnknownFields) {
            out.extend_from_slice(br#","x_new_field":{"nested":[1,"two",null]},"sequence":18446744073709551615"#);
        }
        out.push(b'}');
    }

    fn tracking_codes(&self, user: &User) -> Value {
        let on = |behaviour| self.behaviours.contains(behaviour);
        if on(Behaviour::TrackingCodesNull) {
            return Value::Null;
        }
        if on(Behaviour::TrackingCodesObject) {
            return user.tracking_codes.iter().cloned().collect();
        }
        let code = |(name, value): &(String, String)| json!({"type": "tracking_code", "name": name, "value": value});
        let mut codes: Vec<Value> = user.tracking_codes.iter().map(code).collect();
        if on(Behaviour::OddTrackingCodes) {
            codes.extend(odd_tracking_codes());
        }
        if on(Behaviour::TrackingCodesReversed) {
            codes.reverse();
        }
        codes.into()
    }

    fn write_field(&self, field: Field, user: &User, out: &mut Vec<u8>) {
        let on = |behaviour| self.behaviours.contains(behaviour);
        // Only every tenth user, so that usual and unusual values are mixed.
        let tenth = user.id.is_multiple_of(10);
        match field {
            Field::CreatedAt => write_time(user.created_at, out),
            Field::ModifiedAt => write_time(user.modified_at, out),
            Field::Language => write_json(&user.language, out),
            Field::Timezone => write_json(&user.timezone, out),
            Field::SpaceAmount => write_json(&user.space_amount, out),
            Field::SpaceUsed => write_json(&user.space_used, out),
            Field::MaxUploadSize => write_json(&user.max_upload_size, out),
            Field::Status if tenth && on(Behaviour::UnknownStatus) => write_json(&"suspended_by_retention_policy", out),
            Field::Status => write_json(&user.status, out),
            Field::JobTitle => write_json(&user.job_title, out),
            Field::Phone if on(Behaviour::NumericPhones) => write_json(&(6_500_000_000 + user.id % 99_999_999), out),
            Field::Phone => write_json(&user.phone, out),
            Field::Address => write_json(&user.address, out),
            Field::AvatarUrl => write_json(&format_args!("https://app.box.com/api/avatar/large/{}", user.id), out),
            Field::NotificationEmail if on(Behaviour::NotificationEmailArray) => out.extend_from_slice(b"[]"),
            Field::NotificationEmail => write_json(&user.notification_email, out),
            Field::Role if tenth && on(Behaviour::UnknownRole) => write_json(&"group_admin", out),
            Field::Role => write_json(&user.role, out),
            Field::Enterprise => match self.enterprise {
                EnterpriseValue::Present { id, name } => {
                    out.extend_from_slice(br#"{"type":"enterprise","id":"#);
                    write_json(&id, out);
                    out.extend_from_slice(br#","name":"#);
                    write_json(&name, out);
                    out.push(b'}');
                }
                EnterpriseValue::Null => out.extend_from_slice(b"null"),
            },
            Field::TrackingCodes => write_json(&self.tracking_codes(user), out),
            Field::MyTags => out.extend_from_slice(b"[]"),
            Field::CanSeeManagedUsers | Field::IsSyncEnabled => out.extend_from_slice(b"true"),
            Field::IsExternalCollabRestricted
            | Field::IsExemptFromDeviceLimits
            | Field::IsExemptFromLoginVerification => out.extend_from_slice(b"false"),
            Field::Hostname => write_json(&"https://app.box.com/", out),
            Field::IsPlatformAccessOnly => write_json(&user.app, out),
            Field::ExternalAppUserId => write_json(&user.external_app_user_id, out),
        }
    }
}

/// Entries that are no tracking codes, or odd ones, beside those of the user.
fn odd_tracking_codes() -> Vec<Value> {
    let (name, value) = ("ü".repeat(300), "日".repeat(300));
    vec![
        Value::Null,
        json!(7),
        json!(["department", "Sales"]),
        json!({"type": "tracking_code"}),
        json!({"type": "tracking_code", "name": "", "value": "nameless"}),
        json!({"type": "tracking_code", "name": null, "value": "nameless"}),
        json!({"type": "tracking_code", "name": "empty", "value": ""}),
        json!({"type": "tracking_code", "name": "twice", "value": "b"}),
        json!({"type": "tracking_code", "name": "twice", "value": "a"}),
        json!({"type": "tracking_code", "name": "number", "value": 4711}),
        json!({"type": "tracking_code", "name": "control", "value": "\u{1b}[2J\n"}),
        json!({"type": "tracking_code", "name": name, "value": value}),
    ]
}

fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing plain values into memory cannot fail");
}

/// In Pacific time with its offset, as in Box.
fn write_time(at: Timestamp, out: &mut Vec<u8>) {
    let civil = jiff::tz::offset(-8).to_datetime(at);
    write_json(
        &format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}-08:00",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        ),
        out,
    );
}
