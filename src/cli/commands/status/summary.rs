//! The output of `status`: the operator, a summary, and the connections that need action. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray;

use super::{
    health::{ConnectionReport, Retry, health_label},
    leader::LeaderStatus,
};
use crate::{
    api::{BoxConnectionStatus, ConnectionHealth, LastSync, Reason},
    cli::{
        exit_code::ExitStatus,
        kube_context::NamespaceScope,
        output::{
            format::{
                format_age, format_change_counts, format_number, format_relative_time, format_requested_by,
                format_time, pluralize,
            },
            styled::{StyledText, TextStyle},
            table::{self, Column},
        },
    },
};

/// The width of a label with the gap behind it.
const LABEL_WIDTH: usize = 7;

/// The output of `kubectl boxsync status -o json`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StatusReport {
    pub(crate) operator: LeaderStatus,
    pub(crate) summary: Summary,
    pub(crate) connections: Vec<ConnectionReport>,
    #[serde(skip)]
    pub(crate) scope: NamespaceScope,
}

/// The number of connections by health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// All connections.
    connections: usize,
    /// Connections whose list is usable, as kubectl's column READY counts them. Each is also counted by its health, if
    /// that is not "ready".
    ready: usize,
    needs_action: usize,
    retrying: usize,
    waiting: usize,
    suspended: usize,
    unobserved: usize,
    /// Connections whose operator is paused; each is also counted by its health.
    paused: usize,
    /// Users of all lists.
    users: i64,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DetailLevel {
    /// Connections that need action.
    OnlyActionable,
    All,
    Wide,
}

impl StatusReport {
    pub(crate) fn new(operator: LeaderStatus, connections: Vec<ConnectionReport>, scope: NamespaceScope) -> Self {
        let count = |health| connections.iter().filter(|c| c.health == health).count();
        let summary = Summary {
            connections: connections.len(),
            ready: connections.iter().filter(|c| c.ready).count(),
            needs_action: count(ConnectionHealth::NeedsAction),
            retrying: count(ConnectionHealth::Retrying),
            waiting: count(ConnectionHealth::Waiting),
            suspended: count(ConnectionHealth::Suspended),
            unobserved: count(ConnectionHealth::Unobserved),
            paused: connections.iter().filter(|c| c.paused_since.is_some()).count(),
            users: connections.iter().filter_map(|c| c.users).map(|u| u.total).sum(),
        };
        Self { operator, summary, connections, scope }
    }

    /// The exit code of the most severe state.
    pub(crate) fn exit_status(&self) -> ExitStatus {
        match &self.operator {
            LeaderStatus::Expired { .. } | LeaderStatus::NoLease { .. } => ExitStatus::NoOperator,
            _ if self.summary.needs_action > 0 => ExitStatus::Failure,
            _ if self.summary.not_ready() > 0 => ExitStatus::NotReady,
            LeaderStatus::Unconfirmed { .. } => ExitStatus::NotReady,
            LeaderStatus::Active { .. } | LeaderStatus::Unknown { .. } => ExitStatus::Success,
        }
    }

    pub(crate) fn render_report(&self, detail: DetailLevel, now: Timestamp) -> StyledText {
        let mut text = self.operator.status_line(now);
        text.newline().line(&self.summary.summary_line());
        if let Some(since) = self.connections.iter().filter_map(|c| c.paused_since).min() {
            let paused = format!(
                "The operator has been paused (--paused) for {}: {} not synced, requests waiting.",
                format_age(since, now),
                pluralize(to_i64(self.summary.paused), "connection")
            );
            text.push(TextStyle::Yellow, &paused).newline();
        }
        match (self.connections.is_empty(), self.scope) {
            (true, NamespaceScope::One) => {
                text.newline().line("No connections found in this namespace. Use -A for all namespaces.");
            }
            (true, NamespaceScope::All) => {
                text.newline().line("No connections found. To create one, see kubectl explain boxconnection.spec.");
            }
            (false, _) => self.write_problems(&mut text, now),
        }
        let table_rows: Vec<ConnectionRow<'_>> = self
            .connections
            .iter()
            .filter(|c| detail == DetailLevel::Wide || !needs_attention(c, now))
            .map(|report| ConnectionRow { report, name: self.display_name(report), now })
            .collect();
        match detail {
            DetailLevel::OnlyActionable if table_rows.iter().any(|row| is_not_ready(row.report.health)) => {
                let hint = "Connections that are not ready but need no action are shown with --all.";
                text.newline().push(TextStyle::Dim, hint).newline();
            }
            DetailLevel::OnlyActionable => {}
            DetailLevel::All | DetailLevel::Wide if table_rows.is_empty() => {}
            DetailLevel::All => {
                text.newline();
                table::push_table(&mut text, &table_columns(), &table_rows);
            }
            DetailLevel::Wide => {
                text.newline();
                table::push_table(&mut text, &wide_columns(), &table_rows);
            }
        }
        text
    }

