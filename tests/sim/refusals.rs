//! Writes that the API server refuses for other reasons than a missing right: what the conditions say, and that nothing is
//! repeated without a pause.

use boxsync::api::{UserRoster, UserSlice};
use kube::ResourceExt;
use kube_sim::{Call, Fault, FaultAction, Verb};
use serde_json::{Value, json};

use crate::env::{NAMESPACE, SimEnv, count_listings, format_condition, request_succeeded, sleep_secs};

const DAY: u64 = 86_400;
const TERMINATING: &str = "unable to create new content in namespace backup because it is being terminated";

fn refusal(code: u16, reason: &str, message: &str) -> FaultAction {
    FaultAction::Body(json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
    }))
}

fn refuse_writes(world: &SimEnv, action: FaultAction, matches: fn(&Call) -> bool) {
    world.kube.fail_next(usize::MAX, matches, Fault::Before(action));
}

fn creates_slice(call: &Call) -> bool {
    call.matches(Verb::Create, "userslices")
}

/// The condition of the first sync, whose slices are refused so.
async fn synced_message(action: FaultAction) -> String {
    let mut world = SimEnv::new();
    refuse_writes(&world, action, creates_slice);
    world.connect_enterprise("acme", 100);
    world.spawn_operator();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    world.condition_message("acme", "Synced")
}

/// Without quotation marks: a condition quotes the API server.
fn plain(text: &str) -> String {
    text.replace(['"', '\''], "")
}

