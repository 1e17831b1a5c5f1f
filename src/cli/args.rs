//! Command-line arguments: the program, its global flags and its subcommands. The `--help` texts are generated from this.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use super::{
    commands::{
        approve::ApproveArgs, changes::args::ChangesArgs, check::CheckArgs, connect::ConnectArgs,
        coverage::args::CoverageArgs, handover::HandoverArgs, status::StatusArgs, sync::SyncArgs,
        users::args::UsersArgs, why::WhyArgs,
    },
    global_args::{CLUSTER_FLAGS, GlobalArgs},
};
use crate::text::is_unprintable;

/// Show and manage the Box user lists that the boxsync operator publishes.
#[derive(Debug, Parser)]
#[command(name = "kubectl-boxsync", bin_name = "kubectl boxsync", version, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Commands,
}

impl Cli {
    /// Parses a command line, whose first word is the program. An empty value of an argument is an error, since it usually
    /// comes from a variable that is not set; only kubectl's flags take it as kubectl does.
    ///
    /// # Errors
    /// Help was asked for, or the command line is invalid.
    pub fn parse_args(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        if let Some((name, given)) = matches.subcommand()
            && let Some(subcommand) = command.find_subcommand_mut(name)
        {
            let blank = subcommand.get_arguments().find(|arg| is_given_blank(arg, given)).map(Arg::to_string);
            let Some(argument) = blank else { return Self::from_arg_matches(&matches) };
            let message = format!("the value of '{argument}' is empty");
            return Err(subcommand.error(ErrorKind::InvalidValue, message));
        }
        Self::from_arg_matches(&matches)
    }
}

fn is_given_blank(arg: &Arg, given: &ArgMatches) -> bool {
    let is_blank =
        |value: &std::ffi::OsStr| value.to_string_lossy().chars().all(|c| c.is_whitespace() || is_unprintable(c));
    let is_own = arg.get_help_heading() != Some(CLUSTER_FLAGS) && arg.get_action().takes_values();
    let values = given.try_get_raw(arg.get_id().as_str()).ok().flatten();
    is_own && values.is_some_and(|mut values| values.any(is_blank))
}

const EXIT_CODES: &str = "\
Exit codes:
   0  success
   1  action needed: a connection, a request or a check failed, a user is not in the list, nothing was approved, or an
      export of a backup tool is not whole
   2  status: not all connections are ready, but none needs action; or no connection names the Lease of an operator
   3  no operator is running
   4  sync --expect-file: logins are missing from the list
   5  sync, approve, connect: timed out before the request finished
   6  users, coverage: the list is older than --max-age
   7  users, changes, why, coverage: no list has been published
   8  cluster error: unreachable, forbidden or not found; or the output cannot be written
   9  coverage: users have no backup, or an old one
  10  users: fewer users than --min-users
  64  invalid command line: an unknown flag or word, an empty value

The cluster is selected by the kubeconfig (KUBECONFIG, --kubeconfig), as with kubectl. Colors are used on terminals
unless NO_COLOR is set.";

