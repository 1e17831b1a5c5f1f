//! Colors, error messages, help, and invalid arguments.

use boxsync::cli::Cli;
use clap::CommandFactory;
use kube_sim::{KubeSim, SimClock, Verb};

use crate::env::{CliEnv, PIPE, TERMINAL, TestIo};

const ESCAPE: char = '\x1b';

#[tokio::test(start_paused = true)]
async fn colors_are_shown_on_terminals_unless_no_color_is_set() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    for (at, colored) in [
        (TERMINAL, true),
        (TestIo { no_color: Some("1"), ..TERMINAL }, false),
        (TestIo { no_color: Some(""), ..TERMINAL }, true),
        (PIPE, false),
    ] {
        assert_eq!(env.run_with_io(at, "status acme").await.out.contains(ESCAPE), colored);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_with_whom_to_ask() {
    let env = CliEnv::with_three_users().await;
    for (verb, resource, line, right) in [
        (
            Verb::Get,
            "userrosters",
            "users acme",
            "get userrosters in namespace backup: ask a cluster admin for the ClusterRole boxsync-roster-reader there.",
        ),
        (
            Verb::Get,
            "userslices",
            "users acme",
            "get userslices in namespace backup: ask a cluster admin for the ClusterRole boxsync-roster-reader there.",
        ),
        (
            Verb::Get,
            "userrosters",
            "changes acme",
            "get userrosters in namespace backup: ask a cluster admin for the ClusterRole boxsync-roster-reader there.",
        ),
        (
            Verb::List,
            "boxconnections",
            "status -A",
            "list boxconnections in all namespaces: ask a cluster admin for that permission, or pass one namespace with -n.",
        ),
        (
            Verb::Create,
            "usersyncrequests",
            "sync acme",
            "create usersyncrequests in namespace backup: ask a cluster admin for that permission.",
        ),
    ] {
        env.kube.forbid(move |call| call.matches(verb, resource) && call.user == "alice");
        let output = env.run(line).await;
        assert_eq!((output.code, output.err), (8, format!("error: you are not allowed to {right}\n")), "{line}");
        env.kube.clear_faults();
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_with_only_the_roster_reader_role_can_read_lists() {
    let env = CliEnv::with_three_users().await;
    env.kube.forbid(|call| call.resource == "boxconnections" && call.user == "alice");
    assert_eq!(env.run("users acme -o name").await.stdout_lines().len(), 3);
    assert_eq!(env.run("why acme ann@acme.com").await.code, 0);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_connection_name_gets_a_suggestion() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    for line in ["status acne", "users acne", "sync acne", "why acne ann@acme.com", "approve acne"] {
        let output = env.run(line).await;
        assert_eq!(
            output.err, "error: there is no BoxConnection acne in namespace backup. Did you mean acme?\n",
            "{line}"
        );
        assert_eq!((output.code, output.out.as_str()), (8, ""), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_crds_the_error_says_how_to_install_boxsync() {
    let clock = SimClock::new("2026-11-22T12:00:00Z".parse().expect("a time"));
    let env = CliEnv { kube: KubeSim::new(clock.clock_fn(), []), clock };
    for line in ["status", "status acme", "sync acme", "users acme"] {
        let output = env.run(line).await;
        assert!(output.err.contains("boxsync is not installed. Install its CRDs"), "{line}: {}", output.err);
        assert_eq!(output.code, 8);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_api_server_is_reported_in_one_sentence() {
    let env = CliEnv::new();
    env.kube.start_outage();
    let output = env.run("status").await;
    assert_eq!(output.code, 8);
    assert!(
        output.err.starts_with("error: the API server cannot be reached: ") && output.err.lines().count() == 1,
        "{}",
        output.err
    );
}

#[test]
fn every_subcommand_shows_examples_and_the_main_help_the_exit_codes() {
    let mut command = Cli::command();
    for task in command.get_subcommands_mut() {
        let help = task.render_long_help().to_string();
        assert!(help.contains("Examples:\n  "), "{help}");
    }
    let help = command.render_long_help().to_string();
    for code in ["   0  ", "   1  ", "   7  ", "   8  ", "   9  ", "  64  "] {
        assert!(help.contains(code), "{code:?} in {help}");
    }
}

#[tokio::test(start_paused = true)]
async fn completion_needs_no_cluster() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let output = CliEnv::new().run(&format!("completion {shell}")).await;
        assert!(output.out.contains("approve") && output.code == 0, "{shell}");
    }
}

#[test]
fn invalid_arguments_are_rejected() {
    for line in [
        "sync",
        "sync acme --all",
        "users",
        "users acme --app --no-app",
        "users acme --held --removed",
        "changes acme --since 7d --revision 1",
        "changes acme --revision b..a",
        "users acme --max-age soon",
        "users acme --removed --role admin",
        "users acme --removed --no-app",
        "coverage acme",
        "coverage acme --protected x --max-backup-age 24h",
        "coverage acme --protected x --last-backup-column Last",
        "coverage acme --protected x --where Status",
        "coverage acme --protected x --grace soon",
        "status acme -A",
        "check",
        "check acme --file x",
        "check acme --enterprise-id 1",
        "check --file x --enterprise-id one",
        "check acme --box-api-url http://box.example",
        "connect",
        "connect acme --enterprise-id 12x",
        "connect acme --method password",
        "connect acme --box-api-url http://box.example",
        "connect acme --client-secret s",
    ] {
        let args = ["kubectl-boxsync"].into_iter().chain(line.split_whitespace());
        assert!(Cli::parse_args(args).is_err(), "{line}");
    }
}
