//! Which fields of a user an answer holds, and how they are written.

use crate::{
    behaviour::{Behaviour, Behaviours},
    user::User,
};
use jiff::Timestamp;
use serde::Serialize;

macro_rules! fields {
    ($($field:ident $name:literal $standard:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Field { $($field),* }
        const FIELDS: &[(Field, &str, bool)] = &[$((Field::$field, $name, $standard)),*];
    };
}

// The flag: part of the standard answer, the one without `fields`. `id`, `type`, `name` and `login` are always there.
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
    /// Without `fields`: the standard ones. With it: only those asked for; names that Box does not know are ignored.
    pub(crate) fn asked(fields: Option<&str>) -> Self {
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

/// The enterprise as it stands in a user's `enterprise` field.
pub(crate) enum Belongs<'a> {
    To { id: &'a str, name: &'a str },
    Nowhere,
}

pub(crate) struct Writer<'a> {
    pub(crate) fields: FieldSet,
    pub(crate) behaviours: Behaviours,
    pub(crate) belongs: Belongs<'a>,
}

impl Writer<'_> {
    pub(crate) fn write(&self, user: &User, out: &mut Vec<u8>) {
        let on = |behaviour| self.behaviours.has(behaviour);
        out.extend_from_slice(br#"{"type":"user","id":"#);
        if on(Behaviour::NumericIds) {
            json(&user.id, out)
        } else {
            json(&user.id.to_string(), out)
        }
        out.extend_from_slice(br#","name":"#);
        json(&user.name, out);
        out.extend_from_slice(br#","login":"#);
        json(&user.login, out);
        for (field, name) in self.fields.iter() {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            self.value(field, user, out);
        }
        if on(Behaviour::UnknownFields) {
            out.extend_from_slice(br#","x_new_field":{"nested":[1,"two",null]},"sequence":18446744073709551615"#);
        }
        out.push(b'}');
    }

    fn value(&self, field: Field, user: &User, out: &mut Vec<u8>) {
        let on = |behaviour| self.behaviours.has(behaviour);
        // Every tenth user is enough to meet the unusual among the usual.
        let tenth = user.id.is_multiple_of(10);
        match field {
            Field::CreatedAt => time(user.created_at, out),
            Field::ModifiedAt => time(user.modified_at, out),
            Field::Language => json(&user.language, out),
            Field::Timezone => json(&user.timezone, out),
            Field::SpaceAmount => json(&user.space_amount, out),
            Field::SpaceUsed => json(&user.space_used, out),
            Field::MaxUploadSize => json(&user.max_upload_size, out),
            Field::Status if tenth && on(Behaviour::UnknownStatus) => json(&"suspended_by_retention_policy", out),
            Field::Status => json(&user.status, out),
            Field::JobTitle => json(&user.job_title, out),
            Field::Phone if on(Behaviour::NumericPhones) => json(&(6_500_000_000 + user.id % 99_999_999), out),
            Field::Phone => json(&user.phone, out),
            Field::Address => json(&user.address, out),
            Field::AvatarUrl => json(&format_args!("https://app.box.com/api/avatar/large/{}", user.id), out),
            Field::NotificationEmail if on(Behaviour::NotificationEmailArray) => out.extend_from_slice(b"[]"),
            Field::NotificationEmail => json(&user.notification_email, out),
            Field::Role if tenth && on(Behaviour::UnknownRole) => json(&"group_admin", out),
            Field::Role => json(&user.role, out),
            Field::Enterprise => match self.belongs {
                Belongs::To { id, name } => {
                    out.extend_from_slice(br#"{"type":"enterprise","id":"#);
                    json(&id, out);
                    out.extend_from_slice(br#","name":"#);
                    json(&name, out);
                    out.push(b'}');
                }
                Belongs::Nowhere => out.extend_from_slice(b"null"),
            },
            Field::TrackingCodes | Field::MyTags => out.extend_from_slice(b"[]"),
            Field::CanSeeManagedUsers | Field::IsSyncEnabled => out.extend_from_slice(b"true"),
            Field::IsExternalCollabRestricted
            | Field::IsExemptFromDeviceLimits
            | Field::IsExemptFromLoginVerification => out.extend_from_slice(b"false"),
            Field::Hostname => json(&"https://app.box.com/", out),
            Field::IsPlatformAccessOnly => json(&user.app, out),
            Field::ExternalAppUserId => json(&user.external_app_user_id, out),
        }
    }
}

fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing plain values into memory cannot fail");
}

/// Box's servers write Pacific time, with its offset.
fn time(at: Timestamp, out: &mut Vec<u8>) {
    let civil = jiff::tz::offset(-8).to_datetime(at);
    json(
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
