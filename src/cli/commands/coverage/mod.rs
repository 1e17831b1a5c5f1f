//! `coverage`: compares the published list with what a backup tool says it protects.

pub(crate) mod args;
mod backup_time;
mod columns;
mod compare;
mod decode;
mod export;
mod finding;
mod known_users;
mod output;
pub(crate) mod report;
mod rows;

use std::path::Path;

use jiff::SignedDuration;

use super::{
    users::{self, filter::UserFilter},
    why::ALL_STATES,
};
use crate::cli::{
    exit_code::{CliError, ExitStatus},
    io::Io,
    kube_context::KubeContext,
    output::format::format_time,
};
use args::CoverageArgs;
use compare::{CoverageRules, compare_export};
use export::{ExportSelection, parse_export};
use known_users::KnownUsers;
use report::{ComparedFile, ComparedList, CoverageReport, explain_implausible, explain_nobody_compared};

pub(crate) async fn run(args: &CoverageArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let file_name = match args.protected.as_path() {
        stdin if stdin == Path::new("-") => "standard input".to_owned(),
        file => file.display().to_string(),
    };
    let bytes = io.read_file(&args.protected, "the file with what the backup tool protects")?;
    let selection = ExportSelection {
        column: args.column.as_deref(),
        conditions: &args.conditions,
        last_backup_column: args.last_backup_column.as_deref(),
    };
    let export = parse_export(&bytes, &selection).map_err(|why| CliError::usage(format!("{file_name} {why}")))?;
    drop(bytes);
    if let Some(limit) = args.max_age {
        users::check_max_age(&args.name, limit, kube, io.clock.now()).await?;
    }
    let now = io.clock.now();
    let snapshot = users::read_list(kube, &args.name, ALL_STATES, now).await?;
    // The caller may have access to lists but not to connections: then the time of the list is left out.
    let status = kube.get_connection(&args.name).await.ok().and_then(|connection| connection.status);
    let known = KnownUsers::from_snapshot(&snapshot, &args.filter)?;
    let limit = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    let rules = CoverageRules { now, grace: args.grace.map(limit), max_backup_age: args.max_backup_age.map(limit) };
    let comparison = compare_export(&known, &export, &rules);
    let list = ComparedList {
        connection: &args.name,
        namespace: &kube.namespace,
        revision: snapshot.roster.spec.revision,
        time: status.as_ref().and_then(|status| Some(status.last_sync.as_ref()?.completion_time.0)),
        filter: UserFilter::from_args(&args.filter).to_string(),
    };
    let file = ComparedFile::new(file_name, &export, &args.conditions);
    let implausible = || if args.partial { None } else { explain_implausible(&comparison, &list, &file) };
    if let Some(why) = explain_nobody_compared(&comparison, &list).or_else(implausible) {
        return Err(CliError::Message(ExitStatus::Failure, why));
    }
    if let Some(stale) = status.and_then(|status| status.stale_time).filter(|stale| stale.0 <= now) {
        writeln!(
            io.err,
            "note: the list of {} has been stale since {}: users whom Box has got since are not compared. See kubectl boxsync status {} -n {}.",
            args.name,
            format_time(stale.0),
            args.name,
            kube.namespace
        )?;
    }
    let report = CoverageReport::new(comparison, list, file, &rules);
    output::write_report(&mut io.out, &report, args, now)?;
    Ok(report.exit_status())
}
