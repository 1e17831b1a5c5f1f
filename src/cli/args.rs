//! What may be asked: subcommands and flags. The help that people read is made from this.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use super::{
    commands::{changes::RevisionRange, connect::ConnectArgs},
    output::format::{parse_duration, parse_enterprise_id},
};
use crate::box_client::BaseUrl;

/// Shows and steers the user lists that the boxsync operator keeps of Box enterprises.
#[derive(Debug, Parser)]
#[command(name = "kubectl-boxsync", bin_name = "kubectl boxsync", version, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Commands,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  it is as it should be
   1  it is not: a person is needed, a request or a check failed, a login is not in the list, nobody approved
   2  status: not all connections are ready, and it passes by itself
   3  no operator is at work
   4  sync --expect-file: logins are missing in the list
   5  sync, approve, connect: the time was over before the request was
   6  users: the list is older than --max-age
   7  users, changes, why: no list has been published
   8  the cluster did not do it: not reachable, not allowed, not there
  64  the command line makes no sense

The cluster is the one of the kubeconfig (KUBECONFIG, --kubeconfig), as with kubectl. Colours are for terminals, and off
where NO_COLOR is set.";

/// Which cluster, and as whom.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster")]
pub(super) struct GlobalArgs {
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) context: Option<String>,

    /// The namespace; without it, that of the context
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// The kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// How long to wait for each answer of the API server, at most 20s
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    pub(super) request_timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Commands {
    /// How the connections are, and which of them need somebody
    #[command(after_help = "\
Examples:
  kubectl boxsync status                 # what needs somebody in this namespace
  kubectl boxsync status -A --all        # all connections of the cluster
  kubectl boxsync status acme            # one connection in detail
  kubectl boxsync status -A -o json | jq '.summary'

Exit code: 0 fine, 1 a person is needed, 2 not all are ready and it passes by itself, 3 no operator is at work.")]
    Status(StatusArgs),
    /// Fetch the list from Box now
    #[command(after_help = "\
Examples:
  kubectl boxsync sync acme                                  # ask for it
  kubectl boxsync sync acme --wait                           # and see how it goes
  kubectl boxsync sync -l team=backup --wait --timeout 5m
  kubectl boxsync sync acme --expect-file hired.txt          # until these logins are in the list

Exit code: 0 done, 1 a request failed, 3 no operator picked it up, 4 expected logins are missing, 5 the time is over.")]
    Sync(SyncArgs),
    /// Print the published list
    #[command(after_help = "\
Examples:
  kubectl boxsync users acme --search jane
  kubectl boxsync users acme --status inactive,restricted -o csv > inactive.csv
  kubectl boxsync users acme --max-age 26h -o name           # for scripts: fails where the list is older
  kubectl boxsync users acme --removed                       # who is gone

Exit code: 0 printed, 6 the list is older than --max-age, 7 no list has been published (that is not an empty list).")]
    Users(UsersArgs),
    /// What became of the list, revision by revision
    #[command(after_help = "\
Examples:
  kubectl boxsync changes acme --since 7d
  kubectl boxsync changes acme --revision 40..42
  kubectl boxsync changes acme --user jane@acme.com -o jsonl")]
    Changes(ChangesArgs),
    /// Why somebody is or is not in the list
    #[command(after_help = "\
Examples:
  kubectl boxsync why acme jane@acme.com
  kubectl boxsync why acme 2001

Exit code: 0 in the list, 1 not in the list.")]
    Why(WhyArgs),
    /// Let those go whose removal is held
    #[command(after_help = "\
Examples:
  kubectl boxsync approve acme           # shows who would go, and asks
  kubectl boxsync approve acme --yes     # for scripts

Exit code: 0 approved, or nothing is held; 1 not approved, or the request failed.")]
    Approve(ApproveArgs),
    /// Try from this terminal whatever a connection needs, and say who has to do what
    #[command(after_help = "\
Examples:
  kubectl boxsync check acme                                 # what the operator last saw, then everything anew
  kubectl boxsync check acme -o json | jq '.toDo'
  kubectl boxsync check --file config.json                   # a file of Box's developer console, without any cluster

Exit code: 0 nothing is wrong, 1 something is. What could not be checked is neither.")]
    Check(CheckArgs),
    /// Write the letter that tells the Box admin what to do
    #[command(after_help = "\
Examples:
  kubectl boxsync handover acme
  kubectl boxsync handover acme > letter.txt")]
    Handover(HandoverArgs),
    /// Give the operator credentials for Box: the first ones, or new ones
    #[command(after_help = "\
Examples:
  kubectl boxsync connect acme                       # the same app again: opens Box's page, or asks for the new secret
  kubectl boxsync connect acme --client-id ID        # another app; asks for its client secret
  kubectl boxsync connect acme --no-browser          # where no browser runs: prints the address and takes the answer
  kubectl boxsync connect acme --method jwt --enterprise-id 1234567 --config config.json
  kubectl boxsync connect acme --client-id ID < client-secret.txt

A secret is typed at a prompt, or comes on standard input or in a file: never as an argument. Nothing is written before
Box has let the credentials in, for the enterprise of the connection.

Exit code: 0 connected, 1 not: Box refused, nobody agreed, or the sync failed; 3 no operator picked it up, 5 the time is over.")]
    Connect(Box<ConnectArgs>),
    /// Print the completion script of a shell
    #[command(after_help = "\
Examples:
  source <(kubectl boxsync completion bash)                  # completes kubectl-boxsync
  kubectl boxsync completion zsh > \"${fpath[1]}/_kubectl-boxsync\"")]
    Completion { shell: clap_complete::Shell },
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// One connection, in detail
    #[arg(conflicts_with_all = ["all_namespaces", "selector"])]
    pub(super) name: Option<String>,
    /// The connections of all namespaces
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Only connections with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(super) selector: Option<String>,
    /// Those too that need nobody
    #[arg(long)]
    pub(super) all: bool,
    /// Go on, and show what changes
    #[arg(short, long)]
    pub(super) watch: bool,
    #[arg(short, long, value_enum)]
    pub(super) output: Option<StatusOutput>,
    /// Where the operator runs; without it, all namespaces are looked through for its Lease
    #[arg(long, value_name = "NAME", env = "BOXSYNC_OPERATOR_NAMESPACE")]
    pub(super) operator_namespace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusOutput {
    Wide,
    Json,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["names", "selector", "all"]))]
