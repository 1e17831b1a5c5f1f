//! Tracking codes of users: published, compared, and added to a list of a version that did not know them.

use std::collections::BTreeMap;

use box_sim::{Behaviour, Enterprise, User};
use boxsync::{
    api::{MassChange, MassChangeKind, SliceState, UserSyncRequestStatus},
    roster::{ChangeOp, MAX_SLICE_BYTES},
};
use kube_sim::{Fault, FaultAction, Verb};
use serde_json::{Value, json};

use crate::{
    env::{NAMESPACE, SimEnv, format_condition, sleep_secs},
    format_upgrade::{edited_user, rewrite_list},
    reader::box_users,
};

type CodesById = BTreeMap<String, Value>;

fn set_codes(acme: &Enterprise, user: &User, codes: &[(&str, &str)]) {
    let codes = codes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    acme.update_user(user.id, |user| user.tracking_codes = codes).expect("known");
}

/// All users get a department and a cost centre, except every tenth.
fn give_codes(acme: &Enterprise) {
    for (n, user) in acme.users().iter().enumerate().filter(|(n, _)| n % 10 != 9) {
        let cost_centre = (4000 + n % 40).to_string();
        set_codes(acme, user, &[("department", ["Sales", "開発"][n % 2]), ("cost centre", &cost_centre)]);
    }
}

/// The value of `trackingCodes` in each line that has it.
async fn published_codes(world: &SimEnv) -> CodesById {
    let snapshot = world.read_snapshot("acme").await;
    let users = snapshot.record_lines(SliceState::Live).map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let with_codes = users.filter(|user| user.get("trackingCodes").is_some());
    with_codes.map(|user| (user["id"].as_str().expect("an id").to_owned(), user["trackingCodes"].clone())).collect()
}

/// The same as Box has them.
fn box_codes(acme: &Enterprise) -> CodesById {
    let users = acme.users().into_iter().filter(|user| !user.tracking_codes.is_empty());
    users.map(|user| (user.id.to_string(), user.tracking_codes.into_iter().collect())).collect()
}

/// An enterprise whose users have codes, synced once.
async fn env_with_codes(users: usize) -> (SimEnv, Enterprise) {
    let world = SimEnv::with_operator();
    let acme = world.add_enterprise("acme", users);
    give_codes(&acme);
    world.apply_credentials(&acme, "acme");
    world.apply_connection("acme", acme.id(), &json!({}));
    world.wait_until_synced("acme").await;
    (world, acme)
}

/// The list becomes one of a version that did not know tracking codes; its operator has stopped.
async fn downgrade_list(world: &mut SimEnv) {
    world.stop_operator().await;
    let forget = |roster: &mut Value| drop(roster.as_object_mut().expect("a roster").remove("optionalKeys"));
    rewrite_list(world, "acme", forget, |line| edited_user(line, |user| drop(user.remove("trackingCodes"))));
}

fn counts(done: &UserSyncRequestStatus) -> [Option<i64>; 3] {
    [done.added, done.updated, done.removed]
}

