//! Renewals of a user's authorization whose process ends in the middle, at every moment.

use box_sim::{Auth, Behaviour, Endpoint, Enterprise};
use kube_sim::{Fault, Trouble};

use crate::line::Cut;
use crate::oauth::{connected, kept, message};
use crate::world::{World, condition, pass, succeeded};

/// Longer than a turn that nobody ends.
const ABANDONED: i64 = 90;
const DAY: u64 = 86_400;

/// What a moment is called, and what brings it about.
type Moment = (&'static str, fn(&World));

/// A renewal whose process is gone at this moment; then a new process starts.
async fn killed(world: &mut World, acme: &Enterprise, when: impl FnOnce(&World)) {
    connected(world, "acme").await;
    pass(60).await;
    acme.revoke_tokens();
    when(world);
    world.request("r", "acme");
    tokio::select! {
        () = world.kube.killed() => {}
        () = world.line.met.notified() => {}
    }
    world.kill().await;
    pass(5).await;
    world.start();
}

fn killed_at_write(world: &World, secrets: usize, fault: Fault) {
    let mut seen = 0;
    world.kube.on_write(move |_, call| {
        seen += usize::from(call.resource == "secrets");
        (call.resource == "secrets" && seen == secrets).then(|| fault.clone())
    });
}

/// It goes on as if nothing had been, at most a little later.
async fn goes_on(world: &World, acme: &Enterprise, what: &str) {
    let begun = world.elapsed();
    assert!(succeeded(&world.ended("r").await), "{what}: {:?}", world.asked("r"));
    assert!(world.elapsed() - begun <= ABANDONED + 10, "{what}: {} s", world.elapsed() - begun);
    assert_eq!(kept(world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"), "{what}");
    pass(3 * DAY).await;
    assert_eq!(condition(&world.status("acme").conditions, "Connected"), "True Connected", "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_gone_before_box_heard_of_it_or_after_the_token_is_kept_loses_nothing() {
    let moments: [Moment; 5] = [
        ("before the turn is taken", |w| killed_at_write(w, 1, Fault::Before(Trouble::Kill))),
        ("after the turn is taken", |w| killed_at_write(w, 1, Fault::After(Trouble::Kill))),
        ("before Box heard of it", |w| w.line.cut(Cut::Before)),
        ("after the token is kept", |w| killed_at_write(w, 2, Fault::After(Trouble::Kill))),
        ("the answer to the write is lost", |w| killed_at_write(w, 2, Fault::After(Trouble::Drop))),
    ];
    for (what, when) in moments {
        let mut world = World::running();
        let acme = world.connect_by("acme", 100, Auth::Oauth2);
        if what.contains("lost") {
            connected(&world, "acme").await;
            pass(60).await;
            acme.revoke_tokens();
            when(&world);
            world.request("r", "acme");
        } else {
            killed(&mut world, &acme, when).await;
        }
        goes_on(&world, &acme, what).await;
        world.kill().await;
    }
}

const IN_BETWEEN: [Moment; 2] = [
    ("Box's answer got lost", |w| w.line.cut(Cut::After)),
    ("before the token is kept", |w| killed_at_write(w, 2, Fault::Before(Trouble::Kill))),
];

/// The one moment in which a token exists nowhere but in the process that died: Box has spent the old one. If Box is as
/// strict as it says, nobody can go on, and the way back is told.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_gone_between_boxs_answer_and_its_keeping_tells_how_to_reconnect() {
    for (what, when) in IN_BETWEEN {
        let mut world = World::running();
        let acme = world.connect_by("acme", 100, Auth::Oauth2);
        killed(&mut world, &acme, when).await;
        let failed = world.ended("r").await;
        assert_eq!(condition(&failed.conditions, "Failed"), "True AuthorizationExpired", "{what}");
        assert!(message(&world, "acme", "Connected").contains("kubectl boxsync connect acme"), "{what}");
        assert_eq!(world.status("acme").users.expect("the list stays").total, 100, "{what}");
        world.authorize(&acme, "acme");
        connected(&world, "acme").await;
        world.kill().await;
    }
}

/// Box once wrote that the old token stays usable until the new access token is first used: nothing is lost then.
#[tokio::test(start_paused = true)]
async fn a_lenient_box_leaves_no_moment_in_which_an_authorization_can_be_lost() {
    for (what, when) in IN_BETWEEN {
        let mut world = World::running();
        let acme = world.connect_by("acme", 100, Auth::Oauth2);
        acme.behave(Behaviour::LenientRefresh);
        killed(&mut world, &acme, when).await;
        goes_on(&world, &acme, what).await;
        world.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_renewal_waits_until_the_token_is_kept() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    pass(60).await;
    acme.revoke_tokens();
    world.line.cut(Cut::Late);
    world.request("r", "acme");
    pass(3).await;
    world.stop().await;
    assert_eq!(kept(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    world.start();
    assert!(succeeded(&world.ended("r").await));
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 0);
}
