//! Every behaviour, by its name and by what a client sees of it.

use crate::client::{World, entries, get_request, world};
use box_sim::{Behaviour, Endpoint};
use futures::StreamExt;
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

fn behaving(name: &str, users: usize) -> World {
    let world = world(users);
    world.it.behave(name.parse().expect("a known behaviour"));
    world
}

fn walked(pages: &[Value]) -> BTreeSet<u64> {
    pages.iter().flat_map(entries).map(|user| user["id"].as_str().expect("an id").parse().expect("digits")).collect()
}

fn known(world: &World) -> BTreeSet<u64> {
    world.it.users().iter().map(|user| user.id).collect()
}

#[test]
fn every_behaviour_is_reached_by_its_name() {
    let names: BTreeSet<&str> = Behaviour::ALL.iter().map(|behaviour| behaviour.as_str()).collect();
    assert_eq!(names.len(), Behaviour::ALL.len());
    for behaviour in Behaviour::ALL {
        assert_eq!(behaviour.as_str().parse(), Ok(*behaviour));
        assert!(behaviour.about().ends_with('.'), "{behaviour} has no line about it");
    }
    assert!("no-such-behaviour".parse::<Behaviour>().is_err());
}

#[tokio::test(start_paused = true)]
async fn every_behaviour_changes_something_and_normal_ends_it() {
    // These show only beyond a walk: in JWT assertions, in the age of tokens, in their renewal, in errors, in what is never answered.
    let elsewhere = [
        Behaviour::ClockAhead,
        Behaviour::ClockBehind,
        Behaviour::ShortLivedTokens,
        Behaviour::LenientRefresh,
        Behaviour::ErrorsWithoutBody,
        Behaviour::OauthErrorsFromApi,
        Behaviour::HangsUp,
        Behaviour::NeverAnswers,
        Behaviour::ResetMidBody,
        Behaviour::SlowBody,
        Behaviour::HugeBody,
    ];
    let world = world(25);
    let impression = async || {
        let granted = world.client_credentials().await;
        let mut seen = vec![(granted.status.as_u16(), granted.text_without("access_token"))];
        let Some(token) = granted.member("access_token") else { return seen };
        let mut marker = String::new();
        for path in ["/2.0/users/me?fields=enterprise", "/2.0/users?", "/2.0/users?", "/2.0/users?", "/2.0/users?"] {
            let path = if path.ends_with('?') {
                format!("{path}usemarker=true&limit=10&fields=status,role,phone,notification_email{marker}")
            } else {
                path.to_owned()
            };
            let got = world.get(&token, &path).await;
            let retry = got.headers.get("retry-after").map(|value| value.to_str().expect("text").to_owned());
            seen.push((got.status.as_u16(), format!("{retry:?}{}", got.text_without("request_id"))));
            marker = got
                .member("next_marker")
                .map(|next| format!("&marker={}", next.replace('=', "%3D")))
                .unwrap_or_default();
        }
        seen
    };
    let usual = impression().await;
    for behaviour in Behaviour::ALL.iter().filter(|behaviour| !elsewhere.contains(behaviour)) {
        world.it.behave(*behaviour);
        assert_ne!(impression().await, usual, "{behaviour} changes nothing");
        world.it.normal();
        assert_eq!(impression().await, usual, "{behaviour} does not end");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_walk_comes_in_three_spellings() {
    for (name, end) in [("next-marker-empty-string", Some(Value::from(""))), ("next-marker-missing", None)] {
        let world = behaving(name, 25);
        let pages = world.walk("limit=10", 10).await;
        assert_eq!((pages.len(), walked(&pages)), (3, known(&world)));
        assert_eq!(pages[2].get("next_marker").cloned(), end);
    }
}

#[tokio::test(start_paused = true)]
async fn short_and_empty_pages_and_any_order_still_give_everybody() {
    for (name, pages_expected) in [("short-pages", 7), ("empty-page-in-the-middle", 4), ("shuffled-order", 3)] {
        let world = behaving(name, 25);
        let pages = world.walk("limit=10", 20).await;
        assert_eq!((pages.len(), walked(&pages)), (pages_expected, known(&world)), "{name}");
    }
    let world = behaving("empty-page-in-the-middle", 25);
    let pages = world.walk("limit=10", 20).await;
    assert!(entries(&pages[1]).is_empty() && pages[1]["next_marker"].is_string());
    let world = behaving("shuffled-order", 25);
    let ids = world.page("usemarker=true").await.ids();
    assert!(!ids.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn endless_walks_do_not_end() {
    for name in ["endless-markers", "endless-empty-pages"] {
        let world = behaving(name, 25);
        let pages = world.walk("limit=10", 40).await;
        let markers: BTreeSet<String> = pages.iter().map(|page| page["next_marker"].to_string()).collect();
        assert_eq!((pages.len(), markers.len()), (40, 40), "{name}: every marker is new");
    }
    let world = behaving("repeated-marker", 25);
    let pages = world.walk("limit=10", 5).await;
    assert_eq!(pages.len(), 5);
    assert!(pages.windows(2).all(|pair| pair[0]["next_marker"] == pair[1]["next_marker"]));
}

#[tokio::test(start_paused = true)]
async fn of_two_copies_of_a_user_the_later_is_the_true_one() {
    let world = behaving("duplicate-across-pages", 25);
    let all: Vec<Value> = world.walk("limit=10", 10).await.iter().flat_map(entries).collect();
    assert_eq!(all.len(), 27);
    for user in world.it.users() {
        let id = Value::from(user.id.to_string());
        let last = all.iter().rfind(|entry| entry["id"] == id).expect("walked");
        assert_eq!(last["name"], user.name);
    }
    assert_eq!(
        all.iter().filter(|entry| entry["name"].as_str().is_some_and(|name| name.ends_with("(old name)"))).count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn users_come_in_the_odd_shapes_that_box_is_known_for() {
    let odd = async |name: &str| {
        entries(
            &behaving(name, 300)
                .page("usemarker=true&limit=1000&fields=status,role,phone,notification_email")
                .await
                .json(),
        )
    };
    assert!(odd("numeric-ids").await.iter().all(|user| user["id"].is_number()));
    assert!(odd("numeric-phones").await.iter().all(|user| user["phone"].is_number()));
    assert!(odd("notification-email-array").await.iter().all(|user| user["notification_email"].is_array()));
    assert!(odd("unknown-fields").await.iter().all(|user| user["x_new_field"].is_object()));
    assert!(odd("unknown-status").await.iter().any(|user| user["status"] == "suspended_by_retention_policy"));
    assert!(odd("unknown-role").await.iter().any(|user| user["role"] == "group_admin"));
    assert!(odd("empty-list").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_none() {
    assert!(behaving("ignores-usemarker", 5).page("usemarker=true").await.json()["total_count"].is_number());
    assert!(behaving("entries-missing", 5).page("usemarker=true").await.json().get("entries").is_none());
    let html = behaving("html-instead-of-json", 5).page("usemarker=true").await;
    assert_eq!((html.status.as_u16(), html.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(serde_json::from_slice::<Value>(&behaving("truncated-json", 5).page("usemarker=true").await.body).is_err());
}

#[tokio::test(start_paused = true)]
async fn refusals_leave_the_account_connected_or_not_as_at_box() {
    let cases = [
        ("insufficient-scope", 200, 403, "insufficient_scope"),
        ("access-denied-insufficient-permissions", 200, 403, "access_denied_insufficient_permissions"),
        ("location-blocked", 403, 403, "access_from_location_blocked"),
        ("forbidden-by-policy", 403, 403, "forbidden_by_policy"),
        ("unauthorized", 401, 401, "unauthorized"),
        ("rate-limited", 429, 429, "rate_limit_exceeded"),
    ];
    for (name, me, users, code) in cases {
        let world = behaving(name, 5);
        assert_eq!(world.get(&world.token().await, "/2.0/users/me").await.status, me, "{name}");
        let got = world.page("usemarker=true").await;
        assert_eq!((got.status.as_u16(), got.json()["code"].as_str()), (users, Some(code)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_in_the_middle_of_a_walk_is_good_for_two_pages() {
    let world = behaving("token-expires-mid-walk", 50);
    let (first, mut statuses) = (world.token().await, Vec::new());
    for _ in 0..3 {
        statuses.push(world.get(&first, "/2.0/users?usemarker=true").await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 401]);
    assert_eq!(world.get(&world.token().await, "/2.0/users?usemarker=true").await.status, 200);
    assert_eq!(world.it.calls().with(Endpoint::Users, 401), 1);
}

#[tokio::test(start_paused = true)]
async fn bodies_break_drip_and_swell() {
    let body = async |name: &str| {
        let world = world(5);
        let token = world.token().await;
        world.it.behave(name.parse().expect("known"));
        world.raw(get_request(&token, "/2.0/users?usemarker=true")).await.into_body().into_data_stream()
    };
    let mut broken = body("reset-mid-body").await;
    assert!(broken.next().await.is_some_and(|chunk| chunk.is_ok()));
    assert!(broken.next().await.is_some_and(|chunk| chunk.is_err()));
    let mut hung_up = body("hangs-up").await;
    assert!(hung_up.next().await.is_some_and(|chunk| chunk.is_err()));
    let begun = tokio::time::Instant::now();
    let mut slow = body("slow-body").await;
    let (_, second) = (slow.next().await, slow.next().await);
    assert_eq!((begun.elapsed(), second.expect("more").expect("fine").len()), (Duration::from_secs(2), 16));
    let huge = body("huge-body").await.fold(0, async |sum, chunk| sum + chunk.expect("fine").len()).await;
    assert!(huge > 256 << 20, "{huge}");
}