#[tokio::test(start_paused = true)]
async fn codes_are_published_sorted_by_name_and_are_absent_where_there_are_none() {
    let (world, acme) = env_with_codes(600).await;
    assert_eq!(published_codes(&world).await, box_codes(&acme));
    assert_eq!(published_codes(&world).await.len(), 540);
    let snapshot = world.read_snapshot("acme").await;
    let line = snapshot.record_lines(SliceState::Live).find(|line| line.contains("trackingCodes")).expect("codes");
    assert!(line.contains(r#","trackingCodes":{"cost centre":"40"#), "{line}");
    assert_eq!(snapshot.roster.spec.optional_keys, ["trackingCodes"]);
    assert_eq!(snapshot.roster.spec.format, 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_code_is_an_update_with_its_old_and_new_value() {
    let (world, acme) = env_with_codes(600).await;
    let users = acme.users();
    set_codes(&acme, &users[0], &[("department", "Legal"), ("cost centre", "4000")]);
    set_codes(&acme, &users[1], &[]);
    set_codes(&acme, &users[9], &[("department", "IT")]);
    let done = world.run_request("r", "acme").await;
    assert_eq!(counts(&done), [Some(0), Some(3), Some(0)]);
    assert_eq!(published_codes(&world).await, box_codes(&acme));
    let changes = world.recorded_changes("acme").await;
    let changed = |user: &User| {
        let change = changes.iter().find(|change| change.id == user.id.to_string()).expect("a change");
        assert_eq!((change.op, change.fields.len()), (ChangeOp::Updated, 1));
        change.fields["trackingCodes"].clone()
    };
    let [sales, legal] =
        ["Sales", "Legal"].map(|department| json!({ "cost centre": "4000", "department": department }));
    assert_eq!(changed(&users[0]), [sales, legal]);
    assert_eq!(changed(&users[1]), [json!({ "cost centre": "4001", "department": "開発" }), Value::Null]);
    assert_eq!(changed(&users[9]), [Value::Null, json!({ "department": "IT" })]);
}

#[tokio::test(start_paused = true)]
async fn the_order_in_which_box_sends_codes_changes_nothing() {
    let (world, acme) = env_with_codes(600).await;
    acme.enable_behaviour(Behaviour::TrackingCodesReversed);
    sleep_secs(60).await;
    let done = world.run_request("r", "acme").await;
    assert_eq!((counts(&done), done.revision), ([Some(0); 3], Some(1)));
}

#[tokio::test(start_paused = true)]
async fn odd_entries_of_box_lose_no_user_and_no_code() {
    let (world, acme) = env_with_codes(300).await;
    acme.enable_behaviour(Behaviour::OddTrackingCodes);
    sleep_secs(60).await;
    world.run_request("odd", "acme").await;
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    let published = published_codes(&world).await;
    assert_eq!(published.len(), 300);
    for user in acme.users() {
        let mut expected: BTreeMap<String, String> = user.tracking_codes.into_iter().collect();
        expected.extend(
            [("twice", "a"), ("number", "4711"), ("control", "\u{1b}[2J\n")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        expected.insert("ü".repeat(256), "日".repeat(256));
        assert_eq!(published[&user.id.to_string()], json!(expected));
    }
    // In another order they are the same.
    acme.enable_behaviour(Behaviour::TrackingCodesReversed);
    sleep_secs(60).await;
    assert_eq!(counts(&world.run_request("reversed", "acme").await), [Some(0); 3]);
}

/// A user's codes are bounded, so that any user fits into a slice.
#[tokio::test(start_paused = true)]
async fn users_with_the_largest_codes_fit_into_slices() {
    let world = SimEnv::with_operator();
    let acme = world.add_enterprise("acme", 40);
    // In JSON, each of these characters takes six bytes.
    let codes: Vec<(String, String)> =
        (0..25).map(|n| (format!("{n:02}{}", "\u{1}".repeat(300)), "\u{2}".repeat(300))).collect();
    for user in acme.users() {
        acme.update_user(user.id, |user| user.tracking_codes.clone_from(&codes)).expect("known");
    }
    world.apply_credentials(&acme, "acme");
    world.apply_connection("acme", acme.id(), &json!({}));
    world.wait_until_synced("acme").await;
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    let snapshot = world.read_snapshot("acme").await;
    assert!(snapshot.slices.len() > 4 && snapshot.slices.iter().all(|(_, data)| data.len() <= MAX_SLICE_BYTES));
    for codes in published_codes(&world).await.into_values() {
        assert_eq!(codes.as_object().map(serde_json::Map::len), Some(20));
    }
    // So do their changes.
    acme.enable_behaviour(Behaviour::TrackingCodesNull);
    sleep_secs(60).await;
    assert_eq!(counts(&world.run_request("r", "acme").await), [Some(0), Some(40), Some(0)]);
    assert_eq!(world.recorded_changes("acme").await.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_adds_the_codes_once_and_reports_nobody_as_updated() {
    let (mut world, acme) = env_with_codes(1_200).await;
    downgrade_list(&mut world).await;
    assert_eq!(published_codes(&world).await, CodesById::new());
    let journal = world.get_roster("acme").spec.journal;
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!((counts(&done), done.revision), ([Some(0); 3], Some(2)), "{done:?}");
    assert_eq!(published_codes(&world).await, box_codes(&acme));
    let roster = world.get_roster("acme").spec;
    assert_eq!(roster.journal, journal, "without a new journal entry");
    assert_eq!(roster.optional_keys, ["trackingCodes"]);
    assert_eq!(world.events_with_reason("MassChange"), Vec::<Value>::new());

    sleep_secs(60).await;
    world.run_request("second", "acme").await;
    assert_eq!(world.get_roster("acme").spec.revision, 2, "once");
    set_codes(&acme, &acme.users()[9], &[("department", "IT")]);
    assert_eq!(counts(&world.run_request("third", "acme").await), [Some(0), Some(1), Some(0)], "then they count");
}

#[tokio::test(start_paused = true)]
async fn at_an_upgrade_other_changes_still_count_and_do_not_mention_codes() {
    let (mut world, acme) = env_with_codes(600).await;
    downgrade_list(&mut world).await;
    let users = acme.users();
    acme.update_user(users[7].id, |user| "Jane Roe".clone_into(&mut user.name));
    acme.remove_user(users[300].id);
    acme.add_user("John Doe", "john@acme.com");
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!(counts(&done), [Some(1), Some(1), Some(1)], "{done:?}");
    let changes = world.recorded_changes("acme").await;
    let updated = changes.iter().find(|change| change.op == ChangeOp::Updated).expect("one");
    assert_eq!(updated.fields.keys().collect::<Vec<_>>(), ["name"]);
    assert_eq!(published_codes(&world).await, box_codes(&acme));
}

/// Nor do users whose removal was held in the older list, and who are back.
#[tokio::test(start_paused = true)]
async fn at_an_upgrade_a_held_user_who_is_back_did_not_change_by_codes() {
    let (mut world, acme) = env_with_codes(60).await;
    let missing: Vec<User> = acme.users().into_iter().take(25).collect();
    missing.iter().for_each(|user| drop(acme.remove_user(user.id)));
    world.run_request("held", "acme").await;
    assert_eq!(world.get_roster("acme").spec.held.expect("held").removals, 25);
    downgrade_list(&mut world).await;
    for user in missing {
        acme.put_user(User { tracking_codes: vec![("department".to_owned(), "IT".to_owned())], ..user });
    }
    world.spawn_operator();
    let done = world.run_request("back", "acme").await;
    assert_eq!(counts(&done), [Some(0); 3], "{done:?}");
    let returned = world.recorded_changes("acme").await.into_iter().filter(|change| change.op == ChangeOp::Returned);
    let fields: Vec<Vec<String>> = returned.map(|change| change.fields.into_keys().collect()).collect();
    assert_eq!(fields, vec![["state"]; 25]);
    assert_eq!(published_codes(&world).await, box_codes(&acme));
}

/// Where nobody has codes the lines stay the same, and yet the first code of a user is an update.
#[tokio::test(start_paused = true)]
async fn after_an_upgrade_without_codes_the_first_code_of_a_user_counts() {
    let (mut world, acme) = SimEnv::with_synced("acme", 600).await;
    downgrade_list(&mut world).await;
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!((counts(&done), done.revision), ([Some(0); 3], Some(2)), "the digests of the older list differ");
    set_codes(&acme, &acme.users()[3], &[("department", "IT")]);
    sleep_secs(60).await;
    assert_eq!(counts(&world.run_request("second", "acme").await), [Some(0), Some(1), Some(0)]);

    // The same lines, only the roster is older: the first sync of a process writes it anyway.
    let (mut world, acme) = SimEnv::with_synced("acme", 600).await;
    world.stop_operator().await;
    world.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
        roster.as_object_mut().expect("a roster").remove("optionalKeys");
    });
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!((counts(&done), done.revision), ([Some(0); 3], Some(1)));
    assert_eq!(world.get_roster("acme").spec.optional_keys, ["trackingCodes"]);
    set_codes(&acme, &acme.users()[3], &[("department", "IT")]);
    sleep_secs(60).await;
    assert_eq!(counts(&world.run_request("second", "acme").await), [Some(0), Some(1), Some(0)]);
}

/// The slices of the upgrade are written before the roster that says what they hold.
#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_killed_between_slices_and_roster_reports_nobody_as_updated() {
    for applied in [false, true] {
        let (mut world, acme) = env_with_codes(600).await;
        downgrade_list(&mut world).await;
        let fault = if applied { Fault::After(FaultAction::Kill) } else { Fault::Before(FaultAction::Kill) };
        let mark = world.kube.log_position();
        world.kube.fail_next(1, |call| call.matches(Verb::Update, "userrosters"), fault);
        world.spawn_operator();
        world.create_request("r", "acme");
        while !world.writes_since(mark).iter().any(|write| write.contains("userrosters")) {
            sleep_secs(1).await;
        }
        world.kill_operator().await;
        world.spawn_operator();
        let done = world.wait_until_finished("r").await;
        assert_eq!(counts(&done), [Some(0); 3], "applied: {applied}: {done:?}");
        assert_eq!(published_codes(&world).await, box_codes(&acme));
        assert_eq!(world.get_roster("acme").spec.journal.len(), 1, "of the first list only");
        assert_eq!(format_condition(&world.wait_until_ready("acme").await.conditions, "Ready"), "True Synced");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_list_of_an_older_version_is_adopted_and_reports_nobody_as_updated() {
    let (mut world, acme) = env_with_codes(600).await;
    downgrade_list(&mut world).await;
    let backup: Vec<Value> = world.kube.list("UserSlice").into_iter().chain(world.kube.list("UserRoster")).collect();
    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    world.kube.collect_garbage();
    for mut object in backup {
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        metadata.retain(|key, _| ["name", "namespace", "labels"].contains(&key.as_str()));
        world.kube.create(object);
    }
    world.apply_connection("acme", acme.id(), &json!({}));
    world.spawn_operator();
    let last = world.wait_until_synced("acme").await.last_sync.expect("synced");
    assert_eq!((last.added, last.updated, last.removed, last.revision), (0, 0, 0, 2));
    assert_eq!(published_codes(&world).await, box_codes(&acme));
}

/// An older version writes rosters and lines without what it does not know.
#[tokio::test(start_paused = true)]
async fn an_upgrade_after_a_downgrade_reports_nobody_as_updated() {
    let (mut world, acme) = env_with_codes(600).await;
    for round in 1..=2 {
        downgrade_list(&mut world).await;
        world.spawn_operator();
        let done = world.run_request(&format!("r{round}"), "acme").await;
        assert_eq!(counts(&done), [Some(0); 3], "{done:?}");
        assert_eq!(published_codes(&world).await, box_codes(&acme));
        sleep_secs(60).await;
    }
}

#[tokio::test(start_paused = true)]
async fn codes_that_an_admin_switches_off_are_an_update_of_their_users_and_told_as_a_mass_change() {
    for behaviour in [Behaviour::TrackingCodesNull, Behaviour::TrackingCodesMissing] {
        let (world, acme) = env_with_codes(600).await;
        acme.enable_behaviour(behaviour);
        sleep_secs(60).await;
        let done = world.run_request("off", "acme").await;
        assert_eq!(counts(&done), [Some(0), Some(540), Some(0)]);
        assert_eq!(published_codes(&world).await, CodesById::new());
        let told = [MassChange { kind: MassChangeKind::TrackingCodeLost, users: 540 }];
        assert_eq!(world.get_roster("acme").spec.journal[0].mass_changes, told);
        assert_eq!(world.connection_status("acme").history[0].mass_changes, told);
        assert_eq!(world.events_with_reason("MassChange").len(), 1);

        acme.disable_behaviour(behaviour);
        sleep_secs(60).await;
        let done = world.run_request("on", "acme").await;
        assert_eq!(counts(&done), [Some(0), Some(540), Some(0)]);
        assert_eq!(published_codes(&world).await, box_codes(&acme));
        assert_eq!(world.get_roster("acme").spec.journal[0].mass_changes, [], "nobody lost one");
    }
}

#[tokio::test(start_paused = true)]
async fn other_values_of_codes_are_no_mass_change() {
    let (world, acme) = env_with_codes(100).await;
    for user in acme.users() {
        let codes = user.tracking_codes.iter().map(|(name, _)| (name.as_str(), "moved")).collect::<Vec<_>>();
        set_codes(&acme, &user, &codes);
    }
    let done = world.run_request("r", "acme").await;
    assert_eq!(counts(&done), [Some(0), Some(90), Some(0)]);
    assert_eq!(world.get_roster("acme").spec.journal[0].mass_changes, []);
}