    pub(crate) fn display_name(&self, report: &ConnectionReport) -> String {
        match self.scope {
            NamespaceScope::One => report.name.clone(),
            NamespaceScope::All => format!("{}/{}", report.namespace, report.name),
        }
    }

    /// The connections that need action or whose list is stale, by reason.
    fn write_problems(&self, text: &mut StyledText, now: Timestamp) {
        let mut problems: Vec<&ConnectionReport> =
            self.connections.iter().filter(|c| needs_attention(c, now)).collect();
        problems.sort_by(|one, other| one.reason.cmp(&other.reason));
        for report in problems {
            text.newline().push(TextStyle::Bold, &self.display_name(report)).text("   ");
            text.push(TextStyle::Yellow, &report.reason).line(&format_since(report, now));
            write_explanation(text, report, now);
        }
    }
}

fn needs_attention(report: &ConnectionReport, now: Timestamp) -> bool {
    report.health == ConnectionHealth::NeedsAction || report.is_stale(now)
}

/// Not ready, without a need for action.
fn is_not_ready(health: ConnectionHealth) -> bool {
    matches!(health, ConnectionHealth::Retrying | ConnectionHealth::Waiting | ConnectionHealth::Unobserved)
}

fn format_since(report: &ConnectionReport, now: Timestamp) -> String {
    report.since.map(|time| format!(" for {}", format_age(time, now))).unwrap_or_default()
}

/// Who must do what, and what else one has to know at night.
fn write_explanation(text: &mut StyledText, report: &ConnectionReport, now: Timestamp) {
    let label = |text: &mut StyledText, label: &str| {
        text.text(&format!("  {label:<LABEL_WIDTH$}"));
    };
    let row = |text: &mut StyledText, title: &str, line: &str| {
        if !line.is_empty() {
            label(text, title);
            text.line(line);
        }
    };
    let ConnectionReport { reason, problem, action, quotation, command, retry, .. } = report;
    let retry_now = retry.as_ref().and_then(|retry| retry.now.as_deref());
    row(text, "DO", action);
    if let Some(command) = command.as_deref().filter(|command| Some(*command) != retry_now) {
        label(text, "TYPE");
        text.push(TextStyle::Command, command).newline();
    }
    match quotation {
        Some(words) => row(text, if *reason == Reason::Internal.as_str() { "API" } else { "BOX" }, words),
        None => row(text, "WHAT", problem),
    }
    row(text, "LIST", &list_summary(report, now));
    if let Some(Retry { when, now }) = retry {
        label(text, "RETRY");
        text.text(when);
        if let Some(command) = now {
            text.text("; now: ").push(TextStyle::Command, command);
        }
        text.newline();
    }
}

/// The size of the list, and until when it is fresh.
pub(crate) fn list_summary(report: &ConnectionReport, now: Timestamp) -> String {
    let Some(time) = report.list_time else { return "none yet".to_owned() };
    let users = report.users.map_or(0, |users| users.total);
    let freshness = match report.stale_time {
        Some(stale) if stale > now => {
            format!("fresh until {} ({})", format_time(stale), format_relative_time(stale, now))
        }
        Some(stale) => format!("stale since {} ({})", format_time(stale), format_relative_time(stale, now)),
        None => format!("of {}", format_time(time)),
    };
    format!("{}, {freshness}", pluralize(users, "user"))
}