#[derive(Debug, Subcommand)]
pub(crate) enum Commands {
    /// Show the state of the connections, and which need action
    #[command(after_help = "\
Examples:
  kubectl boxsync status                 # connections of this namespace that need action
  kubectl boxsync status -A --all        # all connections of the cluster
  kubectl boxsync status acme            # one connection in detail
  kubectl boxsync status -A -o json | jq '.summary'

Only the Lease that the connections name in status.operator shows that their operator runs.

Exit code: 0 success, 1 action needed, 2 not all ready but none needs action, 3 no operator is running.")]
    Status(StatusArgs),
    /// Fetch the list from Box now
    #[command(after_help = "\
Examples:
  kubectl boxsync sync acme                                  # request a sync
  kubectl boxsync sync acme --wait                           # and show progress
  kubectl boxsync sync -l team=backup --wait --timeout 5m
  kubectl boxsync sync -A                                    # all connections of the cluster
  kubectl boxsync sync acme --expect-file hired.txt          # until these logins are in the list

Exit code: 0 done, 1 a request failed, 3 no operator picked it up, 4 expected logins are missing, 5 timed out.")]
    Sync(SyncArgs),
    /// Print the published list
    #[command(after_help = "\
Examples:
  kubectl boxsync users acme --search jane
  kubectl boxsync users acme --status inactive,restricted -o csv > inactive.csv
  kubectl boxsync users acme --max-age 26h -o name           # for scripts: fail if the list is older
  kubectl boxsync users acme --removed                       # removed users
  kubectl boxsync users acme -o id --out ids.txt --min-users 900 --max-age 26h --wait 10m   # for a backup job

Exit code: 0 printed, also if nobody matches; 6 the list is older than --max-age, 7 no list has been published (that is
not an empty list), 8 the list cannot be read or the file cannot be written, 10 fewer users than --min-users, 64 no user
has the --status or --role, and Box knows no such word.")]
    Users(UsersArgs),
    /// Show the changes of the list, revision by revision
    #[command(after_help = "\
Examples:
  kubectl boxsync changes acme --since 7d
  kubectl boxsync changes acme --revision 40..42
  kubectl boxsync changes acme --user jane@acme.com -o jsonl
  kubectl boxsync changes acme --latency --since 7d          # how long new users waited for the list

Exit code: 0 printed, 1 nobody with the login or id of --user is in the list or in its change log, 7 no list has been
published.")]
    Changes(ChangesArgs),
    /// Compare the list with what a backup tool protects
    #[command(after_help = "\
Examples:
  kubectl boxsync coverage acme --protected backup.csv
  kubectl boxsync coverage acme --protected backup.csv --where \"Backup Status=Protected\" --grace 48h
  kubectl boxsync coverage acme --protected backup.csv --last-backup-column \"Last Backup\" --max-backup-age 48h
  backup-tool list --json | kubectl boxsync coverage acme --protected - --column login -o csv > missing.csv

Exit code: 0 everybody has a backup, or is in grace; 9 somebody has none, or one that is too old; 1 the file has less
than half of the list, which is said instead; 6 the list is older than --max-age, 7 no list has been published, 64 the
file cannot be read, or has no such column.")]
    Coverage(Box<CoverageArgs>),
    /// Explain why a user is or is not in the list
    #[command(after_help = "\
Examples:
  kubectl boxsync why acme jane@acme.com
  kubectl boxsync why acme 2001

Exit code: 0 in the list, 1 not in the list, 7 no list has been published.")]
    Why(WhyArgs),
    /// Approve held removals
    #[command(after_help = "\
Examples:
  kubectl boxsync approve acme           # show the users and ask
  kubectl boxsync approve acme --yes     # for scripts

Exit code: 0 approved, or nothing is held; 1 not approved, or the request failed; 3 no operator picked it up, 5 timed out.")]
    Approve(ApproveArgs),
    /// Check everything a connection needs from this terminal, and say who must do what
    #[command(after_help = "\
Examples:
  kubectl boxsync check acme                                 # the last status from the operator, then new checks
  kubectl boxsync check acme -o json | jq '.actions'
  kubectl boxsync check --file config.json                   # a file of Box's developer console, without a cluster

Exit code: 0 all checks passed, 1 a check failed; skipped checks do not count.")]
    Check(CheckArgs),
    /// Print an email that tells the Box admin what to do
    #[command(after_help = "\
Examples:
  kubectl boxsync handover acme
  kubectl boxsync handover acme > email.txt

While removals are held, the email asks whether these users left, and names up to 100 of them.

Exit code: 0 printed, 8 the connection cannot be read.")]
    Handover(HandoverArgs),
    /// Set or replace the Box credentials of a connection
    #[command(after_help = "\
Examples:
  kubectl boxsync connect acme                       # the same app: opens Box's page, or prompts for the new secret
  kubectl boxsync connect acme --client-id ID        # another app; prompts for its client secret
  kubectl boxsync connect acme --no-browser          # without a browser: prints the address and reads the redirect
  kubectl boxsync connect acme --method jwt --enterprise-id 1234567 --config config.json
  kubectl boxsync connect acme --client-id ID < client-secret.txt

A secret is typed at a prompt or read from standard input or a file; it is never an argument. Nothing is written until
Box has accepted the credentials for the enterprise of the connection.

Exit code: 0 connected, 1 not connected: Box refused, not confirmed, or the sync failed; 3 no operator picked it up, 5 timed
out.")]
    Connect(Box<ConnectArgs>),
    /// Print the completion script of a shell
    #[command(after_help = "\
Examples:
  source <(kubectl boxsync completion bash)                  # completes kubectl-boxsync
  kubectl boxsync completion zsh > \"${fpath[1]}/_kubectl-boxsync\"

Exit code: 0 printed, 64 not known to write for this shell.")]
    Completion { shell: clap_complete::Shell },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_are_refused_but_for_those_of_kubectls_flags() {
        for words in [
            &["why", "acme", ""][..],
            &["why", "acme", " \u{a0}\t"],
            &["why", "acme", "\u{200b}"],
            &["why", "", "ann"],
            &["status", ""],
            &["status", "-l", ""],
            &["status", "--operator-namespace="],
            &["sync", "acme", ""],
            &["sync", "--selector="],
            &["sync", "acme", "--expect-file", ""],
            &["users", "acme", "--status", ""],
            &["users", "acme", "--status", "active,"],
            &["users", "acme", "--role="],
            &["users", "acme", "--search", " "],
            &["users", "acme", "--max-age", ""],
            &["users", "acme", "--out", ""],
            &["users", "acme", "--shard", ""],
            &["changes", "acme", "--user", ""],
            &["coverage", "acme", "--protected", ""],
            &["coverage", "acme", "--protected", "-", "--where", " "],
            &["changes", "acme", "--revision", ""],
            &["connect", "acme", "--client-id", ""],
            &["check", "--file", ""],
            &["approve", ""],
            &["handover", ""],
        ] {
            let error = Cli::parse_args([&["kubectl-boxsync"], words].concat()).expect_err("an empty value");
            assert!(error.use_stderr() && error.to_string().contains('\''), "{words:?}: {error}");
        }
        for words in
            [&["status", "-n", ""][..], &["status", "--context="], &["changes", "acme", "--kubeconfig-user", ""]]
        {
            assert!(Cli::parse_args([&["kubectl-boxsync"], words].concat()).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn clap_accepts_the_argument_definitions() {
        Cli::command().debug_assert();
    }
}
