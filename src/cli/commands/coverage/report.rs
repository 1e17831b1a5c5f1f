//! The report of a comparison: its sentence, and whether the export can be what it is said to be. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    compare::{Comparison, CoverageRules},
    export::{Export, RowCondition},
    finding::{CoverageCounts, CoverageFinding, FindingKind},
};
use crate::cli::{
    exit_code::ExitStatus,
    output::format::{format_duration, format_number, pluralize},
};

/// The output of `kubectl boxsync coverage -o json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageReport<'l> {
    /// The result in one sentence.
    pub(crate) summary: String,
    pub(crate) list: ComparedList<'l>,
    pub(crate) file: ComparedFile,
    pub(crate) counts: CoverageCounts,
    /// The gravest first.
    pub(crate) findings: Vec<CoverageFinding<'l>>,
}

/// The list that was compared.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComparedList<'l> {
    pub(crate) connection: &'l str,
    pub(crate) namespace: &'l str,
    pub(crate) revision: i64,
    /// When Box last listed the users; null if the caller has no access to the connection.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) time: Option<Timestamp>,
    /// The filters of the command, as on its command line; empty if all users were compared.
    pub(crate) filter: String,
}

/// The file that it was compared with.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ComparedFile {
    /// The name of the file, or that it was standard input.
    pub(crate) name: String,
    /// The column with the users; null if the file has one column.
    pub(crate) column: Option<String>,
    /// The conditions of the command.
    pub(crate) conditions: Vec<String>,
}

impl ComparedFile {
    pub(crate) fn new(name: String, export: &Export, conditions: &[RowCondition]) -> Self {
        let conditions = conditions.iter().map(ToString::to_string).collect();
        Self { name, column: export.column.clone(), conditions }
    }

    /// `Backup Status=Protected and Size=1`.
    pub(crate) fn join_conditions(&self) -> String {
        self.conditions.join(" and ")
    }
}

impl ComparedList<'_> {
    /// The users that were compared: `users of acme (--no-app)`.
    fn describe_users(&self, count: i64) -> String {
        let Self { connection, filter, .. } = self;
        let filter = if filter.is_empty() { String::new() } else { format!(" ({filter})") };
        format!("{} of {connection}{filter}", pluralize(count, "user"))
    }
}

impl<'l> CoverageReport<'l> {
    pub(crate) fn new(
        comparison: Comparison<'l>,
        list: ComparedList<'l>,
        file: ComparedFile,
        rules: &CoverageRules,
    ) -> Self {
        let Comparison { counts, findings, .. } = comparison;
        Self { summary: summarize(&counts, &list, rules), list, file, counts, findings }
    }

    pub(crate) fn exit_status(&self) -> ExitStatus {
        let CoverageCounts { missing, backup_too_old, backup_time_unclear, .. } = self.counts;
        match missing + backup_too_old + backup_time_unclear {
            0 => ExitStatus::Success,
            _ => ExitStatus::Uncovered,
        }
    }
}

fn summarize(counts: &CoverageCounts, list: &ComparedList<'_>, rules: &CoverageRules) -> String {
    let duration = |length: Option<jiff::SignedDuration>| length.map(format_duration).unwrap_or_default();
    let age = duration(rules.max_backup_age);
    let users = list.describe_users(counts.compared);
    let mut clauses = Vec::new();
    for (count, one, many) in [
        (counts.missing, "has no backup".to_owned(), "have no backup".to_owned()),
        (
            counts.backup_too_old,
            format!("has a backup that is older than {age}"),
            format!("have a backup that is older than {age}"),
        ),
        (
            counts.backup_time_unclear,
            "has a backup whose time is not understood".to_owned(),
            "have a backup whose time is not understood".to_owned(),
        ),
    ] {
        if count > 0 {
            let of = if clauses.is_empty() { format!(" of {users}") } else { String::new() };
            clauses.push(format!("{}{of} {}", format_number(count), if count == 1 { one } else { many }));
        }
    }
    if clauses.is_empty() {
        let fresh = if age.is_empty() { String::new() } else { format!(" of the last {age}") };
        clauses.push(match (counts.covered, counts.compared) {
            (1, _) => format!("1 of {users} has a backup{fresh}"),
            (covered, compared) if covered == compared => format!("All {users} have a backup{fresh}"),
            (covered, _) => format!("{} of {users} have a backup{fresh}", format_number(covered)),
        });
    }
    if counts.in_grace > 0 {
        let grace = duration(rules.grace);
        let verb = if counts.in_grace == 1 { "was" } else { "were" };
        clauses.push(format!("{} {verb} created within {grace} (in grace)", format_number(counts.in_grace)));
    }
    format!("{}.", clauses.join("; "))
}

/// Why nothing can be said: the filters select nobody.
pub(crate) fn explain_nobody_compared(comparison: &Comparison<'_>, list: &ComparedList<'_>) -> Option<String> {
    let ComparedList { connection, filter, .. } = list;
    (comparison.counts.compared == 0)
        .then(|| format!("no user of {connection} matches {filter}, so there is nobody to compare."))
}