/// One connection, in detail.
pub(crate) fn render_connection(
    report: &ConnectionReport,
    status: Option<&BoxConnectionStatus>,
    now: Timestamp,
) -> StyledText {
    let style = match report.health {
        ConnectionHealth::Ready => TextStyle::Green,
        ConnectionHealth::NeedsAction => TextStyle::Yellow,
        ConnectionHealth::Retrying
        | ConnectionHealth::Waiting
        | ConnectionHealth::Suspended
        | ConnectionHealth::Unobserved => TextStyle::Plain,
    };
    let mut text = StyledText::styled(TextStyle::Bold, &report.name);
    text.text("   ").push(style, &report.reason);
    text.line(&format!("{} · {}", format_since(report, now), health_label(report.health)));
    match report.health {
        ConnectionHealth::Ready => {
            text.line(&format!("  {:<LABEL_WIDTH$}{}", "LIST", list_summary(report, now)));
        }
        _ => write_explanation(&mut text, report, now),
    }
    let Some(status) = status else { return text };
    if let Some(users) = &status.users {
        text.line(&format!(
            "  users      {} · {} active · {} inactive · {} restricted · {} app · {} held · {} removed",
            format_number(users.total),
            format_number(users.active),
            format_number(users.inactive),
            format_number(users.restricted),
            format_number(users.app),
            format_number(users.held),
            format_number(users.removed)
        ));
    }
    if let Some(last) = &status.last_sync {
        text.line(&format!(
            "  last sync  {} ({}) · {} · {} · revision {}{}",
            format_time(last.completion_time.0),
            format_relative_time(last.completion_time.0, now),
            last.trigger.as_str(),
            format_change_counts(last.added, last.updated, last.removed),
            last.revision,
            last_requesters(status, last)
        ));
    }
    if let Some(current) = &status.current_sync {
        text.line(&format!(
            "  running    {} · {} · {} · for {}",
            current.trigger.as_str(),
            pluralize(current.pages, "page"),
            pluralize(current.users, "user"),
            format_age(current.start_time.0, now)
        ));
    }
    if let Some(since) = report.paused_since {
        text.line(&format!(
            "  paused     for {}: the operator runs with --paused and makes no Box calls",
            format_age(since, now)
        ));
    }
    if let Some(next) = report.next_sync_time {
        text.line(&format!("  next sync  {} ({})", format_time(next), format_relative_time(next, now)));
    }
    text
}

/// Who requested the last sync, from the history.
fn last_requesters(status: &BoxConnectionStatus, last: &LastSync) -> String {
    let ended = status.history.iter().find(|attempt| attempt.completion_time == last.completion_time);
    ended.map_or_else(String::new, |attempt| format_requested_by(" · ", &attempt.requested_by))
}

impl Summary {
    fn count_of(&self, health: ConnectionHealth) -> usize {
        match health {
            ConnectionHealth::Ready => self.ready,
            ConnectionHealth::NeedsAction => self.needs_action,
            ConnectionHealth::Retrying => self.retrying,
            ConnectionHealth::Waiting => self.waiting,
            ConnectionHealth::Suspended => self.suspended,
            ConnectionHealth::Unobserved => self.unobserved,
        }
    }

    /// Connections that are not ready but need no action.
    fn not_ready(&self) -> usize {
        self.retrying + self.waiting + self.unobserved
    }

    fn summary_line(&self) -> String {
        let mut parts = vec![pluralize(to_i64(self.connections), "connection")];
        let counts = ConnectionHealth::VARIANTS.iter().map(|s| (*s, self.count_of(*s)));
        let format_count = |(health, n): (ConnectionHealth, usize)| match health {
            ConnectionHealth::NeedsAction if n != 1 => format!("{n} need action"),
            _ => format!("{n} {}", health_label(health)),
        };
        parts.extend(counts.filter(|(s, n)| *n > 0 || *s == ConnectionHealth::Ready).map(format_count));
        parts.push(pluralize(self.users, "user"));
        parts.join(" · ")
    }
}

fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

struct ConnectionRow<'a> {
    report: &'a ConnectionReport,
    name: String,
    now: Timestamp,
}

impl ConnectionRow<'_> {
    fn relative_time(&self, time: Option<Timestamp>) -> String {
        time.map_or_else(String::new, |time| format_relative_time(time, self.now))
    }
}

fn table_columns<'a>() -> Vec<Column<ConnectionRow<'a>>> {
    vec![
        Column { title: "CONNECTION", cell: |row| row.name.as_str().into() },
        Column { title: "STATE", cell: |row| health_label(row.report.health).into() },
        Column { title: "REASON", cell: |row| row.report.reason.as_str().into() },
        Column {
            title: "USERS",
            cell: |row| row.report.users.map(|u| format_number(u.total)).unwrap_or_default().into(),
        },
        Column {
            title: "LIST-AGE",
            cell: |row| row.report.list_time.map_or_else(String::new, |t| format_age(t, row.now)).into(),
        },
        Column { title: "STALE", cell: |row| row.relative_time(row.report.stale_time).into() },
    ]
}

fn wide_columns<'a>() -> Vec<Column<ConnectionRow<'a>>> {
    let mut columns = table_columns();
    columns.extend([
        Column {
            title: "NEXT-SYNC",
            cell: |row: &ConnectionRow<'a>| row.relative_time(row.report.next_sync_time).into(),
        },
        Column { title: "ENTERPRISE", cell: |row: &ConnectionRow<'a>| row.report.enterprise_id.as_str().into() },
        Column { title: "REVISION", cell: |row| row.report.revision.map(|r| r.to_string()).unwrap_or_default().into() },
        Column { title: "HELD", cell: |row| row.report.held_removals.map(format_number).unwrap_or_default().into() },
        Column { title: "OPERATOR", cell: |row| row.report.operator_lease.as_deref().unwrap_or_default().into() },
    ]);
    columns
}
