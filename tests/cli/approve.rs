//! `approve`: the held users, the confirmation, and the digest of exactly these users.

use box_sim::{AuthMethod, Behaviour};
use boxsync::api::{UserRoster, UserSyncRequest};
use kube_sim::{Fault, FaultAction, Gate, Verb};
use serde_json::json;

use crate::check::CheckEnv;
use crate::env::{CliEnv, NAMESPACE, TERMINAL, TestIo, ready_status, user_record};

fn held_digest(env: &CliEnv) -> String {
    env.kube.object::<UserRoster>(NAMESPACE, "acme").and_then(|r| r.spec.held).expect("held").digest
}

fn sync_requests(env: &CliEnv) -> Vec<UserSyncRequest> {
    env.kube.objects()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_approved_while_the_connection_is_suspended() {
    let env = CliEnv::with_held_users(60, 25).await;
    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["spec"]["suspend"] = true.into());
    let output = env.run("approve acme --yes").await;
    assert_eq!(output.code, 1, "{}", output.out);
    assert!(output.err.contains("kubectl patch boxconnection acme -n backup --type merge"), "{}", output.err);
    assert!(sync_requests(&env).is_empty());
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
    assert_eq!(lines[22], "Box was not asked about them: there is no Secret box.");
    assert!(lines[23].starts_with("Remove 25 users? [y/N] "), "{}", lines[23]);
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

#[tokio::test(start_paused = true)]
async fn the_connection_says_what_is_held_whatever_became_of_the_list() {
    const ONLY_NUMBER: &str = "so only the number of removals is known";
    type Damage = fn(&CliEnv);
    let damages: [(Damage, &str); 6] = [
        (|env| env.kube.delete("UserRoster", NAMESPACE, "acme"), "The published list was deleted, so only the number"),
        (|env| env.delete_slices(&["Held"]), "The published list is damaged, so only the number"),
        (|env| env.delete_slices(&["Held", "Live"]), ONLY_NUMBER),
        (|env| env.delete_slices(&["Live"]), "\n  user0@acme.com (User, active)\n"),
        (|env| drop(env.kube.edit("UserRoster", NAMESPACE, "acme", |r| r["format"] = json!(2))), "in a format that"),
        (
            |env| {
                env.kube.edit("UserRoster", NAMESPACE, "acme", |r| {
                    r.as_object_mut().expect("a roster").remove("held");
                });
            },
            "The published list does not name them, so only",
        ),
    ];
    for (damage, said) in damages {
        let env = CliEnv::with_held_users(60, 25).await;
        let digest = held_digest(&env);
        damage(&env);
        let output = env.run("approve acme --yes --timeout 2s").await;
        assert!(
            output.out.starts_with("25 of 60 users of acme have been missing") && output.out.contains(said),
            "{output:?}"
        );
        let approved: Vec<_> = sync_requests(&env).into_iter().filter_map(|r| r.spec.approve_removals).collect();
        assert_eq!(approved, [digest], "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_digests_that_of_the_connection_is_approved() {
    let env = CliEnv::with_held_users(60, 25).await;
    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
        c["status"]["held"]["digest"] = json!("newer");
        c["status"]["held"]["removals"] = json!(30);
    });
    let output = env.run("approve acme --yes --timeout 2s").await;
    assert!(
        output.out.starts_with("30 of 60 users")
            && output.out.contains(
                "The published list (revision 2) is older: it names 25 held users, the operator holds 30 now"
            ),
        "{}",
        output.out
    );
    assert_eq!(sync_requests(&env)[0].spec.approve_removals.as_deref(), Some("newer"));

    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
        c["status"].as_object_mut().expect("a status").remove("held");
    });
    assert_eq!(env.run("approve acme --yes").await.out, "No removals are held for acme.\n");
}

#[tokio::test(start_paused = true)]
async fn a_list_published_after_the_connection_was_read_is_not_called_older() {
    let env = CliEnv::with_held_users(60, 25).await;
    let digest = held_digest(&env);
    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["status"]["held"]["digest"] = json!("before"));
    let gate = Gate::new();
    env.kube.fail_next(
        1,
        |call| call.matches(Verb::Get, "userrosters") && call.user == "alice",
        Fault::Before(FaultAction::Hold(gate.clone())),
    );
    let report = async {
        gate.reached().await;
        env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["status"]["held"]["digest"] = json!(digest));
        gate.open();
    };
    let (output, ()) = tokio::join!(env.run("approve acme --yes --timeout 2s"), report);
    assert!(!output.out.contains("older"), "{}", output.out);
    assert_eq!(sync_requests(&env)[0].spec.approve_removals.as_deref(), Some(digest.as_str()));
}

/// Five users of whom four are held: two are in Box, two are not; one of those has a namesake.
async fn env_with_held_users_in_box(auth: AuthMethod) -> CheckEnv {
    let env = CheckEnv::new(auth).await;
    let in_box: Vec<(String, String)> =
        env.acme.users().into_iter().map(|user| (user.id.to_string(), user.login)).collect();
    let mut all: Vec<_> = in_box.iter().map(|(id, login)| user_record(id, login, "User")).collect();
    all.extend([user_record("1", "ann@acme.com", "Ann"), user_record("2", "bob@acme.com", "Bob")]);
    env.cli.publish_users("acme", &all).await;
    env.cli.publish_users("acme", &[all[2], user_record("3", "Ann@acme.com", "Ann")]).await;
    env
}

#[tokio::test]
async fn it_shows_what_box_says_of_each_user_now() {
    for auth in [AuthMethod::ClientCredentials, AuthMethod::Jwt] {
        let env = env_with_held_users_in_box(auth).await;
        let line = format!("approve acme --box-api-url {}", env.box_url());
        let output = env.cli.run_with_io(TestIo { input: "n\n", ..TERMINAL }, &line).await;
        let lines = output.stdout_lines();
        assert!(lines[1].ends_with("  Box: gone") && lines[2].ends_with("  Box: gone"), "{}", output.out);
        assert!(lines[3].ends_with("  Box: still in the enterprise"), "{}", output.out);
        assert!(
            output.out.contains(
                "Box, asked about each of these users now: 2 gone, 2 still in the enterprise, 0 unknown.\n\
                 As long as Box says that 2 users are in the enterprise, an approval removes nobody.\n\
                 1 of them has a namesake: another user with the same login, who stays in the list.\n"
            ),
            "{}",
            output.out
        );
    }
}

#[tokio::test]
async fn without_an_answer_of_box_it_says_why_and_asks_all_the_same() {
    let env = env_with_held_users_in_box(AuthMethod::ClientCredentials).await;
    let line = format!("approve acme --box-api-url {}", env.box_url());
    let run = async || env.cli.run_with_io(TestIo { input: "n\n", ..TERMINAL }, &line).await.out;
    env.acme.enable_behaviour(Behaviour::LookupForbidden);
    assert!(run().await.contains("now: 0 gone, 0 still in the enterprise, 4 unknown."));
    env.acme.reset_behaviours();
    env.acme.deauthorize_app();
    let out = run().await;
    assert!(out.contains("Box was not asked about them: The app is not authorized for the enterprise"), "{out}");
    env.cli.kube.forbid(|call| call.resource == "secrets");
    let out = run().await;
    assert!(out.contains("Box was not asked about them: ") && out.contains("Remove 4 users? [y/N]"), "{out}");
}
