//! `approve`: who is held, the question, and the digest of exactly those.

use boxsync::{
    api::{UserRoster, UserSyncRequest},
    roster::Entry,
};
use serde_json::json;

use crate::town::{At, NAMESPACE, TERMINAL, Town, ready, user};

/// Twenty-five of sixty vanished.
async fn held() -> Town {
    let town = Town::new();
    town.ready("acme", 60);
    let names: Vec<(String, String)> = (0..60).map(|n| ((2000 + n).to_string(), format!("user{n}@acme.com"))).collect();
    let all: Vec<Entry<'_>> = names.iter().map(|(id, login)| user(id, login, "User")).collect();
    town.publish("acme", &all).await;
    town.publish("acme", all.get(25..).expect("sixty")).await;
    town
}

fn digest(town: &Town) -> String {
    town.kube.object::<UserRoster>(NAMESPACE, "acme").and_then(|r| r.spec.held).expect("held").digest
}

fn requests(town: &Town) -> Vec<UserSyncRequest> {
    town.kube.objects()
}

#[tokio::test(start_paused = true)]
async fn it_shows_who_is_held_and_approves_exactly_those() {
    let town = held().await;
    let said = town.ask_at(At { types: "y\n", ..TERMINAL }, "approve acme --timeout 5s").await;
    let lines = said.lines();
    assert_eq!(
        lines[0],
        "25 of 60 users of acme vanished from Box, since 2026-11-22 12:00Z (0s ago). Their removal is held."
    );
    assert_eq!(lines[1], "  user0@acme.com (User, active)");
    assert_eq!(lines[21], "  and 5 more: kubectl boxsync users acme -n backup --held");
    assert!(lines[22].starts_with("Let 25 users go? [y/N] "), "{}", lines[22]);
    let approved: Vec<_> = requests(&town).into_iter().filter_map(|r| r.spec.approve_removals).collect();
    assert_eq!(approved, [digest(&town)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_approved_without_a_yes() {
    let town = held().await;
    for types in ["\n", "n\n", "", "yessir\n"] {
        let said = town.ask_at(At { types, ..TERMINAL }, "approve acme").await;
        assert_eq!(said.code, 1, "{types:?}");
        assert!(said.out.ends_with("Nothing was approved.\n"), "{}", said.out);
    }
    let script = town.ask("approve acme").await;
    assert_eq!(
        (script.code, script.err.as_str()),
        (1, "error: nobody is here to be asked. Look at them, then pass --yes.\n")
    );
    assert!(requests(&town).is_empty());
}

#[tokio::test(start_paused = true)]
async fn scripts_say_yes_by_a_flag() {
    let town = held().await;
    town.ask("approve acme --yes --timeout 2s").await;
    assert_eq!(requests(&town).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_held_there_is_nothing_to_do() {
    let town = Town::new();
    town.ready("acme", 1);
    town.publish("acme", &[user("1", "ann@acme.com", "Ann")]).await;
    let said = town.ask("approve acme --yes").await;
    assert_eq!((said.out.as_str(), said.code), ("No removals are held for acme.\n", 0));
    assert!(requests(&town).is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_the_list_is_lost_only_the_numbers_are_known() {
    let town = Town::new();
    town.connection("acme");
    let mut status = ready(1200);
    status["held"] = json!({ "time": "2026-11-22T11:00:00Z", "removals": 700, "total": 1200, "digest": "abc" });
    town.tell("acme", status);
    let said = town.ask("approve acme --yes --timeout 2s").await;
    assert!(said.out.contains("700 of 1,200 users") && said.out.contains("nobody knows who they are"), "{}", said.out);
    assert_eq!(requests(&town)[0].spec.approve_removals.as_deref(), Some("abc"));
}
