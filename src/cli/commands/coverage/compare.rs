//! Compares the users of a list with the rows of an export. Pure.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    backup_time::{BackupTime, parse_backup_time},
    export::{Export, ExportRecord},
    finding::{CoverageCounts, CoverageFinding, FindingKind},
    known_users::{KnownUsers, ListedUser, RowUser, UserIndex},
};
use crate::{
    cli::output::format::{format_age, format_time},
    roster::RemovedUser,
    text::clamp_text,
};

/// What is quoted of a cell.
const MAX_VALUE_CHARS: usize = 256;

/// What counts as a backup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoverageRules {
    pub(crate) now: Timestamp,
    /// Users who were created within this time are not missing yet.
    pub(crate) grace: Option<SignedDuration>,
    /// A backup that is older is too old; without this, the time of the backup does not count.
    pub(crate) max_backup_age: Option<SignedDuration>,
}

/// A list and an export compared.
#[derive(Debug)]
pub(crate) struct Comparison<'l> {
    pub(crate) counts: CoverageCounts,
    /// Users whom a row names that meets the conditions, whatever the time of the backup.
    pub(crate) named: i64,
    /// By kind; users in the order of the list, rows in that of the file.
    pub(crate) findings: Vec<CoverageFinding<'l>>,
    /// A row that does not meet a condition, for an error.
    pub(crate) first_unmet: Option<&'l ExportRecord>,
}

/// What the export says of a user.
#[derive(Clone, Debug, Default)]
struct UserRows<'l> {
    /// The first row that meets the conditions.
    first: Option<&'l ExportRecord>,
    newest: Option<Timestamp>,
    /// The first row whose time is not understood, and why.
    unclear: Option<(&'l ExportRecord, &'static str)>,
    /// Whether a row names the user by id or by the present login.
    by_present_name: bool,
    /// The first row that does not meet the conditions.
    unmet: Option<&'l ExportRecord>,
}

impl<'l> UserRows<'l> {
    fn add(&mut self, record: &'l ExportRecord, time: Option<BackupTime>) {
        self.first.get_or_insert(record);
        match time {
            Some(BackupTime::At(time)) => self.newest = self.newest.max(Some(time)),
            Some(BackupTime::Unclear(why)) => {
                self.unclear.get_or_insert((record, why));
            }
            Some(BackupTime::Never) | None => {}
        }
    }
}

pub(crate) fn compare_export<'l>(
    known: &'l KnownUsers<'_>,
    export: &'l Export,
    rules: &CoverageRules,
) -> Comparison<'l> {
    let index = UserIndex::new(known);
    let mut users = vec![UserRows::default(); known.listed.len()];
    let mut counts = CoverageCounts::default();
    let mut findings: Vec<CoverageFinding<'l>> = Vec::new();
    let mut surplus = HashSet::new();
    let mut first_unmet = None;
    for record in &export.records {
        let named = index.find_named(&record.user);
        if record.unmet.is_some() {
            counts.other_rows += 1;
            first_unmet.get_or_insert(record);
            for at in positions(&named) {
                users[*at].unmet.get_or_insert(record);
            }
            continue;
        }
        counts.rows += 1;
        let time = rules.max_backup_age.map(|_| parse_backup_time(&record.last_backup, rules.now));
        for at in positions(&named) {
            users[*at].add(record, time);
            users[*at].by_present_name |= matches!(named, RowUser::Listed(_));
        }
        match named {
            RowUser::Listed(_) | RowUser::EarlierLogin(_) => {}
            RowUser::Removed(removed) if surplus.insert(removed.id.clone()) => {
                findings.push(surplus_row(record, Some(removed)));
            }
            RowUser::Unknown if surplus.insert(record.user.to_lowercase()) => findings.push(surplus_row(record, None)),
            RowUser::Removed(_) | RowUser::Unknown => {}
            RowUser::Unclear(why) => findings.push(unclear_row(record.line, &record.user, why)),
        }
    }
    findings.extend(export.broken.iter().map(|(line, why)| unclear_row(*line, "", why)));
    counts.rows += i64::try_from(export.broken.len()).unwrap_or(i64::MAX);
    let compared = known.listed.iter().zip(&users).filter(|(listed, _)| listed.compared);
    let mut named = 0;
    for (listed, rows) in compared {
        counts.compared += 1;
        named += i64::from(rows.first.is_some());
        let finding = judge_user(listed, rows, rules);
        if finding.as_ref().is_none_or(|finding| finding.finding == FindingKind::EarlierLogin) {
            counts.covered += 1;
        }
        findings.extend(finding);
    }
    findings.sort_by_key(|finding| (finding.finding, if finding.id.is_some() { None } else { finding.line }));
    for finding in &findings {
        let count = match finding.finding {
            FindingKind::Missing => &mut counts.missing,
            FindingKind::BackupTooOld => &mut counts.backup_too_old,
            FindingKind::BackupTimeUnclear => &mut counts.backup_time_unclear,
            FindingKind::InGrace => &mut counts.in_grace,
            FindingKind::EarlierLogin => &mut counts.earlier_login,
            FindingKind::Surplus => &mut counts.surplus,
            FindingKind::NotUnderstood => &mut counts.not_understood,
        };
        *count += 1;
    }
    Comparison { counts, named, findings, first_unmet }
}

