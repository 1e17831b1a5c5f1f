//! `why`: each answer, and the best one first.

use boxsync::roster::Entry;

use crate::{
    changes::eventful,
    town::{Town, three, user},
};

async fn first(town: &Town, who: &str) -> (u8, String) {
    let said = town.ask(&format!("why acme {who}")).await;
    (said.code, said.out)
}

#[tokio::test(start_paused = true)]
async fn somebody_in_the_list_is_there_since_a_revision() {
    let town = eventful().await;
    let (code, told) = first(&town, "CLEO@acme.com").await;
    assert_eq!(
        (code, told.as_str()),
        (
            0,
            "cleo@acme.com (id 2004, Cleo Clark, active, user) is in the list of acme since revision 2 (2026-11-22 13:00Z).\n"
        )
    );
    let (code, told) = first(&town, "2001").await;
    assert_eq!(
        (code, told.as_str()),
        (
            0,
            "ann@acme.com (id 2001, Ann Archer, active, admin) is in the list of acme since revision 1 (2026-11-22 12:00Z), the first.\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn who_came_back_is_there_since_then_and_the_last_change_is_told() {
    let (code, told) = first(&eventful().await, "bob@acme.com").await;
    assert_eq!(code, 0);
    assert_eq!(
        told,
        "bob@acme.com (id 2002, Bob Baker, inactive, user) is in the list of acme since revision 4 (2026-11-22 15:00Z). Last changed in revision 2 (2026-11-22 13:00Z): status: inactive → active.\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_changed_leads_to_the_new_one() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    let [ann, bob, robot] = three();
    town.publish("acme", &[Entry { login: "ann.weber@acme.com", ..ann }, bob, robot]).await;
    let (code, told) = first(&town, "ann@acme.com").await;
    assert_eq!(
        (code, told.as_str()),
        (
            1,
            "ann@acme.com was the login of ann.weber@acme.com (id 2001, Ann Archer, active, admin) until revision 2 (2026-11-22 12:00Z): the user is in the list under another login.\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_who_is_gone_was_removed_on_a_day() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    let [ann, _, robot] = three();
    town.publish("acme", &[ann, robot]).await;
    let (code, told) = first(&town, "bob@acme.com").await;
    assert_eq!(code, 1);
    assert!(
        told.starts_with(
            "bob@acme.com (id 2002, Bob Baker, last inactive) was removed from the list of acme on 2026-11-22 12:00Z:"
        ),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_who_is_gone_is_found_by_an_earlier_login_too() {
    let town = Town::new();
    town.ready("acme", 3);
    let [ann, bob, robot] = three();
    town.publish("acme", &[ann, bob, robot]).await;
    town.publish("acme", &[ann, Entry { login: "robert@acme.com", ..bob }, robot]).await;
    town.publish("acme", &[ann, robot]).await;
    let (code, told) = first(&town, "bob@acme.com").await;
    assert_eq!(code, 1);
    assert!(told.starts_with("robert@acme.com (id 2002, Bob Baker, last inactive) was removed"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_read_connections_is_answered_without_the_time_of_the_list() {
    let town = eventful().await;
    town.kube.forbid(|call| call.resource == "boxconnections" && call.user == "somebody");
    assert!(
        first(&town, "x@y.z").await.1.starts_with("x@y.z was never seen in the list of acme (revision 4, 4 users)")
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_whose_removal_is_held_is_in_the_list_and_told_so() {
    let town = Town::new();
    town.ready("acme", 30);
    let names: Vec<(String, String)> = (0..30).map(|n| ((2000 + n).to_string(), format!("user{n}@acme.com"))).collect();
    let all: Vec<Entry<'_>> = names.iter().map(|(id, login)| user(id, login, "User")).collect();
    town.publish("acme", &all).await;
    town.publish("acme", all.get(15..).expect("thirty")).await;
    let (code, told) = first(&town, "user3@acme.com").await;
    assert_eq!(code, 0);
    assert!(
        told.contains("but Box has not listed this user since revision 2 (2026-11-22 12:00Z): the removal is held")
            && told.contains("kubectl boxsync approve acme -n backup"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_never_seen_is_told_what_box_cannot_list_and_who_is_near() {
    let (code, told) = first(&eventful().await, "clea@acme.com").await;
    assert_eq!(code, 1);
    assert_eq!(
        told,
        "\
clea@acme.com was never seen in the list of 2026-11-22 09:00Z of acme (revision 4, 4 users) nor in its record since 2026-11-22 12:00Z.
Near: cleo@acme.com.
Box cannot list external users (collaborators of other enterprises) and pending invitations.
Somebody who was added just now is found after kubectl boxsync sync acme -n backup --wait.
"
    );
    assert!(first(&eventful().await, "bob@acme.de").await.1.contains("Near: bob@acme.com."));
}
