//! The output formats of `coverage`: text, JSON and CSV. Pure.

use std::{borrow::Cow, io::Write};

use jiff::Timestamp;

use super::{
    args::{CoverageArgs, CoverageOutput},
    finding::{CoverageFinding, FindingKind},
    report::CoverageReport,
};
use crate::cli::{
    commands::users::output::write_json_line,
    exit_code::{CliError, ExitStatus},
    output::{
        csv_cell::spreadsheet_cell,
        format::{display_login, format_number, format_relative_time, format_time, pluralize},
        sink::Output,
        styled::{StyledText, TextStyle},
        table::{Column, push_table},
    },
};

/// Rows of a section of the text.
const MAX_SHOWN: usize = 20;

pub(super) fn write_report(
    out: &mut Output<'_>,
    report: &CoverageReport<'_>,
    args: &CoverageArgs,
    now: Timestamp,
) -> Result<(), CliError> {
    match args.output {
        CoverageOutput::Text => out.print(&format_report(report, now))?,
        CoverageOutput::Json => {
            out.print_json(&serde_json::to_string_pretty(report)?)?;
            writeln!(out)?;
        }
        CoverageOutput::Jsonl => {
            for finding in &report.findings {
                write_json_line(out, &serde_json::to_string(finding)?)?;
            }
        }
        CoverageOutput::Csv => write_csv_findings(out.exact(), &report.findings, args.raw)?,
    }
    Ok(())
}

fn format_report(report: &CoverageReport<'_>, now: Timestamp) -> StyledText {
    let CoverageReport { summary, list, file, counts, findings } = report;
    let style = if report.exit_status() == ExitStatus::Success { TextStyle::Green } else { TextStyle::Red };
    let mut text = StyledText::styled(style, summary);
    let time = list.time.map(|time| format!(" of {} ({})", format_time(time), format_relative_time(time, now)));
    text.newline().line(&format!("  LIST  revision {}{}", format_number(list.revision), time.unwrap_or_default()));
    let all = pluralize(counts.rows + counts.other_rows, "row");
    let rows = match file.conditions.is_empty() {
        true => all,
        false => format!("{} of {all} with {}", format_number(counts.rows), file.join_conditions()),
    };
    let column = file.column.as_ref().map(|column| format!(", users in column {column}")).unwrap_or_default();
    text.line(&format!("  FILE  {}: {rows}{column}", file.name));
    for section in findings.chunk_by(|a, b| a.finding == b.finding) {
        text.append(format_section(section));
    }
    text
}

/// The findings of one kind.
fn format_section(findings: &[CoverageFinding<'_>]) -> StyledText {
    let mut text = StyledText::new();
    let Some(first) = findings.first() else { return text };
    let title = match first.finding {
        FindingKind::Missing => "No backup",
        FindingKind::BackupTooOld => "Backup too old",
        FindingKind::BackupTimeUnclear => "Time of the backup not understood",
        FindingKind::InGrace => "No backup yet, in grace",
        FindingKind::EarlierLogin => "Backup under an earlier login",
        FindingKind::Surplus => "In the file, but not in the list",
        FindingKind::NotUnderstood => "Rows that are not understood",
    };
    let count = format_number(i64::try_from(findings.len()).unwrap_or(i64::MAX));
    text.newline().push(TextStyle::Bold, &format!("{title}: {count}")).newline();
    let shown: Vec<&CoverageFinding<'_>> = findings.iter().take(MAX_SHOWN).collect();
    let mut columns: Vec<Column<&CoverageFinding<'_>>> = vec![
        Column { title: "USER", cell: |finding| display_user(finding) },
        Column { title: "NAME", cell: |finding| finding.name.unwrap_or_default().into() },
    ];
    if shown.iter().all(|finding| finding.name.is_none()) {
        columns.pop();
    }
    if shown.iter().any(|finding| finding.line.is_some()) {
        columns.push(Column {
            title: "LINE",
            cell: |finding| finding.line.map(|line| line.to_string()).unwrap_or_default().into(),
        });
    }
    columns.push(Column { title: "NOTE", cell: |finding| finding.note.as_str().into() });
    push_table(&mut text, &columns, &shown);
    if findings.len() > MAX_SHOWN {
        let more = format_number(i64::try_from(findings.len() - MAX_SHOWN).unwrap_or(i64::MAX));
        text.line(&format!("… and {more} more: -o csv prints all"));
    }
    text
}

/// A user of the list by the login; otherwise what the file has.
fn display_user<'f>(finding: &'f CoverageFinding<'_>) -> Cow<'f, str> {
    match (finding.finding, finding.login, finding.id) {
        (FindingKind::Surplus | FindingKind::NotUnderstood, ..) | (_, None, _) | (_, _, None) => {
            finding.value.as_deref().unwrap_or_default().into()
        }
        (_, Some(login), Some(id)) => display_login(login, id),
    }
}

/// The columns of CSV, named as the keys of JSON.
const CSV_HEADER: [&str; 9] = ["finding", "id", "login", "name", "createdAt", "lastBackup", "line", "value", "note"];

fn write_csv_findings(out: &mut dyn Write, findings: &[CoverageFinding<'_>], raw: bool) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(CSV_HEADER)?;
    for finding in findings {
        for cell in csv_cells(finding) {
            let cell = if raw { cell } else { spreadsheet_cell(&cell).into_owned().into() };
            csv.write_field(cell.as_bytes())?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

fn csv_cells<'f>(finding: &'f CoverageFinding<'_>) -> [Cow<'f, str>; CSV_HEADER.len()] {
    let CoverageFinding { finding, id, login, name, created_at, last_backup, line, value, note } = finding;
    let time = |time: &Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    [
        finding.as_str().into(),
        id.unwrap_or_default().into(),
        login.unwrap_or_default().into(),
        name.unwrap_or_default().into(),
        time(created_at).into(),
        time(last_backup).into(),
        line.map(|line| line.to_string()).unwrap_or_default().into(),
        value.as_deref().unwrap_or_default().into(),
        note.as_str().into(),
    ]
}