/// The users of the list whom a row names.
fn positions<'n>(named: &'n RowUser<'_>) -> &'n [usize] {
    match named {
        RowUser::Listed(positions) => positions,
        RowUser::EarlierLogin(at) => std::slice::from_ref(at),
        RowUser::Removed(_) | RowUser::Unknown | RowUser::Unclear(_) => &[],
    }
}

/// What there is to say of a user; `None` if there is a backup and nothing else.
fn judge_user<'l>(
    listed: &'l ListedUser<'_>,
    rows: &UserRows<'l>,
    rules: &CoverageRules,
) -> Option<CoverageFinding<'l>> {
    let ListedUser { user, held, compared: _ } = listed;
    let finding = |kind: FindingKind, row: Option<&ExportRecord>, note: String| {
        let held = if *held { "; Box no longer lists the user, the removal is held" } else { "" };
        Some(CoverageFinding {
            finding: kind,
            id: Some(&*user.id),
            login: Some(&*user.login),
            name: Some(&*user.name),
            created_at: user.created_at,
            last_backup: rows.newest,
            line: row.map(|row| row.line),
            value: row.map(|row| clamp_text(&row.user, MAX_VALUE_CHARS)),
            note: format!("{note}{held}"),
        })
    };
    let covered = || match rows.first {
        Some(row) if !rows.by_present_name => finding(
            FindingKind::EarlierLogin,
            Some(row),
            format!("in the file as {}", clamp_text(&row.user, MAX_VALUE_CHARS)),
        ),
        _ => None,
    };
    match (rows.first, rules.max_backup_age, rows.newest, rows.unclear) {
        (Some(_), None, ..) => covered(),
        (Some(_), Some(limit), Some(newest), _) if newest.duration_until(rules.now) <= limit => covered(),
        (Some(_), Some(_), _, Some((row, why))) => {
            let cell = clamp_text(&row.last_backup, MAX_VALUE_CHARS);
            finding(FindingKind::BackupTimeUnclear, Some(row), format!("last backup {cell:?}: {why}"))
        }
        (Some(row), Some(_), Some(newest), None) => {
            let note = format!("last backup {} ({} ago)", format_time(newest), format_age(newest, rules.now));
            finding(FindingKind::BackupTooOld, Some(row), note)
        }
        (first, _, None, None) | (first @ None, ..) => {
            let row = first.or(rows.unmet);
            let found = match (first, rows.unmet.and_then(|row| row.unmet.as_deref())) {
                (Some(_), _) => "in the file without a last backup".to_owned(),
                (None, Some(unmet)) => format!("in the file with {unmet}"),
                (None, None) => "not in the file".to_owned(),
            };
            let created = user.created_at.map(|time| format!("created {}, ", format_time(time))).unwrap_or_default();
            let in_grace =
                user.created_at.zip(rules.grace).is_some_and(|(time, grace)| time.duration_until(rules.now) <= grace);
            let kind = if in_grace { FindingKind::InGrace } else { FindingKind::Missing };
            finding(kind, row, format!("{created}{found}"))
        }
    }
}

