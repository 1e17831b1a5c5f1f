//! Every behaviour, by name and by its effect on a client.

use crate::client::{TestEnv, entries, env, env_with, frozen_clock, get_request};
use box_sim::{Behaviour, Endpoint, EnterpriseConfig};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

fn env_with_behaviour(name: &str, users: usize) -> TestEnv {
    let env = env(users);
    env.enterprise.enable_behaviour(name.parse().expect("a known behaviour"));
    env
}

fn listed_ids(pages: &[Value]) -> BTreeSet<u64> {
    pages.iter().flat_map(entries).map(|user| user["id"].as_str().expect("an id").parse().expect("digits")).collect()
}

fn enterprise_ids(env: &TestEnv) -> BTreeSet<u64> {
    env.enterprise.users().iter().map(|user| user.id).collect()
}

#[test]
fn every_behaviour_parses_from_its_name() {
    let names: BTreeSet<&str> = Behaviour::ALL.iter().map(|behaviour| behaviour.as_str()).collect();
    assert_eq!(names.len(), Behaviour::ALL.len());
    for behaviour in Behaviour::ALL {
        assert_eq!(behaviour.as_str().parse(), Ok(*behaviour));
        assert!(behaviour.description().ends_with('.'), "{behaviour} has no description");
    }
    assert!("no-such-behaviour".parse::<Behaviour>().is_err());
}

