//! What a comparison finds of users and rows, as it is printed. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoStaticStr;

/// What was found of a user or a row, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "camelCase")]
#[strum(const_into_str, serialize_all = "camelCase")]
pub(crate) enum FindingKind {
    /// A user of the list without a backup.
    Missing,
    /// A user of the list whose last backup is older than --max-backup-age.
    BackupTooOld,
    /// A user of the list of whom no time of a backup is understood that is new enough.
    BackupTimeUnclear,
    /// A user of the list without a backup, created within --grace.
    InGrace,
    /// A user of the list whom the file has under an earlier login.
    EarlierLogin,
    /// A row of somebody who is not in the list: a licence that may be freed.
    Surplus,
    /// A row that is not understood.
    NotUnderstood,
}

impl FindingKind {
    pub(crate) const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A user or a row to look at. Every key is always present.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageFinding<'l> {
    pub(crate) finding: FindingKind,
    /// Box's id of the user; null for a row of somebody unknown.
    pub(crate) id: Option<&'l str>,
    /// The login in the list.
    pub(crate) login: Option<&'l str>,
    pub(crate) name: Option<&'l str>,
    /// When the user was created in Box.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) created_at: Option<Timestamp>,
    /// The newest time of a backup in the file.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) last_backup: Option<Timestamp>,
    /// The line of the file.
    pub(crate) line: Option<u64>,
    /// The login or id in the file.
    pub(crate) value: Option<String>,
    /// What there is to say, for people.
    pub(crate) note: String,
}

/// How many users and rows were found to be what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageCounts {
    /// Users of the list that were compared.
    pub(crate) compared: i64,
    /// Compared users with a backup that is new enough.
    pub(crate) covered: i64,
    /// Compared users without a backup.
    pub(crate) missing: i64,
    /// Compared users whose backup is too old.
    pub(crate) backup_too_old: i64,
    /// Compared users of whom the time of the backup is not understood.
    pub(crate) backup_time_unclear: i64,
    /// Compared users without a backup who were created recently.
    pub(crate) in_grace: i64,
    /// Covered users whom the file has under an earlier login.
    pub(crate) earlier_login: i64,
    /// Rows of the file that meet the conditions.
    pub(crate) rows: i64,
    /// Rows that do not meet a condition.
    pub(crate) other_rows: i64,
    /// Logins and ids in the file that are not in the list.
    pub(crate) surplus: i64,
    /// Rows that are not understood.
    pub(crate) not_understood: i64,
}