/// Why the export is probably not what it is said to be: it names less than half of those who need a backup. The likeliest
/// cause is named.
pub(crate) fn explain_implausible(
    comparison: &Comparison<'_>,
    list: &ComparedList<'_>,
    file: &ComparedFile,
) -> Option<String> {
    let Comparison { counts, named, findings, first_unmet } = comparison;
    let CoverageCounts { compared, in_grace, rows, other_rows, surplus, not_understood, .. } = *counts;
    let name = &file.name;
    if named.saturating_mul(2) >= compared - in_grace {
        return None;
    }
    let first = |kind: FindingKind| {
        let found = findings.iter().find(|finding| finding.finding == kind);
        let quoted = |f: &CoverageFinding<'_>| Some(format!("line {}: {:?}", f.line?, f.value.as_ref()?));
        found.and_then(quoted).unwrap_or_default()
    };
    let column = file.column.as_ref().map(|column| format!(" in column {column:?}")).unwrap_or_default();
    let listed = list.describe_users(compared);
    let cause = if rows + other_rows == 0 {
        format!("{name} has no rows, and the list {listed}. An empty file does not mean that nobody is protected.")
    } else if other_rows > rows
        && let Some(unmet) = first_unmet
    {
        format!(
            "{} of {} of {name} meet {} (line {} has {}), and they name {} of {listed}. Is the condition right?",
            format_number(rows),
            pluralize(rows + other_rows, "row"),
            file.join_conditions(),
            unmet.line,
            unmet.unmet.as_deref().unwrap_or_default(),
            format_number(*named)
        )
    } else if not_understood * 2 > rows {
        format!(
            "{} of {} of {name} have neither a login nor an id{column} ({}). Is it the right one? See --column.",
            format_number(not_understood),
            pluralize(rows, "row"),
            first(FindingKind::NotUnderstood)
        )
    } else if surplus > *named {
        format!(
            "{name} names {} of {listed}, and {} who are not in the list ({}). Is it of another enterprise, or is{} not Box's login or id?",
            format_number(*named),
            format_number(surplus),
            first(FindingKind::Surplus),
            if column.is_empty() { " a value".to_owned() } else { column.replace(" in", "") }
        )
    } else {
        format!("{name} names only {} of {listed}. Is it the whole export?", format_number(*named))
    };
    Some(format!("{cause} Nothing was compared; --partial compares all the same."))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn list(filter: &str) -> ComparedList<'static> {
        ComparedList { connection: "acme", namespace: "backup", revision: 7, time: None, filter: filter.to_owned() }
    }

    #[test]
    fn the_summary_is_one_sentence_with_what_is_wrong_first() {
        let rules = CoverageRules {
            now: Timestamp::UNIX_EPOCH,
            grace: Some(SignedDuration::from_hours(30)),
            max_backup_age: Some(SignedDuration::from_hours(36)),
        };
        let all = CoverageCounts { compared: 1952, covered: 1952, ..CoverageCounts::default() };
        for (counts, summary) in [
            (all, "All 1,952 users of acme have a backup of the last 36h."),
            (CoverageCounts { covered: 1, compared: 1, ..all }, "1 of 1 user of acme has a backup of the last 36h."),
            (CoverageCounts { missing: 1, ..all }, "1 of 1,952 users of acme has no backup."),
            (
                CoverageCounts { missing: 3, backup_too_old: 2, backup_time_unclear: 1, in_grace: 1, ..all },
                "3 of 1,952 users of acme have no backup; 2 have a backup that is older than 36h; 1 has a backup whose time is not understood; 1 was created within 30h (in grace).",
            ),
            (
                CoverageCounts { covered: 1950, in_grace: 2, ..all },
                "1,950 of 1,952 users of acme have a backup of the last 36h; 2 were created within 30h (in grace).",
            ),
        ] {
            assert_eq!(summarize(&counts, &list(""), &rules), summary);
        }
        let filtered = summarize(&all, &list("--no-app"), &CoverageRules { max_backup_age: None, ..rules });
        assert_eq!(filtered, "All 1,952 users of acme (--no-app) have a backup.");
    }

    #[test]
    fn half_of_those_who_need_a_backup_must_be_named() {
        let file = ComparedFile { name: "b.csv".to_owned(), column: None, conditions: Vec::new() };
        for (named, in_grace, plausible) in [(476, 0, true), (475, 0, false), (475, 2, true), (0, 952, true)] {
            let counts = CoverageCounts { compared: 952, in_grace, rows: named, ..CoverageCounts::default() };
            let comparison = Comparison { counts, named, findings: Vec::new(), first_unmet: None };
            let why = explain_implausible(&comparison, &list(""), &file);
            assert_eq!(why.is_none(), plausible, "{named} {in_grace}: {why:?}");
        }
    }
}
