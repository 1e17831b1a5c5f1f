//! `why`: each explanation, the most relevant one first.

use boxsync::user_list::User;
use serde_json::Value;

use crate::{
    changes::env_with_four_revisions,
    env::{CliEnv, NAMESPACE, three_users},
};

async fn run_why(env: &CliEnv, who: &str) -> (u8, String) {
    let output = env.run(&format!("why acme {who}")).await;
    (output.code, output.out)
}

#[tokio::test(start_paused = true)]
async fn a_listed_user_is_shown_with_the_first_revision() {
    let env = env_with_four_revisions().await;
    let (code, answer) = run_why(&env, "CLEO@acme.com").await;
    assert_eq!(
        (code, answer.as_str()),
        (
            0,
            "cleo@acme.com (id 2004, Cleo Clark, active, user) is in the list of acme since revision 2 (2026-11-22 13:00Z).\n"
        )
    );
    let (code, answer) = run_why(&env, "2001").await;
    assert_eq!(
        (code, answer.as_str()),
        (
            0,
            "ann@acme.com (id 2001, Ann Archer, active, admin) is in the list of acme since revision 1 (2026-11-22 12:00Z), the first.\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_returned_user_is_shown_with_the_revision_and_the_last_change() {
    let (code, answer) = run_why(&env_with_four_revisions().await, "bob@acme.com").await;
    assert_eq!(code, 0);
    assert_eq!(
        answer,
        "bob@acme.com (id 2002, Bob Baker, inactive, user) is in the list of acme since revision 4 (2026-11-22 15:00Z). Last changed in revision 2 (2026-11-22 13:00Z): status: inactive → active.\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_previous_login_leads_to_the_current_one() {
    let env = CliEnv::with_three_users().await;
    let [ann, bob, robot] = three_users();
    env.publish_users("acme", &[User { login: "ann.weber@acme.com", ..ann }, bob, robot]).await;
    let (code, answer) = run_why(&env, "ann@acme.com").await;
    assert_eq!(
        (code, answer.as_str()),
        (
            1,
            "ann@acme.com was the login of ann.weber@acme.com (id 2001, Ann Archer, active, admin) until revision 2 (2026-11-22 12:00Z): the user is in the list under another login.\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_removed_user_is_shown_with_the_removal_date() {
    let env = CliEnv::with_three_users().await;
    let [ann, _, robot] = three_users();
    env.publish_users("acme", &[ann, robot]).await;
    let (code, answer) = run_why(&env, "bob@acme.com").await;
    assert_eq!(code, 1);
    assert!(
        answer.starts_with(
            "bob@acme.com (id 2002, Bob Baker, last inactive) was removed from the list of acme on 2026-11-22 12:00Z:"
        ),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_removed_user_is_found_by_a_previous_login() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let [ann, bob, robot] = three_users();
    env.publish_users("acme", &[ann, bob, robot]).await;
    env.publish_users("acme", &[ann, User { login: "robert@acme.com", ..bob }, robot]).await;
    env.publish_users("acme", &[ann, robot]).await;
    let (code, answer) = run_why(&env, "bob@acme.com").await;
    assert_eq!(code, 1);
    assert!(answer.starts_with("robert@acme.com (id 2002, Bob Baker, last inactive) was removed"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_read_connections_the_list_time_is_omitted() {
    let env = env_with_four_revisions().await;
    env.kube.forbid(|call| call.resource == "boxconnections" && call.user == "alice");
    assert!(run_why(&env, "x@y.z").await.1.starts_with("x@y.z is not in the list of acme (revision 4, 4 users)"));
}

#[tokio::test(start_paused = true)]
async fn a_held_user_is_shown_as_listed_with_removal_held() {
    let env = CliEnv::with_held_users(30, 15).await;
    let (code, answer) = run_why(&env, "user3@acme.com").await;
    assert_eq!(code, 0);
    assert!(
        answer.contains("but Box has not listed this user since revision 2 (2026-11-22 12:00Z): the removal is held")
            && answer.contains("kubectl boxsync approve acme -n backup"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_login_gets_an_explanation_and_similar_logins() {
    let (code, answer) = run_why(&env_with_four_revisions().await, "clea@acme.com").await;
    assert_eq!(code, 1);
    assert_eq!(
        answer,
        "\
clea@acme.com is not in the list of 2026-11-22 09:00Z of acme (revision 4, 4 users). This user was not in the list from 2026-11-22 12:00Z, the first list, to 2026-11-22 15:00Z.
Similar: cleo@acme.com.
Box cannot list external users (collaborators of other enterprises) or pending invitations.
A user who was added just now appears after kubectl boxsync sync acme -n backup --wait.
"
    );
    assert!(run_why(&env_with_four_revisions().await, "bob@acme.de").await.1.contains("Similar: bob@acme.com."));
}

#[tokio::test(start_paused = true)]
async fn what_an_incomplete_change_log_cannot_tell_is_said() {
    let env = env_with_four_revisions().await;
    let edit_journal = |edit: fn(&mut Vec<Value>)| {
        env.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
            edit(roster["journal"].as_array_mut().expect("a journal"));
        });
    };
    // Revision 3 changed too many users to list them.
    edit_journal(|journal| drop(journal[1].as_object_mut().expect("an entry").remove("slices")));
    let answer = run_why(&env, "x@y.z").await.1;
    assert!(answer.contains("is unknown before revision 3 (2026-11-22 14:00Z), whose changes are told in"), "{answer}");
    // The older ones are not kept any more.
    edit_journal(|journal| journal.truncate(1));
    let answer = run_why(&env, "x@y.z").await.1;
    assert!(answer.contains("whether it was before is unknown, since older changes are not kept"), "{answer}");
    edit_journal(Vec::clear);
    let answer = run_why(&env, "x@y.z").await.1;
    assert!(
        answer.contains("Whether this user was in an earlier list is unknown, since no changes are kept."),
        "{answer}"
    );
}
