//! `changes`: the change log, revision by revision.

use std::time::Duration;

use boxsync::user_list::{User, UserStatus};
use jiff::Timestamp;

use serde_json::{Value, json};

use crate::env::{CliEnv, NAMESPACE, three_users, user_record};

/// Revision 1: three users; 2: one added, one updated; 3: one removed; 4: the removed user returned. An hour apart.
pub(crate) async fn env_with_four_revisions() -> CliEnv {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let [ann, bob, robot] = three_users();
    let new = user_record("2004", "cleo@acme.com", "Cleo Clark");
    let bob_back = User { status: UserStatus::Active, ..bob };
    for list in
        [vec![ann, bob, robot], vec![ann, bob_back, robot, new], vec![ann, robot, new], vec![ann, bob, robot, new]]
    {
        env.publish_users("acme", &list).await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    env
}

#[tokio::test(start_paused = true)]
async fn each_revision_shows_its_counts_and_then_its_users() {
    let output = env_with_four_revisions().await.run("changes acme").await;
    assert_eq!(
        output.out,
        "\
revision 4 · 2026-11-22 15:00Z · 1 added · 0 updated · 0 removed · 0 held
  ↩ bob@acme.com (returned)
revision 3 · 2026-11-22 14:00Z · 0 added · 0 updated · 1 removed · 0 held
  - bob@acme.com
revision 2 · 2026-11-22 13:00Z · 1 added · 1 updated · 0 removed · 0 held
  ~ bob@acme.com  status: inactive → active
  + cleo@acme.com
revision 1 · 2026-11-22 12:00Z · 3 added · 0 updated · 0 removed · 0 held
  (the first list: 3 users)
"
    );
    assert_eq!(output.code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_requested_revision_names_its_requesters() {
    let env = env_with_four_revisions().await;
    let names = json!(["jane@acme.example", "system:serviceaccount:flux-system:kustomize-controller"]);
    env.kube.edit("UserRoster", NAMESPACE, "acme", |r| r["journal"][2]["requestedBy"] = names.clone());
    let output = env.run("changes acme --revision 2").await;
    let title = output.out.lines().next().unwrap_or_default();
    assert_eq!(
        title,
        "revision 2 · 2026-11-22 13:00Z · 1 added · 1 updated · 0 removed · 0 held · requested by jane@acme.example, system:serviceaccount:flux-system:kustomize-controller"
    );
    let json: Value = serde_json::from_str(&env.run("changes acme -o json").await.out).expect("JSON");
    assert_eq!((&json[1]["requestedBy"], &json[2]["requestedBy"]), (&json!([]), &names));
    let why = env.run("why acme 2004").await.out;
    assert!(why.contains("since revision 2 (2026-11-22 13:00Z, requested by jane@acme.example, system:"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn changes_are_filtered_by_time_revision_or_user() {
    let env = env_with_four_revisions().await;
    for (flags, revisions) in [
        ("--since 90m", vec![4]),
        ("--since 1d", vec![4, 3, 2, 1]),
        ("--revision 2..3", vec![3, 2]),
        ("--revision ..2", vec![2, 1]),
        ("--revision 4", vec![4]),
        ("--user cleo@ACME.com --revision 2..", vec![2]),
        ("--user 2002 --revision 2..", vec![4, 3, 2]),
    ] {
        let output = env.run(&format!("changes acme -o json {flags}")).await;
        let json: serde_json::Value = serde_json::from_str(&output.out).expect("JSON");
        let found: Vec<i64> = json.as_array().expect("a list").iter().filter_map(|e| e["revision"].as_i64()).collect();
        assert_eq!(found, revisions, "{flags}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_slices_that_are_needed_are_read() {
    let env = env_with_four_revisions().await;
    env.kube.clear_log();
    env.run("changes acme --revision 3").await;
    let reads = env.kube.requests().into_iter().filter(|r| r.resource == "userslices").count();
    assert_eq!(reads, 1);
}

#[tokio::test(start_paused = true)]
async fn json_lines_contain_revision_and_time() {
    let output = env_with_four_revisions().await.run("changes acme --revision 2 --user bob@acme.com -o jsonl").await;
    assert_eq!(
        output.out,
        "{\"revision\":2,\"time\":\"2026-11-22T13:00:00Z\",\"op\":\"updated\",\"id\":\"2002\",\"login\":\"bob@acme.com\",\"fields\":{\"status\":[\"inactive\",\"active\"]}}\n"
    );
}

#[tokio::test(start_paused = true)]
async fn without_changes_it_says_where_the_change_log_begins() {
    let output = env_with_four_revisions().await.run("changes acme --revision 99").await;
    assert_eq!((output.out.as_str(), output.code), ("", 0));
    assert_eq!(output.err, "No changes found. The change log of acme starts at revision 1 of 2026-11-22 12:00Z.\n");
}

#[tokio::test(start_paused = true)]
async fn a_user_who_never_occurs_is_an_error_as_in_why() {
    let env = env_with_four_revisions().await;
    for line in [
        "changes acme --user clea@acme.com",
        "changes acme --user clea@acme.com -o json",
        "changes acme --user clea@acme.com --revision 3",
        "changes acme --user clea@acme.com --revision 99 -o jsonl",
    ] {
        let output = env.run(line).await;
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{line}");
        assert_eq!(
            output.err,
            "error: nobody with the login or id clea@acme.com is in the list of acme (revision 4, 4 users) or in its change log. This user was not in the list from 2026-11-22 12:00Z, the first list, to 2026-11-22 15:00Z. Similar: cleo@acme.com. See kubectl boxsync why acme clea@acme.com -n backup.\n",
            "{line}"
        );
    }
    assert_eq!(env.run("why acme clea@acme.com").await.code, 1);
    // Somebody who is there, but did not change then.
    let output = env.run("changes acme --user 2001 --revision 3").await;
    assert_eq!((output.code, output.out.as_str()), (0, ""));
    assert!(output.err.starts_with("No changes of 2001 found. The change log of acme starts at"), "{}", output.err);
    let output = env.run("changes acme --user 2001").await;
    assert!(output.out.ends_with("\n  (the first list: 3 users; this user may be among them)\n"), "{}", output.out);
}

#[tokio::test(start_paused = true)]
async fn why_the_changes_of_a_revision_are_not_listed_is_said_as_it_is() {
    let env = env_with_four_revisions().await;
    // As the sync after an erasure leaves it.
    env.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
        for at in [1, 2] {
            roster["journal"][at].as_object_mut().expect("an entry").remove("slices");
        }
        roster["journal"][2]["updated"] = json!(10_001);
    });
    let output = env.run("changes acme --revision 2..3").await;
    let lines = output.stdout_lines();
    assert_eq!(
        lines[1],
        "  (the changes of this revision were deleted, or not recorded because the list before it was damaged)"
    );
    assert_eq!(lines[3], "  (too many changes to list)");
}

#[tokio::test(start_paused = true)]
async fn lost_changes_are_published_without_them_by_a_sync_even_while_removals_are_held() {
    let env = CliEnv::with_held_users(60, 25).await;
    env.delete_slices(&["Changes"]);
    let output = env.run("changes acme").await;
    assert_eq!((output.code, output.out.as_str()), (8, ""));
    assert!(
        output.err.ends_with(
            "are missing or damaged. A sync publishes it again: kubectl boxsync sync acme -n backup --wait.\n"
        ),
        "{}",
        output.err
    );
}

#[tokio::test(start_paused = true)]
async fn how_long_new_users_waited_is_shown_one_by_one_and_together() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let [ann, bob, robot] = three_users();
    let created =
        |user, time: &str| User { created_at: Some(time.parse::<Timestamp>().expect("a time").as_second()), ..user };
    let cleo = created(user_record("2004", "cleo@acme.com", "Cleo Clark"), "2026-11-22T02:00:00Z");
    let dan = created(user_record("2005", "dan@acme.com", "Dan Dell"), "2026-11-22T12:30:00Z");
    let moved = created(user_record("2006", "moved@acme.com", "Moved Here"), "2026-11-15T13:00:00Z");
    let empty = env.publish_users("acme", &[ann, bob]).await;
    assert!(empty.visibility_delays.is_empty(), "a first list");
    let said = env.run("changes acme --latency").await.out;
    assert_eq!(said, "No user who was created within 7 days before is new in these revisions.\n");
    for (list, delays) in [
        (vec![ann, bob, robot, cleo], vec![11]),
        (vec![ann, bob, dan, moved], vec![2]),
        // Who returns was seen before.
        (vec![ann, bob, cleo, dan, moved], vec![]),
    ] {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let published = env.publish_users("acme", &list).await;
        let hours: Vec<u64> = published.visibility_delays.iter().map(|d| d.as_secs().div_ceil(3600)).collect();
        assert_eq!(hours, delays);
    }
    assert_eq!(
        env.run("changes acme --latency").await.out,
        "\
LOGIN           CREATED             LISTED              REVISION   WAITED
dan@acme.com    2026-11-22 12:30Z   2026-11-22 14:00Z   3          90m
cleo@acme.com   2026-11-22 02:00Z   2026-11-22 13:00Z   2          11h
2 new users: half of them waited 90m at most, 95 % 11h, the longest 11h.
"
    );
    let json = env.run("changes acme --latency -o jsonl --revision 3").await.out;
    assert_eq!(
        json,
        "{\"id\":\"2005\",\"login\":\"dan@acme.com\",\"createdAt\":\"2026-11-22T12:30:00Z\",\"listedAt\":\"2026-11-22T14:00:00Z\",\"revision\":3,\"waitedSeconds\":5400}\n"
    );
}