#[tokio::test(start_paused = true)]
async fn every_behaviour_has_an_effect_until_it_is_reset() {
    // Not visible in a listing: they affect JWT assertions, token lifetimes, refreshes, errors, or never respond.
    let not_visible_in_listing = [
        Behaviour::ClockAhead,
        Behaviour::ClockBehind,
        Behaviour::ShortLivedTokens,
        Behaviour::LenientRefresh,
        Behaviour::ErrorsWithoutBody,
        Behaviour::OauthErrorsFromApi,
        Behaviour::ClosesConnection,
        Behaviour::NeverResponds,
        Behaviour::ResetMidBody,
        Behaviour::SlowBody,
        Behaviour::HugeBody,
    ];
    let env = env(25);
    let codes =
        [("department", "Sales"), ("cost centre", "4711")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    env.enterprise.update_user(env.enterprise.users()[0].id, |user| user.tracking_codes = codes.into()).expect("known");
    let snapshot = async || {
        let granted = env.request_client_credentials().await;
        let mut responses = vec![(granted.status.as_u16(), granted.body_without("access_token"))];
        let Some(token) = granted.string_field("access_token") else { return responses };
        let mut marker = String::new();
        let one_user = format!("/2.0/users/{}?fields=status", env.enterprise.users()[0].id);
        let pages = ["/2.0/users?"; 4];
        for path in ["/2.0/users/me?fields=enterprise", &one_user].into_iter().chain(pages) {
            let path = if path.ends_with('?') {
                format!(
                    "{path}usemarker=true&limit=10&fields=status,role,phone,notification_email,tracking_codes{marker}"
                )
            } else {
                path.to_owned()
            };
            let response = env.get(&token, &path).await;
            let retry = response.headers.get("retry-after").map(|value| value.to_str().expect("text").to_owned());
            responses.push((response.status.as_u16(), format!("{retry:?}{}", response.body_without("request_id"))));
            marker = response
                .string_field("next_marker")
                .map(|next| format!("&marker={}", next.replace('=', "%3D")))
                .unwrap_or_default();
        }
        responses
    };
    let usual = snapshot().await;
    for behaviour in Behaviour::ALL.iter().filter(|behaviour| !not_visible_in_listing.contains(behaviour)) {
        env.enterprise.enable_behaviour(*behaviour);
        assert_ne!(snapshot().await, usual, "{behaviour} has no effect");
        env.enterprise.reset_behaviours();
        assert_eq!(snapshot().await, usual, "{behaviour} does not reset");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_ends_with_a_null_empty_or_missing_marker() {
    for (name, end) in [("next-marker-empty-string", Some(Value::from(""))), ("next-marker-missing", None)] {
        let env = env_with_behaviour(name, 25);
        let pages = env.list_pages("limit=10", 10).await;
        assert_eq!((pages.len(), listed_ids(&pages)), (3, enterprise_ids(&env)));
        assert_eq!(pages[2].get("next_marker").cloned(), end);
    }
}

#[tokio::test(start_paused = true)]
async fn short_pages_empty_pages_and_any_order_return_all_users() {
    for (name, pages_expected) in [("short-pages", 7), ("empty-page-in-the-middle", 4), ("shuffled-order", 3)] {
        let env = env_with_behaviour(name, 25);
        let pages = env.list_pages("limit=10", 20).await;
        assert_eq!((pages.len(), listed_ids(&pages)), (pages_expected, enterprise_ids(&env)), "{name}");
    }
    let env = env_with_behaviour("empty-page-in-the-middle", 25);
    let pages = env.list_pages("limit=10", 20).await;
    assert!(entries(&pages[1]).is_empty() && pages[1]["next_marker"].is_string());
    let env = env_with_behaviour("shuffled-order", 25);
    let ids = env.get_users("usemarker=true").await.ids();
    assert!(!ids.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn endless_listings_never_end() {
    for name in ["endless-markers", "endless-empty-pages"] {
        let env = env_with_behaviour(name, 25);
        let pages = env.list_pages("limit=10", 40).await;
        let markers: BTreeSet<String> = pages.iter().map(|page| page["next_marker"].to_string()).collect();
        assert_eq!((pages.len(), markers.len()), (40, 40), "{name}: every marker is new");
    }
    let env = env_with_behaviour("repeated-marker", 25);
    let pages = env.list_pages("limit=10", 5).await;
    assert_eq!(pages.len(), 5);
    assert!(pages.windows(2).all(|pair| pair[0]["next_marker"] == pair[1]["next_marker"]));
}

#[tokio::test(start_paused = true)]
async fn the_later_copy_of_a_duplicated_user_is_current() {
    let env = env_with_behaviour("duplicate-across-pages", 25);
    let all: Vec<Value> = env.list_pages("limit=10", 10).await.iter().flat_map(entries).collect();
    assert_eq!(all.len(), 27);
    for user in env.enterprise.users() {
        let id = Value::from(user.id.to_string());
        let last = all.iter().rfind(|entry| entry["id"] == id).expect("listed");
        assert_eq!(last["name"], user.name);
    }
    assert_eq!(
        all.iter().filter(|entry| entry["name"].as_str().is_some_and(|name| name.ends_with("(old name)"))).count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn users_have_the_unusual_shapes_known_from_box() {
    let users = async |name: &str| {
        entries(
            &env_with_behaviour(name, 300)
                .get_users("usemarker=true&limit=1000&fields=status,role,phone,notification_email")
                .await
                .json(),
        )
    };
    assert!(users("numeric-ids").await.iter().all(|user| user["id"].is_number()));
    assert!(users("numeric-phones").await.iter().all(|user| user["phone"].is_number()));
    assert!(users("notification-email-array").await.iter().all(|user| user["notification_email"].is_array()));
    assert!(users("unknown-fields").await.iter().all(|user| user["x_new_field"].is_object()));
    assert!(users("unknown-status").await.iter().any(|user| user["status"] == "suspended_by_retention_policy"));
    assert!(users("unknown-role").await.iter().any(|user| user["role"] == "group_admin"));
    assert!(users("empty-list").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tracking_codes_are_sent_in_the_order_of_the_user_or_as_a_behaviour_says() {
    let codes_with = async |behaviour: Option<&str>| {
        let env = env_with(EnterpriseConfig::new("7").users(40).tracking_codes(), frozen_clock());
        if let Some(name) = behaviour {
            env.enterprise.enable_behaviour(name.parse().expect("a known behaviour"));
        }
        let page = env.get_users("usemarker=true&limit=1000&fields=tracking_codes").await.json();
        entries(&page).into_iter().map(|user| user.get("tracking_codes").cloned()).collect::<Vec<_>>()
    };
    let usual = codes_with(None).await;
    let first = usual[0].as_ref().and_then(Value::as_array).expect("a list");
    assert_eq!(first[0]["name"], "department");
    assert_eq!((&first[1]["type"], &first[1]["name"]), (&"tracking_code".into(), &"cost centre".into()));
    assert!(usual.contains(&Some(json!([]))), "a few users have none");
    assert!(codes_with(Some("tracking-codes-null")).await.iter().all(|codes| *codes == Some(Value::Null)));
    assert!(codes_with(Some("tracking-codes-missing")).await.iter().all(Option::is_none));
    assert!(codes_with(Some("tracking-codes-object")).await.iter().flatten().all(Value::is_object));
    let reversed = codes_with(Some("tracking-codes-reversed")).await;
    assert_eq!(reversed[0], Some(json!([first[1], first[0]])));
    for odd in codes_with(Some("odd-tracking-codes")).await.into_iter().flatten() {
        let items = odd.as_array().expect("a list");
        assert!(items.contains(&Value::Null) && items.contains(&json!(7)));
        assert_eq!(items.iter().filter(|item| item["name"] == "twice").count(), 2);
        assert!(items.iter().any(|item| item["name"].as_str().is_some_and(|name| name.chars().count() == 300)));
    }
    let env = env(3);
    assert!(env.enterprise.users().iter().all(|user| user.tracking_codes.is_empty()), "unless they are asked for");
}

#[tokio::test(start_paused = true)]
async fn invalid_pages() {
    assert!(
        env_with_behaviour("ignores-usemarker", 5).get_users("usemarker=true").await.json()["total_count"].is_number()
    );
    assert!(env_with_behaviour("entries-missing", 5).get_users("usemarker=true").await.json().get("entries").is_none());
    let html = env_with_behaviour("html-instead-of-json", 5).get_users("usemarker=true").await;
    assert_eq!((html.status.as_u16(), html.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(
        serde_json::from_slice::<Value>(
            &env_with_behaviour("truncated-json", 5).get_users("usemarker=true").await.body
        )
        .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn errors_apply_to_the_same_endpoints_as_in_box() {
    let cases = [
        ("insufficient-scope", 200, 403, "insufficient_scope"),
        ("access-denied-insufficient-permissions", 200, 403, "access_denied_insufficient_permissions"),
        ("location-blocked", 403, 403, "access_from_location_blocked"),
        ("forbidden-by-policy", 403, 403, "forbidden_by_policy"),
        ("unauthorized", 401, 401, "unauthorized"),
        ("rate-limited", 429, 429, "rate_limit_exceeded"),
    ];
    for (name, me, users, code) in cases {
        let env = env_with_behaviour(name, 5);
        assert_eq!(env.get(&env.fetch_access_token().await, "/2.0/users/me").await.status, me, "{name}");
        let response = env.get_users("usemarker=true").await;
        assert_eq!((response.status.as_u16(), response.json()["code"].as_str()), (users, Some(code)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_mid_listing_is_valid_for_two_pages() {
    let env = env_with_behaviour("token-expires-mid-listing", 50);
    let (first, mut statuses) = (env.fetch_access_token().await, Vec::new());
    for _ in 0..3 {
        statuses.push(env.get(&first, "/2.0/users?usemarker=true").await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 401]);
    assert_eq!(env.get(&env.fetch_access_token().await, "/2.0/users?usemarker=true").await.status, 200);
    assert_eq!(env.enterprise.call_counts().with_status(Endpoint::Users, 401), 1);
}

#[tokio::test(start_paused = true)]
async fn bodies_can_be_broken_slow_or_huge() {
    let body = async |name: &str| {
        let env = env(5);
        let token = env.fetch_access_token().await;
        env.enterprise.enable_behaviour(name.parse().expect("known"));
        env.send_raw(get_request(&token, "/2.0/users?usemarker=true")).await.into_body().into_data_stream()
    };
    let mut broken = body("reset-mid-body").await;
    assert!(broken.next().await.is_some_and(|chunk| chunk.is_ok()));
    assert!(broken.next().await.is_some_and(|chunk| chunk.is_err()));
    let mut closed = body("closes-connection").await;
    assert!(closed.next().await.is_some_and(|chunk| chunk.is_err()));
    let start = tokio::time::Instant::now();
    let mut slow = body("slow-body").await;
    let (_, second) = (slow.next().await, slow.next().await);
    assert_eq!((start.elapsed(), second.expect("more").expect("fine").len()), (Duration::from_secs(2), 16));
    let huge = body("huge-body").await.fold(0, async |sum, chunk| sum + chunk.expect("fine").len()).await;
    assert!(huge > 256 << 20, "{huge}");
}
