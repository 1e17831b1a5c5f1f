//! User listing and the current user.

use crate::client::{entries, env, env_with, frozen_clock};
use box_sim::{Endpoint, EnterpriseConfig, User};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test(start_paused = true)]
async fn a_listing_returns_every_user_once() {
    let env = env(2_345);
    let pages = env.list_pages("limit=1000&user_type=managed&fields=status", 10).await;
    assert_eq!(pages.len(), 3);
    assert!(pages[2]["next_marker"].is_null());
    assert!(
        pages.iter().all(|page| page.get("total_count").is_none() && page.get("offset").is_none()),
        "a marker page has no count"
    );
    let listed: Vec<u64> = pages
        .iter()
        .flat_map(entries)
        .map(|user| user["id"].as_str().expect("a string").parse().expect("digits"))
        .collect();
    let known: Vec<u64> = env.enterprise.users().iter().map(|user| user.id).collect();
    assert_eq!(listed, known, "in the order of ids");
    assert_eq!(env.enterprise.call_counts().with_status(Endpoint::Users, 200), 3);
}

#[tokio::test(start_paused = true)]
async fn usemarker_is_case_insensitive() {
    let env = env(30);
    let page = env.get_users("usemarker=True&limit=10&fields=id%2Ctype%2Cname%2Clogin%2Cstatus").await.json();
    assert!(page["next_marker"].is_string(), "{page}");
    assert!(page["entries"][0]["status"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_misspelled_parameter_is_ignored_and_the_answer_is_an_offset_page() {
    let env = env(150);
    let page = env.get_users("use_marker=true&fields=status").await.json();
    assert_eq!(
        (page["total_count"].as_u64(), page["offset"].as_u64(), page["limit"].as_u64()),
        (Some(150), Some(0), Some(100))
    );
    assert_eq!(entries(&page).len(), 100);
    assert!(page.get("next_marker").is_none());
    assert_eq!(page["order"][0]["direction"], "ASC");
}

#[tokio::test(start_paused = true)]
async fn a_limit_above_1000_is_1000() {
    let env = env(1_500);
    let page = env.get_users("usemarker=true&limit=5000").await.json();
    assert_eq!((entries(&page).len(), page["limit"].as_u64()), (1000, Some(1000)));
    assert_eq!(env.get_users("limit=0").await.status, 400);
    assert_eq!(env.get_users("limit=many").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn an_offset_above_10000_is_refused() {
    let env = env(10_500);
    let last = env.get_users("offset=10000&limit=1000").await;
    assert_eq!((last.status.as_u16(), last.ids().len()), (200, 500));
    let refused = env.get_users("offset=10001&limit=1000").await;
    assert_eq!(refused.status, 400);
    let error = refused.json();
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str(), error["status"].as_u64()),
        (Some("error"), Some("bad_request"), Some(400))
    );
    assert_eq!(error["context_info"]["errors"][0]["name"], "offset");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_marker_is_rejected() {
    let env = env(10);
    for marker in ["1", "bm9uc2Vuc2U%3D", "eyJ0eXBlIjoiaWQifQ%3D%3D"] {
        assert_eq!(env.get_users(&format!("usemarker=true&marker={marker}")).await.status, 400, "{marker}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_requested_fields_are_returned() {
    let env = env(1);
    let keys = |page: serde_json::Value| {
        entries(&page)[0].as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>()
    };
    let some = keys(env.get_users("usemarker=true&fields=role,enterprise,no_such_field").await.json());
    assert_eq!(some, ["id", "type", "name", "login", "role", "enterprise"].map(str::to_owned).into());
    let standard = keys(env.get_users("usemarker=true").await.json());
    assert!(standard.contains("status") && standard.contains("notification_email"), "{standard:?}");
    assert!(!standard.contains("role") && !standard.contains("is_platform_access_only"), "{standard:?}");
}

#[tokio::test(start_paused = true)]
async fn user_types_and_filters_narrow_the_list() {
    let env = env(200);
    let everybody = env.get_users("limit=1000&user_type=managed").await.ids().len();
    assert_eq!(everybody, 200);
    assert_eq!(env.get_users("limit=1000&user_type=all").await.ids().len(), 200);
    assert!(env.get_users("limit=1000&user_type=external").await.ids().is_empty());
    assert_eq!(env.get_users("user_type=strange").await.status, 400);
    let added = env.enterprise.add_user("Zacharias Filter", "zf@acme.example");
    assert_eq!(env.get_users("filter_term=zachar").await.ids(), [added.id]);
    assert_eq!(env.get_users("filter_term=zf%40acme").await.ids(), [added.id]);
    assert_eq!(env.list_pages("filter_term=zachar", 5).await.len(), 5, "with markers a filtered walk never ends");
}

#[tokio::test(start_paused = true)]
async fn changes_appear_on_the_next_page() {
    let env = env(20);
    let users = env.enterprise.users();
    let added = env.enterprise.add_user("New Person", "new@acme.example");
    env.enterprise.deactivate_user(users[3].id).expect("known");
    env.enterprise.update_user(users[4].id, |user| "Renamed".clone_into(&mut user.name)).expect("known");
    let gone = env.enterprise.remove_user(users[5].id).expect("known");
    assert_eq!(gone, users[5]);
    let page = env.get_users("usemarker=true&fields=status").await.json();
    let by_id: BTreeMap<String, serde_json::Value> =
        entries(&page).into_iter().map(|user| (user["id"].to_string(), user)).collect();
    let user_json = |id: u64| by_id.get(&format!("\"{id}\""));
    assert_eq!(user_json(added.id).expect("added")["login"], "new@acme.example");
    assert_eq!(user_json(users[3].id).expect("known")["status"], "inactive");
    assert_eq!(user_json(users[4].id).expect("known")["name"], "Renamed");
    assert!(user_json(gone.id).is_none());
    env.enterprise.put_user(gone.clone());
    assert_eq!(env.enterprise.get_user(gone.id), Some(gone), "somebody returned");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_generates_the_same_users() {
    let generate =
        |seed| env_with(EnterpriseConfig::new("7").users(5_000).seed(seed), frozen_clock()).enterprise.users();
    let (users, others) = (generate(1), generate(2));
    assert_eq!(users, generate(1));
    assert_ne!(users, others);
    let count = |of: &dyn Fn(&User) -> bool| users.iter().filter(|user| of(user)).count();
    for status in ["active", "inactive", "cannot_delete_edit", "cannot_delete_edit_upload", "pending"] {
        assert!(count(&|user| user.status == status) > 0, "nobody is {status}");
    }
    for role in ["admin", "coadmin", "user"] {
        assert!(count(&|user| user.role == role) > 0, "nobody is {role}");
    }
    assert!(count(&|user| user.app) > 10);
    assert!(count(&|user| !user.name.is_ascii()) > 100);
    assert!(count(&|user| user.phone.is_number()) > 10);
    assert!(count(&|user| user.notification_email.is_array()) > 10);
    let lengths: BTreeSet<usize> = users.iter().map(|user| user.id.to_string().len()).collect();
    assert_eq!(lengths, (7..=11).collect());
    let logins: BTreeSet<&str> = users.iter().map(|user| user.login.as_str()).collect();
    assert_eq!(logins.len(), users.len());
}

#[tokio::test(start_paused = true)]
async fn the_credentials_act_as_a_service_account_of_the_enterprise() {
    let env = env(3);
    let me = env
        .get(&env.fetch_access_token().await, "/2.0/users/me?fields=id,type,name,login,role,status,enterprise")
        .await
        .json();
    let login = me["login"].as_str().expect("a login");
    assert!(login.starts_with("AutomationUser_") && login.ends_with("@boxdevedition.com"), "{login}");
    assert_eq!(me["enterprise"], serde_json::json!({"type": "enterprise", "id": "1001", "name": "Acme"}));
    assert_eq!((me["type"].as_str(), me["status"].as_str()), (Some("user"), Some("active")));
    assert!(me.get("space_used").is_none());
}

#[tokio::test(start_paused = true)]
async fn enterprises_are_isolated() {
    let env = env(10);
    env.sim.add_enterprise(EnterpriseConfig::new("1002").users(20));
    assert_eq!(env.get_users("usemarker=true").await.ids().len(), 10);
    assert_eq!(env.sim.find_enterprise("1002").expect("created").call_counts().total(), 0);
    assert_eq!(env.sim.enterprises().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_call_log_has_parameter_names_and_no_secrets() {
    let env = env(1);
    let token = env.fetch_access_token().await;
    env.get(&token, "/2.0/users?usemarker=true&limit=10").await;
    let calls = env.enterprise.recent_calls();
    assert_eq!(calls[0].form, ["grant_type", "client_id", "client_secret", "box_subject_type", "box_subject_id"]);
    assert_eq!((calls[1].method.as_str(), calls[1].path.as_str(), calls[1].status), ("GET", "/2.0/users", 200));
    assert_eq!(calls[1].params, ["usemarker", "limit"]);
    let text = format!("{calls:?}{:?}", env.sim.recent_calls());
    assert!(!text.contains(&token) && !text.contains(&env.enterprise.client_secret()));
    env.enterprise.clear_calls();
    assert_eq!((env.enterprise.recent_calls().len(), env.enterprise.call_counts().total()), (0, 0));
}
