//! How it looks, and what is said when something is not as it should be.

use std::io;

use boxsync::{
    cli::{self, Command, Desk, Ink, Seat},
    runtime::Clock,
};
use clap::{CommandFactory, Parser};
use kube_sim::{KubeSim, SimClock, Verb};

use crate::town::{At, NAMESPACE, PIPE, TERMINAL, Town, three};

const ESCAPE: char = '\x1b';

#[tokio::test(start_paused = true)]
async fn colours_are_for_terminals_and_for_those_who_did_not_say_no() {
    let town = Town::new();
    town.ready("acme", 3);
    for (at, coloured) in [
        (TERMINAL, true),
        (At { no_color: Some("1"), ..TERMINAL }, false),
        (At { no_color: Some(""), ..TERMINAL }, true),
        (PIPE, false),
    ] {
        assert_eq!(town.ask_at(at, "status acme").await.out.contains(ESCAPE), coloured);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named_with_whom_to_ask() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
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
            "list boxconnections in all namespaces: ask a cluster admin for it, or name one namespace with -n.",
        ),
        (
            Verb::Create,
            "usersyncrequests",
            "sync acme",
            "create usersyncrequests in namespace backup: ask a cluster admin for it.",
        ),
    ] {
        town.kube.forbid(move |call| call.is(verb, resource) && call.user == "somebody");
        let said = town.ask(line).await;
        assert_eq!((said.code, said.err), (8, format!("error: you lack the right to {right}\n")), "{line}");
        town.kube.clear_faults();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_may_read_lists_only_can_do_so() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    town.kube.forbid(|call| call.resource == "boxconnections" && call.user == "somebody");
    assert_eq!(town.ask("users acme -o name").await.lines().len(), 3);
    assert_eq!(town.ask("why acme ann@acme.com").await.code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let town = Town::new();
    town.ready("acme", 3);
    for line in ["status acne", "users acne", "sync acne", "why acne ann@acme.com", "approve acne"] {
        let said = town.ask(line).await;
        assert_eq!(
            said.err, "error: there is no BoxConnection acne in namespace backup. Did you mean acme?\n",
            "{line}"
        );
        assert_eq!((said.code, said.out.as_str()), (8, ""), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_boxsync_is_told_with_how_to_install_it() {
    let clock = SimClock::new("2026-11-22T12:00:00Z".parse().expect("a time"));
    let town = Town { kube: KubeSim::new(clock.reader(), []), clock };
    for line in ["status", "status acme", "sync acme", "users acme"] {
        let said = town.ask(line).await;
        assert!(said.err.contains("boxsync is not installed. Install its CRDs"), "{line}: {}", said.err);
        assert_eq!(said.code, 8);
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_told_in_one_sentence() {
    let town = Town::new();
    town.kube.down();
    let said = town.ask("status").await;
    assert_eq!(said.code, 8);
    assert!(
        said.err.starts_with("error: the API server cannot be reached: ") && said.err.lines().count() == 1,
        "{}",
        said.err
    );
}

/// Stands for `head`, which has left.
struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_has_left_is_no_error() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    for format in ["table", "csv", "json", "jsonl", "name"] {
        let (mut out, mut err, mut input) = (Closed, Vec::new(), io::empty());
        let mut desk = Desk {
            out: &mut out,
            err: &mut err,
            input: &mut input,
            reader: Seat::Program,
            answerer: Seat::Program,
            ink: Ink::Plain,
            clock: Clock::system(),
        };
        let command = Command::try_parse_from(["kubectl-boxsync", "users", "acme", "-o", format]).expect("a command");
        let exit = cli::run(command, town.kube.client_as("somebody"), NAMESPACE, &mut desk).await;
        assert_eq!((exit.code(), err.len()), (0, 0), "{format}");
    }
}

#[test]
fn every_subcommand_shows_examples_and_the_whole_its_exit_codes() {
    let mut command = Command::command();
    for task in command.get_subcommands_mut() {
        let help = task.render_long_help().to_string();
        assert!(help.contains("Examples:\n  "), "{help}");
    }
    let help = command.render_long_help().to_string();
    for code in ["   0  ", "   1  ", "   7  ", "   8  ", "  64  "] {
        assert!(help.contains(code), "{code:?} in {help}");
    }
}

#[tokio::test(start_paused = true)]
async fn completion_needs_no_cluster() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let said = Town::new().ask(&format!("completion {shell}")).await;
        assert!(said.out.contains("approve") && said.code == 0, "{shell}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for line in [
        "sync",
        "sync acme --all",
        "users",
        "users acme --app --no-app",
        "users acme --held --removed",
        "changes acme --since 7d --revision 1",
        "changes acme --revision b..a",
        "users acme --max-age soon",
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
        let words = ["kubectl-boxsync"].into_iter().chain(line.split_whitespace());
        assert!(Command::try_parse_from(words).is_err(), "{line}");
    }
}

/// The script of the release, run with archives that hold nothing.
#[test]
fn krew_finds_an_archive_for_every_platform() {
    const PLATFORMS: [&str; 5] = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64"];
    let folder = harness::Scratch::new("krew").expect("a folder");
    let manifest = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.github/release/krew.sh");
        let (version, url) = ("1.2.3", "https://git.example.com/boxsync");
        let mut command = std::process::Command::new(script);
        command.args([version, url]).arg(folder.path()).output().expect("bash")
    };
    for platform in PLATFORMS {
        assert!(!manifest().status.success(), "without {platform}");
        std::fs::write(folder.path().join(format!("kubectl-boxsync-{platform}.tar.gz")), "").expect("writable");
    }
    let manifest: serde_json::Value =
        serde_saphyr::from_str(&String::from_utf8(manifest().stdout).expect("UTF-8")).expect("YAML");
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    for (platform, told) in PLATFORMS.iter().zip(manifest["spec"]["platforms"].as_array().expect("platforms")) {
        let labels = &told["selector"]["matchLabels"];
        assert_eq!([&labels["os"], &labels["arch"]].map(|l| l.as_str().expect("a label")).join("-"), *platform);
        let url = format!("https://git.example.com/boxsync/releases/download/v1.2.3/kubectl-boxsync-{platform}.tar.gz");
        assert_eq!(told["uri"], url);
        // Of nothing.
        assert_eq!(told["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