fn surplus_row<'l>(record: &ExportRecord, removed: Option<&'l RemovedUser>) -> CoverageFinding<'l> {
    let note = match removed {
        Some(removed) => format!("removed from the list on {}", format_time(removed.removed_at)),
        None => "neither in the list nor among the removed users".to_owned(),
    };
    CoverageFinding {
        id: removed.map(|removed| removed.id.as_str()),
        login: removed.map(|removed| removed.login.as_str()),
        name: removed.map(|removed| removed.name.as_str()),
        ..row_finding(FindingKind::Surplus, record.line, &record.user, note)
    }
}

fn unclear_row<'l>(line: u64, value: &str, why: &str) -> CoverageFinding<'l> {
    row_finding(FindingKind::NotUnderstood, line, value, why.to_owned())
}

fn row_finding<'l>(finding: FindingKind, line: u64, value: &str, note: String) -> CoverageFinding<'l> {
    CoverageFinding {
        finding,
        id: None,
        login: None,
        name: None,
        created_at: None,
        last_backup: None,
        line: Some(line),
        value: Some(clamp_text(value, MAX_VALUE_CHARS)),
        note,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        cli::commands::coverage::{
            export::{ExportSelection, parse_export},
            known_users::test_users::known_users,
        },
        roster::ChangeOp,
    };

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn rules() -> CoverageRules {
        CoverageRules { now: "2026-11-22T12:00:00Z".parse().expect("a time"), grace: None, max_backup_age: None }
    }

    /// The findings as `missing ann@acme.com: note`, and how many users are covered.
    fn compared(known: &KnownUsers<'_>, csv: &str, rules: &CoverageRules) -> (Vec<String>, i64) {
        let conditions = ["Status=ok".parse().expect("a condition")];
        let selection = ExportSelection {
            column: None,
            conditions: if csv.contains("Status") { &conditions } else { &[] },
            last_backup_column: csv.contains("Last").then_some("Last"),
        };
        let export = parse_export(csv.as_bytes(), &selection).expect("an export");
        let comparison = compare_export(known, &export, rules);
        let finding = |finding: &CoverageFinding<'_>| {
            let user = finding.login.or(finding.value.as_deref()).unwrap_or_default();
            format!("{} {user}: {}", finding.finding.as_str(), finding.note)
        };
        (comparison.findings.iter().map(finding).collect(), comparison.counts.covered)
    }

    #[test]
    fn users_without_a_row_are_missing_and_rows_without_a_user_are_surplus() {
        let known = known_users(&[("2001", "ann@acme.com"), ("2002", "bob@acme.com"), ("2003", "cleo@acme.com")])
            .with_removed("2009", "gone@acme.com");
        let csv = "Login\nANN@acme.com\n2002\ngone@acme.com\n2009\neve@acme.com\nTotal: 5\n";
        assert_eq!(
            compared(&known, csv, &rules()),
            (
                vec![
                    "missing cleo@acme.com: created 2023-11-14 22:13Z, not in the file".to_owned(),
                    "surplus gone@acme.com: removed from the list on 2026-11-20 08:00Z".to_owned(),
                    "surplus eve@acme.com: neither in the list nor among the removed users".to_owned(),
                    "notUnderstood Total: 5: it is neither a login nor an id".to_owned(),
                ],
                2
            )
        );
    }

    #[test]
    fn a_user_in_the_file_under_an_earlier_login_is_covered_with_a_note() {
        let known = known_users(&[("2001", "ann@acme.com"), ("2002", "bob@acme.com")])
            .with_change(ChangeOp::Updated, "2001", "ann.old@acme.com", json!("ann@acme.com"))
            .with_change(ChangeOp::Updated, "2002", "bob.old@acme.com", json!("bob@acme.com"));
        // Bob is there under both.
        let csv = "Login\nann.old@acme.com\nbob.old@acme.com\nbob@acme.com\n";
        assert_eq!(
            compared(&known, csv, &rules()),
            (vec!["earlierLogin ann@acme.com: in the file as ann.old@acme.com".to_owned()], 2)
        );
    }

    #[test]
    fn rows_that_do_not_meet_a_condition_protect_nobody_and_are_named() {
        let known = known_users(&[("2001", "ann@acme.com"), ("2002", "bob@acme.com")]);
        let csv = "Login,Status\nann@acme.com,OK\nbob@acme.com,Paused\neve@acme.com,Paused\n";
        let missing = "missing bob@acme.com: created 2023-11-14 22:13Z, in the file with Status Paused".to_owned();
        assert_eq!(compared(&known, csv, &rules()), (vec![missing], 1));
        // One of several rows is enough.
        assert_eq!(compared(&known, &format!("{csv}bob@acme.com,ok\n"), &rules()), (Vec::new(), 2));
    }

    #[test]
    fn only_a_time_that_is_understood_makes_a_backup_new_enough() {
        let known = known_users(&[("1", "a@x"), ("2", "b@x"), ("3", "c@x"), ("4", "d@x"), ("5", "e@x")]);
        let csv = "Login,Last\na@x,2026-11-21 12:00\na@x,2020-01-01\nb@x,2026-11-21 11:59\nc@x,01/02/2026\nd@x,never\ne@x,01/02/2026\ne@x,2026-11-22\n";
        let rules = CoverageRules { max_backup_age: Some(24 * HOUR), ..rules() };
        let (findings, covered) = compared(&known, csv, &rules);
        assert_eq!(covered, 2, "{findings:?}");
        for (at, start) in [
            "missing d@x: created 2023-11-14 22:13Z, in the file without a last backup",
            "backupTooOld b@x: last backup 2026-11-21 11:59Z (24h ago)",
            "backupTimeUnclear c@x: last backup \"01/02/2026\": 01/02/2026 may be the first of February",
        ]
        .into_iter()
        .enumerate()
        {
            assert!(findings[at].starts_with(start), "{findings:?}");
        }
        assert_eq!(findings.len(), 3);
    }

    #[test]
    fn new_users_are_in_grace_as_long_as_they_have_no_backup() {
        let mut known = known_users(&[("2001", "ann@acme.com"), ("2002", "bob@acme.com")]);
        known.listed[1].user.created_at = "2026-11-20T12:00:00Z".parse().ok();
        known.listed[0].held = true;
        let rules = CoverageRules { grace: Some(48 * HOUR), ..rules() };
        let kinds = |csv: &str, rules: &CoverageRules| compared(&known, csv, rules).0;
        assert_eq!(
            kinds("Login\n", &rules),
            [
                "missing ann@acme.com: created 2023-11-14 22:13Z, not in the file; Box no longer lists the user, the removal is held",
                "inGrace bob@acme.com: created 2026-11-20 12:00Z, not in the file",
            ]
        );
        assert_eq!(kinds("Login\nann@acme.com\nbob@acme.com\n", &rules), Vec::<String>::new());
        let later = CoverageRules { now: rules.now + HOUR, ..rules };
        assert!(kinds("Login\nann@acme.com\n", &later)[0].starts_with("missing bob@acme.com"));
    }

    #[test]
    fn users_that_the_filters_exclude_are_neither_missing_nor_surplus() {
        let mut known = known_users(&[("2001", "ann@acme.com"), ("2002", "app@acme.com")]);
        known.listed[1].compared = false;
        assert_eq!(compared(&known, "Login\nann@acme.com\n", &rules()), (Vec::new(), 1));
        assert_eq!(compared(&known, "Login\nann@acme.com\n2002\n", &rules()), (Vec::new(), 1));
    }
}
