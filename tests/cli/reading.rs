//! The reader meets a list that moves on, or is broken, while it is read.

use kube_sim::{Fault, Gate, Trouble, Verb};

use crate::town::{NAMESPACE, Town, three, user};

fn slice(town: &Town) -> String {
    let slices = town.kube.list("UserSlice");
    let live = slices.iter().find(|s| s["state"] == "Live").expect("a live slice");
    live["metadata"]["name"].as_str().expect("a name").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_moves_on_while_it_is_read_is_read_again_from_the_roster() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    let old = slice(&town);
    let gate = Gate::new();
    town.kube.fail_next(
        1,
        |call| call.is(Verb::Get, "userslices") && call.user == "somebody",
        Fault::Before(Trouble::Hold(gate.clone())),
    );
    let overtake = async {
        gate.reached().await;
        town.publish("acme", &[three()[0], user("2004", "new@acme.com", "New")]).await;
        town.kube.delete("UserSlice", NAMESPACE, &old);
        gate.open();
    };
    let (said, ()) = tokio::join!(town.ask("users acme -o name"), overtake);
    assert_eq!(
        (said.out.as_str(), said.code),
        ("ann@acme.com\nnew@acme.com\n", 0),
        "the new list, and nothing of the old"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_with_a_slice_missing_is_never_shown_in_part() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    town.kube.delete("UserSlice", NAMESPACE, &slice(&town));
    let said = town.ask("users acme").await;
    assert_eq!((said.code, said.out.as_str()), (8, ""));
    assert!(said.err.contains("slices of revision 1 are missing or damaged. The next sync mends it"), "{}", said.err);
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_was_tampered_with_is_not_believed() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    town.kube.edit("UserSlice", NAMESPACE, &slice(&town), |s| {
        let data = s["data"].as_str().expect("lines").replace("bob@", "eve@");
        s["data"] = data.into();
    });
    let said = town.ask("users acme -o name").await;
    assert_eq!((said.code, said.out.as_str()), (8, ""));
}