#[tokio::test(start_paused = true)]
async fn the_condition_has_the_sentence_of_what_refuses_the_list_and_advice_for_its_cause() {
    let slice = "userslices.boxsync.dev \"acme-0a\" is forbidden:";
    for (code, message, expected) in [
        (
            403,
            format!("{slice} exceeded quota: few-slices, requested: count/userslices.boxsync.dev=1, used: 1, limited: 1"),
            ["exceeded quota: few-slices", "A cluster admin must raise it"],
        ),
        (
            403,
            "admission webhook \"validation.gatekeeper.sh\" denied the request: [owner] you must provide labels: {\"owner\"}".to_owned(),
            ["webhook validation.gatekeeper.sh denied the list: [owner] you must", "--object-labels"],
        ),
        (
            400,
            "admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource UserSlice was blocked\n\nweekend: no changes".to_owned(),
            ["resource UserSlice was blocked weekend: no changes.", "except the operator's ServiceAccount"],
        ),
        (
            422,
            format!("{slice} ValidatingAdmissionPolicy 'owners' with binding 'b' denied request: annotation owner is missing"),
            ["Admission policy owners denied the list: annotation owner is missing.", "--object-annotations"],
        ),
        (403, format!("{slice} {TERMINATING}"), ["is being deleted", "Nothing is to be done"]),
        (403, format!("{slice} maximum count is 2"), ["denied the list: maximum count is 2.", "change it"]),
        (
            403,
            "userslices.boxsync.dev is forbidden: User \"system:serviceaccount:b:o\" cannot create resource \"userslices\"".to_owned(),
            ["is not allowed to write the list: User \"system:serviceaccount:b:o\" cannot create", "as the chart creates it"],
        ),
    ] {
        let shown = synced_message(refusal(code, "", &message)).await;
        for words in expected {
            assert!(plain(&shown).contains(&plain(words)), "{message}: {shown}");
        }
        assert!(message.contains("cannot create") || !shown.contains("RoleBinding"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hostile_sentence_is_shown_short_and_printable() {
    let hostile = format!("admission webhook \"x.y\" denied the request: \u{1b}[2J\u{202e}{}", "no ".repeat(100_000));
    let shown = synced_message(refusal(403, "Forbidden", &hostile)).await;
    assert!(shown.chars().count() <= 300, "{} characters", shown.chars().count());
    assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_stays_in_termination_causes_no_storm() {
    let (world, acme) = SimEnv::with_synced("acme", 1_000).await;
    let message = format!("x.boxsync.dev \"acme\" is forbidden: {TERMINATING}");
    refuse_writes(&world, refusal(403, "Forbidden", &message), |call| call.verb == Verb::Create);
    acme.add_user("Jane Doe", "jane.doe@acme.com");
    let (mark, listings) = (world.kube.log_position(), count_listings(&acme));
    sleep_secs(2 * DAY).await;
    let (writes, listings) = (world.writes_since(mark).len(), count_listings(&acme) - listings);
    assert!(listings < 2 * 24 + 10, "{listings} listings in two days");
    assert!(writes < 2 * 24 * 20, "{writes} writes in two days");
    let shown = world.condition_message("acme", "Synced");
    assert!(shown.contains("is being deleted") && !shown.contains("allowed"), "{shown}");
    world.kube.clear_faults();
    sleep_secs(3700).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Synced"), "True Synced");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_cannot_be_called_delays_the_list_until_it_works() {
    let mut world = SimEnv::new();
    let message = "Internal error occurred: failed calling webhook \"validate.kyverno.svc-fail\": failed to call webhook: context deadline exceeded";
    world.kube.fail_next(5, creates_slice, Fault::Before(refusal(500, "InternalError", message)));
    world.connect_enterprise("acme", 100);
    world.spawn_operator();
    world.wait_until_ready("acme").await;
    assert_eq!(world.connection_status("acme").failures, None, "one sync, which waited");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_counted_by_others_meanwhile_is_asked_again() {
    let mut world = SimEnv::new();
    let message = "Operation cannot be fulfilled on resourcequotas \"few\": the object has been modified";
    world.kube.fail_next(4, creates_slice, Fault::Before(refusal(409, "Conflict", message)));
    world.connect_enterprise("acme", 100);
    world.spawn_operator();
    world.wait_until_ready("acme").await;
    assert_eq!(world.orphan_slices("acme"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_minimal_status_says_who_refuses_the_full_one() {
    let mut world = SimEnv::new();
    world.connect_enterprise("acme", 100);
    let message = "admission webhook \"x.y\" denied the request: no account names";
    refuse_writes(&world, refusal(403, "Forbidden", message), |call| {
        call.matches(Verb::Update, "boxconnections/status") && !call.body_json()["status"]["account"].is_null()
    });
    world.spawn_operator();
    world.wait_until_ready("acme").await;
    let shown = world.condition_message("acme", "Ready");
    assert!(shown.contains("refused by admission webhook x.y: no account names."), "{shown}");
}

fn metadata_of(object: &impl ResourceExt) -> [Option<String>; 3] {
    [object.labels().get("owner"), object.labels().get("theirs"), object.annotations().get("note")].map(|v| v.cloned())
}

#[tokio::test(start_paused = true)]
async fn changed_object_labels_reach_the_roster_with_the_next_sync_and_new_slices() {
    let mut world = SimEnv::new();
    let set_extra = |world: &mut SimEnv, labels: &str, annotations: &str| {
        let labels = labels.parse().expect("labels");
        let annotations = annotations.parse().expect("annotations");
        world.options.extra_metadata = boxsync::api::ExtraMetadata { labels, annotations }.into();
    };
    let texts = |texts: [Option<&str>; 3]| texts.map(|text| text.map(str::to_owned));
    let roster = |world: &SimEnv| metadata_of(&world.kube.objects::<UserRoster>()[0]);
    set_extra(&mut world, "owner=identity", "");
    let acme = world.connect_enterprise("acme", 100);
    world.spawn_operator();
    world.wait_until_ready("acme").await;
    assert_eq!(roster(&world), texts([Some("identity"), None, None]));
    for slice in world.kube.objects::<UserSlice>() {
        assert_eq!(metadata_of(&slice), texts([Some("identity"), None, None]));
    }
    world.kube.edit("UserRoster", NAMESPACE, "acme", |roster: &mut Value| {
        roster["metadata"]["labels"]["theirs"] = "kept".into()
    });
    world.kill_operator().await;
    set_extra(&mut world, "owner=finance", "note=a");
    world.spawn_operator();
    // The list is unchanged.
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    assert_eq!(roster(&world), texts([Some("finance"), Some("kept"), Some("a")]));
    acme.add_user("Jane Doe", "jane.doe@acme.com");
    let before: Vec<String> = world.kube.objects::<UserSlice>().iter().map(ResourceExt::name_any).collect();
    assert!(request_succeeded(&world.run_request("s", "acme").await));
    let slices = world.kube.objects::<UserSlice>();
    let new: Vec<&UserSlice> = slices.iter().filter(|slice| !before.contains(&slice.name_any())).collect();
    assert!(!new.is_empty());
    for slice in new {
        assert_eq!(metadata_of(slice), texts([Some("finance"), None, Some("a")]));
    }
}
