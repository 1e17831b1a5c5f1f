//! Listing users, and who one is.

use crate::client::{entries, stopped, world, world_of};
use box_sim::{Endpoint, EnterpriseSpec, User};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test(start_paused = true)]
async fn a_walk_gives_every_user_once() {
    let world = world(2_345);
    let pages = world.walk("limit=1000&user_type=managed&fields=status", 10).await;
    assert_eq!(pages.len(), 3);
    assert!(pages[2]["next_marker"].is_null());
    assert!(
        pages.iter().all(|page| page.get("total_count").is_none() && page.get("offset").is_none()),
        "a marker page has no count"
    );
    let walked: Vec<u64> = pages
        .iter()
        .flat_map(entries)
        .map(|user| user["id"].as_str().expect("a string").parse().expect("digits"))
        .collect();
    let known: Vec<u64> = world.it.users().iter().map(|user| user.id).collect();
    assert_eq!(walked, known, "in the order of ids");
    assert_eq!(world.it.calls().with(Endpoint::Users, 200), 3);
}

#[tokio::test(start_paused = true)]
async fn spelled_as_python_does_a_walk_is_still_by_marker() {
    let world = world(30);
    let page = world.page("usemarker=True&limit=10&fields=id%2Ctype%2Cname%2Clogin%2Cstatus").await.json();
    assert!(page["next_marker"].is_string(), "{page}");
    assert!(page["entries"][0]["status"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_misspelled_parameter_is_ignored_and_the_answer_is_an_offset_page() {
    let world = world(150);
    let page = world.page("use_marker=true&fields=status").await.json();
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
    let world = world(1_500);
    let page = world.page("usemarker=true&limit=5000").await.json();
    assert_eq!((entries(&page).len(), page["limit"].as_u64()), (1000, Some(1000)));
    assert_eq!(world.page("limit=0").await.status, 400);
    assert_eq!(world.page("limit=many").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn an_offset_above_10000_is_refused() {
    let world = world(10_500);
    let last = world.page("offset=10000&limit=1000").await;
    assert_eq!((last.status.as_u16(), last.ids().len()), (200, 500));
    let refused = world.page("offset=10001&limit=1000").await;
    assert_eq!(refused.status, 400);
    let error = refused.json();
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str(), error["status"].as_u64()),
        (Some("error"), Some("bad_request"), Some(400))
    );
    assert_eq!(error["context_info"]["errors"][0]["name"], "offset");
}

#[tokio::test(start_paused = true)]
async fn an_invented_marker_is_refused() {
    let world = world(10);
    for marker in ["1", "bm9uc2Vuc2U%3D", "eyJ0eXBlIjoiaWQifQ%3D%3D"] {
        assert_eq!(world.page(&format!("usemarker=true&marker={marker}")).await.status, 400, "{marker}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_fields_asked_for_come_back() {
    let world = world(1);
    let keys = |page: serde_json::Value| {
        entries(&page)[0].as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>()
    };
    let some = keys(world.page("usemarker=true&fields=role,enterprise,no_such_field").await.json());
    assert_eq!(some, ["id", "type", "name", "login", "role", "enterprise"].map(str::to_owned).into());
    let standard = keys(world.page("usemarker=true").await.json());
    assert!(standard.contains("status") && standard.contains("notification_email"), "{standard:?}");
    assert!(!standard.contains("role") && !standard.contains("is_platform_access_only"), "{standard:?}");
}

#[tokio::test(start_paused = true)]
async fn user_types_and_filters_narrow_the_list() {
    let world = world(200);
    let everybody = world.page("limit=1000&user_type=managed").await.ids().len();
    assert_eq!(everybody, 200);
    assert_eq!(world.page("limit=1000&user_type=all").await.ids().len(), 200);
    assert!(world.page("limit=1000&user_type=external").await.ids().is_empty());
    assert_eq!(world.page("user_type=strange").await.status, 400);
    let added = world.it.add_user("Zacharias Filter", "zf@acme.example");
    assert_eq!(world.page("filter_term=zachar").await.ids(), [added.id]);
    assert_eq!(world.page("filter_term=zf%40acme").await.ids(), [added.id]);
    assert_eq!(world.walk("filter_term=zachar", 5).await.len(), 5, "with markers a filtered walk never ends");
}

#[tokio::test(start_paused = true)]
async fn changes_are_seen_by_the_next_page() {
    let world = world(20);
    let users = world.it.users();
    let added = world.it.add_user("New Person", "new@acme.example");
    world.it.deactivate(users[3].id).expect("known");
    world.it.edit(users[4].id, |user| "Renamed".clone_into(&mut user.name)).expect("known");
    let gone = world.it.remove_user(users[5].id).expect("known");
    assert_eq!(gone, users[5]);
    let page = world.page("usemarker=true&fields=status").await.json();
    let by_id: BTreeMap<String, serde_json::Value> =
        entries(&page).into_iter().map(|user| (user["id"].to_string(), user)).collect();
    let of = |id: u64| by_id.get(&format!("\"{id}\""));
    assert_eq!(of(added.id).expect("added")["login"], "new@acme.example");
    assert_eq!(of(users[3].id).expect("known")["status"], "inactive");
    assert_eq!(of(users[4].id).expect("known")["name"], "Renamed");
    assert!(of(gone.id).is_none());
    world.it.put(gone.clone());
    assert_eq!(world.it.user(gone.id), Some(gone), "somebody returned");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_mixed_crowd() {
    let crowd = |seed| world_of(EnterpriseSpec::new("7").users(5_000).seed(seed), stopped()).it.users();
    let (users, others) = (crowd(1), crowd(2));
    assert_eq!(users, crowd(1));
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
    let world = world(3);
    let me =
        world.get(&world.token().await, "/2.0/users/me?fields=id,type,name,login,role,status,enterprise").await.json();
    let login = me["login"].as_str().expect("a login");
    assert!(login.starts_with("AutomationUser_") && login.ends_with("@boxdevedition.com"), "{login}");
    assert_eq!(me["enterprise"], serde_json::json!({"type": "enterprise", "id": "1001", "name": "Acme"}));
    assert_eq!((me["type"].as_str(), me["status"].as_str()), (Some("user"), Some("active")));
    assert!(me.get("space_used").is_none());
}

#[tokio::test(start_paused = true)]
async fn enterprises_know_nothing_of_each_other() {
    let world = world(10);
    world.sim.enterprise(EnterpriseSpec::new("1002").users(20));
    assert_eq!(world.page("usemarker=true").await.ids().len(), 10);
    assert_eq!(world.sim.find("1002").expect("created").calls().total(), 0);
    assert_eq!(world.sim.enterprises().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_log_has_names_and_no_secrets() {
    let world = world(1);
    let token = world.token().await;
    world.get(&token, "/2.0/users?usemarker=true&limit=10").await;
    let seen = world.it.seen();
    assert_eq!(seen[0].form, ["grant_type", "client_id", "client_secret", "box_subject_type", "box_subject_id"]);
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str(), seen[1].status), ("GET", "/2.0/users", 200));
    assert_eq!(seen[1].params, ["usemarker", "limit"]);
    let text = format!("{seen:?}{:?}", world.sim.seen());
    assert!(!text.contains(&token) && !text.contains(&world.it.client_secret()));
    world.it.forget_calls();
    assert_eq!((world.it.seen().len(), world.it.calls().total()), (0, 0));
}
