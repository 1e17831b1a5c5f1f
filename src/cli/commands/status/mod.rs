//! `status`: the operator and the health of the connections.

pub(crate) mod health;
pub(crate) mod leader;
pub(crate) mod summary;
pub(crate) mod watch;

use clap::{Args, ValueEnum};

use crate::{
    api::Evidence,
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::{KubeContext, NamespaceScope},
        list_evidence::read_list_evidence,
        output::{styled::StyledText, yaml::to_yaml},
    },
};
use health::ConnectionReport;
use leader::LeaderStatus;
use summary::{DetailLevel, StatusReport, render_connection};

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// One connection, in detail
    #[arg(conflicts_with_all = ["all_namespaces", "selector"])]
    pub(crate) name: Option<String>,
    /// The connections of all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Only connections with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Also show connections that need no action
    #[arg(long)]
    pub(crate) all: bool,
    /// Watch for changes
    #[arg(short, long)]
    pub(crate) watch: bool,
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<StatusOutput>,
    /// The namespace of the operator; default: that of the Lease that the connections name
    #[arg(long, value_name = "NAME", env = "BOXSYNC_OPERATOR_NAMESPACE")]
    pub(crate) operator_namespace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusOutput {
    Wide,
    Json,
    Yaml,
}

pub(crate) async fn run(args: &StatusArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    if args.watch {
        return watch::run(args, kube, io).await;
    }
    let (text, status_report) = fetch_report(args, kube, io).await?;
    match text {
        RenderedReport::Text(text) => io.out.print(&text),
        RenderedReport::Json(text) => io.out.print_json(&text),
    }?;
    // A caller who passes --operator-namespace relies on the state of the operator.
    let leader_unknown =
        args.operator_namespace.is_some() && matches!(status_report.operator, LeaderStatus::Unknown { .. });
    Ok(if leader_unknown { ExitStatus::Error } else { status_report.exit_status() })
}

/// A report in the format that was asked for.
pub(crate) enum RenderedReport {
    Text(StyledText),
    /// JSON or YAML.
    Json(String),
}

/// What to print, and the report that it was rendered from.
pub(crate) async fn fetch_report(
    args: &StatusArgs,
    kube: &KubeContext,
    io: &Io<'_>,
) -> Result<(RenderedReport, StatusReport), CliError> {
    let scope = if args.all_namespaces { NamespaceScope::All } else { NamespaceScope::One };
    let connections = match &args.name {
        Some(name) => vec![kube.get_connection(name).await?],
        None => kube.list_connections(scope, args.selector.as_deref()).await?,
    };
    let now = io.clock.now();
    let leader = leader::read_leader_status(kube, args.operator_namespace.as_deref(), &connections, now).await?;
    let lists = read_list_evidence(kube, &connections).await;
    let reports = connections.iter().zip(lists).map(|(connection, list)| {
        ConnectionReport::new(connection, &Evidence { list, operator: leader.evidence(), now })
    });
    let reports = reports.collect();
    let status_report = StatusReport::new(leader, reports, scope);
    let level = match (args.output, args.all) {
        (Some(StatusOutput::Json), _) => {
            let json = serde_json::to_string_pretty(&status_report)?;
            return Ok((RenderedReport::Json(format!("{json}\n")), status_report));
        }
        (Some(StatusOutput::Yaml), _) => return Ok((RenderedReport::Json(to_yaml(&status_report)?), status_report)),
        (Some(StatusOutput::Wide), _) => DetailLevel::Wide,
        (None, true) => DetailLevel::All,
        (None, false) => DetailLevel::OnlyActionable,
    };
    let text = match (&args.name, status_report.connections.as_slice(), connections.as_slice()) {
        (Some(_), [report], [connection]) if level != DetailLevel::Wide => {
            let mut text = status_report.operator.status_line(now);
            text.newline().append(render_connection(report, connection.status.as_ref(), now));
            text
        }
        _ => status_report.render_report(level, now),
    };
    Ok((RenderedReport::Text(text), status_report))
}
