//! The output of `status`: the operator, a summary, and the connections that need action. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray;

use super::{
    health::{ConnectionHealth, ConnectionReport},
    leader::LeaderStatus,
};
use crate::{
    api::{BoxConnectionStatus, LastSync, Reason},
    cli::{
        exit_code::ExitStatus,
        kube_context::NamespaceScope,
        output::{
            format::{
                format_age, format_change_counts, format_number, format_relative_time, format_requested_by,
                format_time, pluralize, wrap_text,
            },
            styled::{StyledText, TextStyle},
            table::{self, Column},
        },
    },
};

/// Text is wrapped at this width, which is comfortable to read.
pub(crate) const WIDTH: usize = 110;

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
            ready: count(ConnectionHealth::Ready),
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
            (false, _) => self.write_action_groups(&mut text, now),
        }
        let table_rows: Vec<ConnectionRow<'_>> = self
            .connections
            .iter()
            .filter(|c| detail == DetailLevel::Wide || c.health != ConnectionHealth::NeedsAction)
            .map(|report| ConnectionRow { report, name: self.display_name(report), now })
            .collect();
        match detail {
            DetailLevel::OnlyActionable if self.summary.not_ready() > 0 => {
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

    /// The connections that need action, grouped by reason.
    fn write_action_groups(&self, text: &mut StyledText, now: Timestamp) {
        let mut groups: BTreeMap<&str, Vec<&ConnectionReport>> = BTreeMap::new();
        for report in self.connections.iter().filter(|c| c.health == ConnectionHealth::NeedsAction) {
            groups.entry(&report.reason).or_default().push(report);
        }
        for (reason, reports) in groups {
            let headline = Reason::parse(reason).map(|r| format!(" · {}", r.summary())).unwrap_or_default();
            let title = format!("{reason} · {}{headline}", pluralize(to_i64(reports.len()), "connection"));
            text.newline().push(TextStyle::Yellow, &title).newline();
            for report in reports {
                let since = report.since.map(|t| format!(" · for {}", format_age(t, now))).unwrap_or_default();
                text.text("  ").push(TextStyle::Bold, &self.display_name(report));
                text.line(&format!("{since} · {}", list_summary(report, now)));
                write_explanation(text, report);
            }
        }
    }
}

/// The message, and the commands that help with held removals.
fn write_explanation(text: &mut StyledText, report: &ConnectionReport) {
    for line in wrap_text(&report.message, WIDTH) {
        text.line(&format!("    {line}"));
    }
    if let Some(held) = report.held_removals {
        let (name, namespace) = (&report.name, &report.namespace);
        let held = pluralize(held, "removal");
        text.line(&format!(
            "    {held} held: review with kubectl boxsync users {name} -n {namespace} --held, approve with kubectl boxsync approve {name} -n {namespace}"
        ));
    }
}

/// The time of the list, and until when it is fresh.
pub(crate) fn list_summary(report: &ConnectionReport, now: Timestamp) -> String {
    let Some(time) = report.list_time else { return "no list yet".to_owned() };
    let users = report.users.map(|u| format!(" ({})", pluralize(u.total, "user"))).unwrap_or_default();
    let freshness = match report.stale_time {
        Some(stale) if stale > now => {
            format!(", fresh until {} ({})", format_time(stale), format_relative_time(stale, now))
        }
        Some(stale) => format!(", stale since {} ({})", format_time(stale), format_relative_time(stale, now)),
        None => String::new(),
    };
    format!("list of {}{users}{freshness}", format_time(time))
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
    let since = report.since.map(|t| format!(" for {}", format_age(t, now))).unwrap_or_default();
    let mut text = StyledText::styled(TextStyle::Bold, &report.name);
    text.text(": ").push(style, report.health.label());
    text.line(&format!("{since} ({}) · {}", report.reason, list_summary(report, now)));
    if report.health != ConnectionHealth::Ready {
        write_explanation(&mut text, report);
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
        parts.extend(counts.filter(|(s, n)| *n > 0 || *s == ConnectionHealth::Ready).map(|(s, n)| s.format_count(n)));
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
        Column { title: "STATE", cell: |row| row.report.health.label().into() },
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
        Column { title: "NEXT-SYNC", cell: |row| row.relative_time(row.report.next_sync_time).into() },
    ]
}

fn wide_columns<'a>() -> Vec<Column<ConnectionRow<'a>>> {
    let mut columns = table_columns();
    columns.extend([
        Column { title: "ENTERPRISE", cell: |row: &ConnectionRow<'a>| row.report.enterprise_id.as_str().into() },
        Column { title: "REVISION", cell: |row| row.report.revision.map(|r| r.to_string()).unwrap_or_default().into() },
        Column { title: "HELD", cell: |row| row.report.held_removals.map(format_number).unwrap_or_default().into() },
        Column { title: "OPERATOR", cell: |row| row.report.operator_lease.as_deref().unwrap_or_default().into() },
        Column { title: "MESSAGE", cell: |row| row.report.message.as_str().into() },
    ]);
    columns
}