pub(super) struct SyncArgs {
    /// The connections to sync
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// All connections with these labels that are not suspended
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(super) selector: Option<String>,
    /// All connections of the namespace that are not suspended
    #[arg(long)]
    pub(super) all: bool,
    /// Wait for the end, and show how it goes
    #[arg(long)]
    pub(super) wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(super) timeout: Duration,
    /// Look for these logins afterwards, one a line, # for comments, - for standard input; sync again until all are
    /// there or the time is over. Waits
    #[arg(long, value_name = "FILE")]
    pub(super) expect_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct UsersArgs {
    /// The connection
    pub(super) name: String,
    /// Only users with this status in Box: active, inactive, cannot_delete_edit, cannot_delete_edit_upload, or
    /// restricted for both of the latter
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub(super) status: Vec<String>,
    /// Only users with this role in Box: admin, coadmin, user
    #[arg(long, value_name = "ROLE", value_delimiter = ',', conflicts_with = "removed")]
    pub(super) role: Vec<String>,
    /// Only app users
    #[arg(long, conflicts_with_all = ["no_app", "removed"])]
    pub(super) app: bool,
    /// No app users
    #[arg(long, conflicts_with = "removed")]
    pub(super) no_app: bool,
    /// Only users who vanished from Box and whose removal is held
    #[arg(long, conflicts_with = "removed")]
    pub(super) held: bool,
    /// Users who are gone
    #[arg(long)]
    pub(super) removed: bool,
    /// Only users with this text in login, name or id
    #[arg(long, value_name = "TEXT")]
    pub(super) search: Option<String>,
    /// Fail where the list is older than that
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) max_age: Option<Duration>,
    #[arg(short, long, value_enum, default_value_t = UsersOutput::Table)]
    pub(super) output: UsersOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum UsersOutput {
    Table,
    Wide,
    Json,
    Jsonl,
    Csv,
    Name,
}

#[derive(Args, Debug)]
pub(super) struct ChangesArgs {
    /// The connection
    pub(super) name: String,
    /// Only what was published since then: 7d, 24h, 90m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) since: Option<Duration>,
    /// Only these revisions: 42, 40..42, 40.., ..42
    #[arg(long, value_name = "A..B", conflicts_with = "since")]
    pub(super) revision: Option<RevisionRange>,
    /// Only what became of the user with this login or id
    #[arg(long, value_name = "LOGIN|ID")]
    pub(super) user: Option<String>,
    #[arg(short, long, value_enum, default_value_t = ChangesOutput::Table)]
    pub(super) output: ChangesOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ChangesOutput {
    Table,
    Json,
    Jsonl,
}

#[derive(Args, Debug)]
pub(super) struct WhyArgs {
    /// The connection
    pub(super) name: String,
    /// Whom to look for
    #[arg(value_name = "LOGIN|ID")]
    pub(super) login_or_id: String,
}

#[derive(Args, Debug)]
pub(super) struct ApproveArgs {
    /// The connection
    pub(super) name: String,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// How long to wait for the end
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(super) timeout: Duration,
}

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The connection
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(super) name: Option<String>,
    /// The configuration file of an app (JWT) instead of a connection, - for standard input: no cluster is asked
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The enterprise that the file is meant for; without it, the one that it names
    #[arg(long, value_name = "ID", conflicts_with = "name", value_parser = parse_enterprise_id)]
    pub(super) enterprise_id: Option<String>,
    /// Where Box's API is: HTTPS, or HTTP to this machine only
    #[arg(long, value_name = "URL", env = "BOXSYNC_BOX_API_URL", default_value_t)]
    pub(super) box_api_url: BaseUrl,
    #[arg(short, long, value_enum, default_value_t = CheckOutput::Text)]
    pub(super) output: CheckOutput,
    /// Where the operator runs; without it, all namespaces are looked through for its Lease
    #[arg(long, value_name = "NAME", env = "BOXSYNC_OPERATOR_NAMESPACE")]
    pub(super) operator_namespace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckOutput {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub(super) struct HandoverArgs {
    /// The connection
    pub(super) name: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_accepts_the_argument_definitions() {
        Cli::command().debug_assert();
    }
}
