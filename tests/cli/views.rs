//! Every view of a connection in every state that the operator has been recorded in, at 80 and at 120 columns. The files in
//! tests/snapshots/views are the product: read a difference as somebody on call at night does.

use std::{fs, path::Path};

use boxsync::user_list::User;
use jiff::{SignedDuration, Timestamp};
use kube_sim::Verb;
use serde_json::{Value, json};

use crate::{
    env::{CliEnv, NAMESPACE, PIPE, TestIo, three_users, user_record},
    test_support::assert_generated,
};

const STATES: &str = "config/argocd/boxsync.dev/BoxConnection/testdata";
/// What somebody types who is told of a connection; the last one writes.
const COMMANDS: &[&str] = &[
    "status",
    "status --all",
    "status NAME",
    "check NAME --box-api-url http://127.0.0.1:1",
    "users NAME --search ann",
    "users NAME --held -o name",
    "why NAME ann@acme.com",
    "approve NAME",
    "handover NAME",
    "sync NAME",
];

/// A state that was recorded, with its name.
struct RecordedState {
    name: String,
    connection: Value,
}

fn recorded_states() -> Vec<RecordedState> {
    let mut states: Vec<RecordedState> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(STATES))
        .expect("readable")
        .map(|entry| {
            let path = entry.expect("readable").path();
            let yaml = fs::read_to_string(&path).expect("readable");
            RecordedState {
                name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
                connection: serde_saphyr::from_str(&yaml).expect("YAML"),
            }
        })
        .collect();
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}

/// The latest time that has passed in this state: nothing in it is later but what is planned.
fn latest_time(state: &Value) -> Timestamp {
    let status = &state["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let history = status["history"].as_array().into_iter().flatten();
    let times = conditions
        .map(|condition| &condition["lastTransitionTime"])
        .chain(history.map(|attempt| &attempt["completionTime"]))
        .chain([
            &status["failures"]["lastTime"],
            &status["currentSync"]["startTime"],
            &state["metadata"]["creationTimestamp"],
            &state["metadata"]["deletionTimestamp"],
        ]);
    times.filter_map(|time| time.as_str()?.parse().ok()).max().expect("a time")
}

impl RecordedState {
    /// The state ten seconds after it was reached, with a leader, and a list where it has one.
    async fn env(&self) -> CliEnv {
        let env = CliEnv::new();
        let name = self.name();
        let (spec, mut status) = (&self.connection["spec"], self.connection["status"].clone());
        env.create_connection(name);
        if status["rosterRef"].is_object() {
            let names: Vec<_> = (0..40).map(|n| ((2100 + n).to_string(), format!("user{n}@acme.com"))).collect();
            let more: Vec<User<'_>> = names.iter().map(|(id, login)| user_record(id, login, "User")).collect();
            let all = [&three_users()[..], &more].concat();
            env.publish_users(name, &all).await;
            if status["held"].is_object() {
                env.publish_users(name, &three_users()).await;
            }
            let roster = env.kube.get("UserRoster", NAMESPACE, name).expect("published");
            status["rosterRef"]["revision"] = roster["revision"].clone();
            if let (Value::Object(held), Some(digest)) = (&mut status["held"], roster["held"].get("digest")) {
                held.insert("digest".to_owned(), digest.clone());
            }
        }
        if self.name.contains("list-deleted") {
            env.kube.delete("UserRoster", NAMESPACE, name);
        }
        if status["observedGeneration"].as_i64() >= Some(0) {
            status["operator"] = json!({ "leaseRef": { "namespace": "boxsync", "name": "boxsync-operator" } });
        }
        env.kube.edit("BoxConnection", NAMESPACE, name, |connection| {
            connection["spec"] = spec.clone();
            for key in ["creationTimestamp", "generation"] {
                connection["metadata"][key] = self.connection["metadata"][key].clone();
            }
        });
        env.set_status(name, status);
        let now = latest_time(&self.connection) + SignedDuration::from_secs(10);
        let passed = env.clock.now().duration_until(now);
        env.clock.advance(passed.unsigned_abs());
        env.apply_lease(4);
        env.kube.forbid(|call| call.matches(Verb::Get, "secrets"));
        env
    }

    fn name(&self) -> &str {
        self.connection["metadata"]["name"].as_str().expect("a name")
    }
}

/// A row of a table, a command that is to be copied, and a word that is longer than the line are not broken.
fn may_be_wide(line: &str) -> bool {
    let is_row = line.contains("   ") && line.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_row || line.ends_with('\\') || !line.trim().contains(' ')
}

#[tokio::test(start_paused = true)]
async fn every_view_of_every_state_is_as_it_was_reviewed() {
    let states = recorded_states();
    assert!(states.len() > 20, "{STATES} has {} states", states.len());
    for state in states {
        let mut text = String::new();
        for width in [80, 120] {
            let env = state.env().await;
            for command in COMMANDS {
                let line = command.replace("NAME", state.name());
                let output = env.run_with_io(TestIo { width, ..PIPE }, &line).await;
                text += &format!("{width} $ kubectl boxsync {line}\n{}{}", output.out, output.err);
                text += &format!("exit code {}\n\n", output.code);
                for line in output.out.lines().chain(output.err.lines()) {
                    let columns = line.chars().count();
                    assert!(columns <= width || may_be_wide(line), "{} at {width}: {line}", state.name);
                }
            }
        }
        assert_generated(&format!("tests/snapshots/views/{}.txt", state.name), &text);
    }
}
