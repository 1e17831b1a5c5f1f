//! `approve`: the held users, the confirmation, and the digest of exactly these users.

use boxsync::api::{UserRoster, UserSyncRequest};
use serde_json::json;

use crate::env::{CliEnv, NAMESPACE, TERMINAL, TestIo, ready_status, user_record};

fn held_digest(env: &CliEnv) -> String {
    env.kube.object::<UserRoster>(NAMESPACE, "acme").and_then(|r| r.spec.held).expect("held").digest
}

fn sync_requests(env: &CliEnv) -> Vec<UserSyncRequest> {
    env.kube.objects()
}

#[tokio::test(start_paused = true)]
async fn it_lists_the_held_users_and_approves_exactly_those() {
    let env = CliEnv::with_held_users(60, 25).await;
    let output = env.run_with_io(TestIo { input: "y\n", ..TERMINAL }, "approve acme --timeout 5s").await;
    let lines = output.stdout_lines();
    assert_eq!(
        lines[0],
        "25 of 60 users of acme have been missing from Box since 2026-11-22 12:00Z (0s ago). Their removal is held."
    );
    assert_eq!(lines[1], "  user0@acme.com (User, active)");
    assert_eq!(lines[21], "  and 5 more: kubectl boxsync users acme -n backup --held");
    assert!(lines[22].starts_with("Remove 25 users? [y/N] "), "{}", lines[22]);
    let approved: Vec<_> = sync_requests(&env).into_iter().filter_map(|r| r.spec.approve_removals).collect();
    assert_eq!(approved, [held_digest(&env)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_approved_without_confirmation() {
    let env = CliEnv::with_held_users(60, 25).await;
    for input in ["\n", "n\n", "", "yessir\n"] {
        let output = env.run_with_io(TestIo { input, ..TERMINAL }, "approve acme").await;
        assert_eq!(output.code, 1, "{input:?}");
        assert!(output.out.ends_with("Nothing was approved.\n"), "{}", output.out);
    }
    let script = env.run("approve acme").await;
    assert_eq!(
        (script.code, script.err.as_str()),
        (1, "error: not a terminal: review the users above, then pass --yes.\n")
    );
    assert!(sync_requests(&env).is_empty());
}

#[tokio::test(start_paused = true)]
async fn scripts_confirm_with_a_flag() {
    let env = CliEnv::with_held_users(60, 25).await;
    env.run("approve acme --yes --timeout 2s").await;
    assert_eq!(sync_requests(&env).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_held_users_there_is_nothing_to_do() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 1);
    env.publish_users("acme", &[user_record("1", "ann@acme.com", "Ann")]).await;
    let output = env.run("approve acme --yes").await;
    assert_eq!((output.out.as_str(), output.code), ("No removals are held for acme.\n", 0));
    assert!(sync_requests(&env).is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_roster_only_the_counts_are_shown() {
    let env = CliEnv::new();
    env.create_connection("acme");
    let mut status = ready_status(1200);
    status["held"] = json!({ "time": "2026-11-22T11:00:00Z", "removals": 700, "total": 1200, "digest": "abc" });
    env.set_status("acme", status);
    let output = env.run("approve acme --yes --timeout 2s").await;
    assert!(
        output.out.contains("700 of 1,200 users") && output.out.contains("so only the number of removals is known"),
        "{}",
        output.out
    );
    assert_eq!(sync_requests(&env)[0].spec.approve_removals.as_deref(), Some("abc"));
}
