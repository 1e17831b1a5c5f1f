//! Lists that are replaced, incomplete or modified during a read.

use kube_sim::{Fault, FaultAction, Gate, Verb};

use crate::env::{CliEnv, NAMESPACE, three_users, user_record};

fn live_slice_name(env: &CliEnv) -> String {
    let slices = env.kube.list("UserSlice");
    let live = slices.iter().find(|s| s["state"] == "Live").expect("a live slice");
    live["metadata"]["name"].as_str().expect("a name").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_list_replaced_during_a_read_is_read_again_from_the_roster() {
    let env = CliEnv::with_three_users().await;
    let old = live_slice_name(&env);
    let gate = Gate::new();
    env.kube.fail_next(
        1,
        |call| call.matches(Verb::Get, "userslices") && call.user == "alice",
        Fault::Before(FaultAction::Hold(gate.clone())),
    );
    let replace_list = async {
        gate.reached().await;
        env.publish_users("acme", &[three_users()[0], user_record("2004", "new@acme.com", "New")]).await;
        env.kube.delete("UserSlice", NAMESPACE, &old);
        gate.open();
    };
    let (output, ()) = tokio::join!(env.run("users acme -o name"), replace_list);
    assert_eq!(
        (output.out.as_str(), output.code),
        ("ann@acme.com\nnew@acme.com\n", 0),
        "the new list, and nothing of the old"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_with_a_missing_slice_is_never_shown_in_part() {
    let env = CliEnv::with_three_users().await;
    env.kube.delete("UserSlice", NAMESPACE, &live_slice_name(&env));
    let output = env.run("users acme").await;
    assert_eq!((output.code, output.out.as_str()), (8, ""));
    assert!(
        output.err.contains("slices of revision 1 are missing or damaged. A sync publishes it again: kubectl boxsync sync acme -n backup --wait."),
        "{}",
        output.err
    );
}

#[tokio::test(start_paused = true)]
async fn a_modified_slice_is_rejected() {
    let env = CliEnv::with_three_users().await;
    env.kube.edit("UserSlice", NAMESPACE, &live_slice_name(&env), |s| {
        let data = s["data"].as_str().expect("lines").replace("bob@", "eve@");
        s["data"] = data.into();
    });
    let output = env.run("users acme -o name").await;
    assert_eq!((output.code, output.out.as_str()), (8, ""));
}
