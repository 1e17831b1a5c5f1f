//! `status`: what it finds out by itself, and how wide it is.

use std::time::Duration;

use kube_sim::Verb;
use serde_json::{Value, json};

use crate::{
    env::{CliEnv, NAMESPACE, PIPE, TestIo, ready_status},
    status::env_with_mixed_connections,
};

/// The lines of this program's output are counted in columns.
fn columns(line: &str) -> usize {
    line.chars().count()
}

#[tokio::test(start_paused = true)]
async fn no_line_is_wider_than_the_terminal() {
    let env = env_with_mixed_connections();
    env.create_ready_connection("paused-one", 3);
    env.kube.edit("BoxConnection", NAMESPACE, "paused-one", |c| c["spec"]["suspend"] = true.into());
    let suspended = env.run_with_io(TestIo { width: 80, ..PIPE }, "status paused-one").await;
    assert!(suspended.out.contains("--type merge -p \\\n         '{"), "a shell reads both lines: {}", suspended.out);
    for width in [80, 120] {
        for command in
            ["status", "status --all", "status globex", "status initech", "status paused-one", "check globex"]
        {
            let output = env.run_with_io(TestIo { width, ..PIPE }, command).await;
            for line in output.out.lines().chain(output.err.lines()) {
                let row = line.starts_with("CONNECTION") || line.starts_with("acme ") || line.starts_with("hooli ");
                assert!(row || columns(line) <= width, "{command} at {width}: {line}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_slice_is_told_before_the_operator_knows_of_it() {
    let env = CliEnv::with_three_users().await;
    env.apply_lease(4);
    env.set_status("acme", with_roster(ready_status(3)));
    assert_eq!(env.run("status").await.code, 0);
    let slice = env.kube.list("UserSlice").into_iter().next().expect("a slice");
    env.kube.delete("UserSlice", NAMESPACE, slice["metadata"]["name"].as_str().expect("a name"));
    let output = env.run("status acme").await;
    assert!(output.out.contains("WHAT   The list cannot be read: UserSlices of it were deleted."), "{}", output.out);
    assert!(output.out.contains("DO     A sync publishes it again"), "{}", output.out);
    assert_eq!(output.code, 2);
    assert!(env.run("status").await.out.contains("1 connection · 0 ready · 1 retrying"));
    env.kube.delete("UserRoster", NAMESPACE, "acme");
    let output = env.run("status acme").await;
    assert!(output.out.contains("WHAT   The list is missing: its UserRoster was deleted."), "{}", output.out);
    // Who may not read lists sees what the operator knows.
    env.kube.forbid(|call| call.matches(Verb::Get, "userrosters"));
    assert_eq!(env.run("status").await.code, 0);
}

/// As the operator writes it with a published list.
fn with_roster(mut status: Value) -> Value {
    status["rosterRef"] = json!({ "name": "acme", "revision": 1 });
    status
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_no_operator_watches_needs_action() {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_connection("acme");
    assert_eq!(env.run("status").await.code, 2, "a minute for the operator to take it up");
    env.clock.advance(Duration::from_secs(61));
    env.apply_lease(4);
    let output = env.run("status acme").await;
    assert!(output.out.contains("WHAT   No operator watches namespace backup."), "{}", output.out);
    assert_eq!(output.code, 1);
}
