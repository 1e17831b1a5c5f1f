//! Property test over histories of an enterprise: the published list equals a simple model, and undoing the recorded
//! changes revision by revision gives the earlier lists.

use std::collections::{BTreeMap, BTreeSet};

use boxsync::{
    api::{self, SliceState},
    kube_client::KubeClient,
    roster::{
        self, ChangeOp, ChangeRecord, LIST_STATES, PublishOutcome, PublishRequest, PublishResult, RosterVersion, Store,
    },
    user_list::{CodesByName, TrackingCodes, User, UserList, UserListBuilder, UserStatus},
};
use jiff::{SignedDuration, Timestamp};
use kube_sim::{KubeSim, Resource, SimClock};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    env::{NAMESPACE, START},
    publish_request::{publish_confirmed, scheduled_publish},
};

const OWNER: &str = "0b6c5f0e-8b1e-4a39-9d3c-0c5a0e5f7a11";
const PERCENT: i32 = 20;

/// Users by id; the number is the version of their details.
type UserVersions = BTreeMap<u64, u32>;

/// What happens in Box between two syncs, and whether held removals are approved.
#[derive(Clone, Debug)]
struct HistoryStep {
    hired: Vec<u64>,
    edited: Vec<prop::sample::Index>,
    /// One of this many users leaves.
    leave_divisor: Option<u64>,
    leaving: Vec<prop::sample::Index>,
    /// Some of the users who left earlier return.
    returning: Vec<prop::sample::Index>,
    approval: Approval,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approval {
    None,
    HeldList,
    OtherList,
}

fn history_step() -> impl Strategy<Value = HistoryStep> {
    let some_users = || prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    let approval = prop_oneof![
        3 => Just(Approval::None),
        2 => Just(Approval::HeldList),
        1 => Just(Approval::OtherList),
    ];
    let hired = prop::collection::vec(1_u64..20_000, 0..8);
    let leave_divisor = prop::option::weighted(0.3, 2_u64..6);
    (hired, some_users(), leave_divisor, some_users(), some_users(), approval, any::<u64>()).prop_map(
        |(hired, edited, leave_divisor, leaving, returning, approval, seed)| HistoryStep {
            hired,
            edited,
            leave_divisor,
            leaving,
            returning,
            approval,
            seed,
        },
    )
}

/// The model of the published list.
#[derive(Clone, Debug, Default)]
struct Model {
    listed: UserVersions,
    held: UserVersions,
    removed: BTreeSet<u64>,
    syncs: Vec<ModelSync>,
}

/// A sync that changed who is in the list.
#[derive(Clone, Debug)]
struct ModelSync {
    time: Timestamp,
    users_before: usize,
    removed: usize,
    approved: usize,
    held: usize,
}

struct ChangeCounts {
    added: usize,
    updated: usize,
    removed: usize,
}

impl Model {
    fn all_users(&self) -> UserVersions {
        self.listed.iter().chain(&self.held).map(|(id, version)| (*id, *version)).collect()
    }

    /// The removals of the last 24 hours that nobody approved, those that were held, and the size of the list before them.
    fn recent_removals(&self, total: usize, now: Timestamp) -> (usize, usize, usize) {
        let recent: Vec<&ModelSync> =
            self.syncs.iter().filter(|s| s.time + SignedDuration::from_hours(24) > now).collect();
        let Some(first) = recent.iter().position(|s| s.removed + s.held > 0) else {
            return (0, 0, total);
        };
        let sum = |count: fn(&ModelSync) -> usize| recent[first..].iter().map(|s| count(s)).sum::<usize>();
        (sum(|s| s.removed), sum(|s| s.held), recent[first].users_before - sum(|s| s.approved))
    }

    fn must_hold(&self, total: usize, found: &UserVersions, vanished: &UserVersions, now: Timestamp) -> bool {
        let (removed, held, total) = self.recent_removals(total, now);
        let gone = vanished.len() + removed + held.min(self.held.len());
        let people = |users: &UserVersions| users.values().any(|version| version % 5 != 0);
        let too_many = gone > 10 && gone * 100 > total * PERCENT as usize || gone >= 3 && gone * 2 > total;
        !vanished.is_empty() && (too_many || people(vanished) && !people(found))
    }

    fn apply_sync(&mut self, found: &UserVersions, approved: bool, now: Timestamp) -> ChangeCounts {
        let before = self.all_users();
        let vanished: UserVersions =
            self.listed.iter().filter(|(id, _)| !found.contains_key(id)).map(|(i, v)| (*i, *v)).collect();
        self.held.retain(|id, _| !found.contains_key(id));
        let approved = if approved { std::mem::take(&mut self.held).len() } else { 0 };
        let held = self.must_hold(before.len(), found, &vanished, now);
        if held {
            self.held.extend(&vanished);
        }
        self.listed.clone_from(found);
        let after = self.all_users();
        let departed: Vec<u64> = before.keys().filter(|id| !after.contains_key(id)).copied().collect();
        self.removed.extend(&departed);
        self.removed.retain(|id| !after.contains_key(id));
        self.syncs.push(ModelSync {
            time: now,
            users_before: before.len(),
            removed: departed.len() - approved,
            approved,
            held: if held { vanished.len() } else { 0 },
        });
        ChangeCounts {
            added: after.keys().filter(|id| !before.contains_key(id)).count(),
            updated: after.iter().filter(|(id, version)| before.get(id).is_some_and(|b| b != *version)).count(),
            removed: departed.len(),
        }
    }
}

/// The list as Box may send it: pages in any order, some users twice, the later one being valid.
fn build_list(users: &UserVersions, seed: u64) -> UserList {
    let mix =
        |n: u64| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut order: Vec<(u64, u32)> = users.iter().map(|(id, version)| (*id, *version)).collect();
    order.sort_by_key(|(id, _)| mix(*id));
    let older = order.iter().filter(|(id, _)| mix(*id).is_multiple_of(7)).map(|(id, version)| (*id, version + 1000));
    let all: Vec<(u64, u32)> = older.chain(order.iter().copied()).collect();
    let mut builder = UserListBuilder::default();
    for page in all.chunks(97) {
        let texts: Vec<[String; 3]> =
            page.iter().map(|(id, v)| [id.to_string(), format!("u{id}@acme.com"), format!("V{v}")]).collect();
        // Some versions have none, and some have the same as others.
        let codes: Vec<CodesByName<'_>> = page
            .iter()
            .map(|(_, v)| {
                (0..v % 3).map(|n| (["team", "floor"][n as usize].into(), (v / 4).to_string().into())).collect()
            })
            .collect();
        builder.push_users(texts.iter().zip(&codes).zip(page).map(|(([id, login, name], codes), (_, version))| User {
            id,
            login,
            name,
            job_title: if version % 2 == 0 { "Nurse" } else { "" },
            status: if version % 3 == 0 { UserStatus::Inactive } else { UserStatus::Active },
            app: version % 5 == 0,
            created_at: Some(1_600_000_000),
            tracking_codes: TrackingCodes::by_name(codes),
            ..User::default()
        }));
    }
    builder.build()
}

struct HistoryEnv {
    store: Store,
    kube: KubeSim,
    known: Option<(i64, i64)>,
    now: Timestamp,
}

impl HistoryEnv {
    /// The time of the next sync.
    fn next_time(&self) -> Timestamp {
        self.now + SignedDuration::from_hours(1)
    }

    async fn publish_list(&mut self, users: &UserVersions, seed: u64, approve: Option<&str>) -> PublishResult {
        self.now = self.next_time();
        let order = PublishRequest {
            max_removal_percent: PERCENT,
            approved_digest: approve,
            last_published: self.known,
            base: self.store.get_roster().await.expect("readable").as_ref().map(RosterVersion::of),
            ..scheduled_publish(OWNER, self.now)
        };
        let published =
            publish_confirmed(&self.store, &order, &build_list(users, seed), || self.now).await.expect("published");
        self.known = Some((published.roster.revision, published.roster.users.total));
        published
    }

    /// Records of these states by user ID.
    async fn read_records(&self, states: &[SliceState]) -> BTreeMap<u64, Value> {
        let snapshot = roster::read_snapshot(&self.store, states, None).await.expect("a list");
        let lines = states.iter().flat_map(|state| snapshot.record_lines(*state));
        let parsed = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        parsed.map(|line| (line["id"].as_str().and_then(|id| id.parse().ok()).expect("an id"), line)).collect()
    }

    /// The recorded changes of the published revision; `None` if only their numbers are recorded.
    async fn read_changes(&self, published: &PublishResult) -> Option<Vec<ChangeRecord>> {
        let entry = published.roster.journal.first().filter(|e| e.revision == published.roster.revision)?;
        let only = Some(entry.slices.as_slice()).filter(|slices| !slices.is_empty())?;
        let read = roster::read_snapshot(&self.store, &[SliceState::Changes], Some(only)).await.expect("changes");
        Some(read.record_lines(SliceState::Changes).map(|line| serde_json::from_str(line).expect("a change")).collect())
    }
}

/// The list before these changes.
fn undo_changes(mut lines: BTreeMap<u64, Value>, changes: &[ChangeRecord]) -> BTreeMap<u64, Value> {
    for change in changes {
        let id: u64 = change.id.parse().expect("an id");
        let was_removed = change.fields.get("state").is_some_and(|[from, _]| from == "removed");
        match change.op {
            ChangeOp::Added => drop(lines.remove(&id)),
            ChangeOp::Returned if was_removed => drop(lines.remove(&id)),
            ChangeOp::Removed => drop(lines.insert(id, json!({ "id": change.id }))),
            ChangeOp::Updated | ChangeOp::Returned | ChangeOp::Held => {}
        }
        if let Some(line) = lines.get_mut(&id) {
            for (field, [from, _]) in change.fields.iter().filter(|(field, _)| *field != "state") {
                match from {
                    Value::Null if field == "trackingCodes" => {
                        drop(line.as_object_mut().expect("a line").remove(field))
                    }
                    from => line[field] = from.clone(),
                }
            }
        }
    }
    lines
}

async fn check_history(first: BTreeSet<u64>, steps: Vec<HistoryStep>) {
    let clock = SimClock::new(START.parse().expect("a time"));
    let kube = KubeSim::new(clock.clock_fn(), api::crds().iter().map(Resource::from_crd));
    let store = Store::new(KubeClient::new(kube.client()), NAMESPACE, "acme");
    let mut world = HistoryEnv { store, kube, known: None, now: START.parse().expect("a time") };
    let (mut model, mut users): (Model, UserVersions) = (Model::default(), first.iter().map(|id| (*id, 1)).collect());
    let mut departed: Vec<u64> = Vec::new();
    model.apply_sync(&users, false, world.next_time());
    world.publish_list(&users, 1, None).await;
    let mut before = world.read_records(LIST_STATES).await;
    for step in steps {
        let all: Vec<u64> = users.keys().copied().collect();
        for index in &step.edited {
            users.entry(*index.get(&all)).and_modify(|version| *version += 1);
        }
        let leavers = step.leaving.iter().map(|index| *index.get(&all));
        let many = all.iter().copied().filter(|id| step.leave_divisor.is_some_and(|n| id.is_multiple_of(n)));
        for id in leavers.chain(many).collect::<Vec<_>>() {
            if users.len() > 1 && users.remove(&id).is_some() {
                departed.push(id);
            }
        }
        users.extend(step.hired.iter().map(|id| (*id, 1)));
        if !departed.is_empty() {
            users.extend(step.returning.iter().map(|index| (*index.get(&departed), 2)));
        }
        let held = world.store.get_roster().await.expect("readable").and_then(|r| r.spec.held);
        let approve = match (step.approval, held) {
            (Approval::HeldList, Some(held)) => Some(held.digest),
            (Approval::OtherList, _) => Some("0".repeat(64)),
            (Approval::HeldList, None) | (Approval::None, _) => None,
        };
        let counts =
            model.apply_sync(&users, step.approval == Approval::HeldList && approve.is_some(), world.next_time());
        let published = world.publish_list(&users, step.seed, approve.as_deref()).await;
        let roster = &published.roster;

        let lines = world.read_records(LIST_STATES).await;
        let ids: Vec<u64> = lines.keys().copied().collect();
        assert_eq!(ids, model.all_users().into_keys().collect::<Vec<_>>(), "all users are in the list");
        for (id, version) in model.all_users() {
            assert_eq!(lines[&id]["name"], format!("V{version}"));
        }
        assert_eq!(
            world.read_records(&[SliceState::Held]).await.into_keys().collect::<Vec<_>>(),
            model.held.keys().copied().collect::<Vec<_>>()
        );
        assert_eq!(
            world.read_records(&[SliceState::Removed]).await.into_keys().collect::<BTreeSet<_>>(),
            model.removed
        );
        let user_counts = roster.users;
        let published_counts = (user_counts.total, user_counts.held, user_counts.removed);
        assert_eq!(published_counts, (lines.len() as i64, model.held.len() as i64, model.removed.len() as i64));
        assert_eq!(
            user_counts.total,
            user_counts.active + user_counts.inactive + user_counts.restricted + user_counts.other
        );
        let changed = [counts.added, counts.updated, counts.removed].map(|n| n as i64);
        let change = &roster.change;
        if published.outcome == PublishOutcome::Committed {
            assert_eq!([change.added, change.updated, change.removed], changed);
            let changes = world.read_changes(&published).await.unwrap_or_default();
            assert_eq!(undo_changes(lines.clone(), &changes), before, "undoing the changes gives the earlier list");
        } else {
            assert_eq!((changed, &lines), ([0; 3], &before), "nothing to publish");
        }
        for slice in &roster.slices {
            assert!((1..=1000).contains(&slice.count));
        }
        let live: Vec<_> = roster.slices.iter().filter(|s| s.state == SliceState::Live).collect();
        assert!(live.iter().rev().skip(1).all(|s| s.count >= 250), "only the last one may be small");

        let republished = world.publish_list(&users, step.seed ^ 1, None).await;
        assert_eq!(
            republished.outcome,
            PublishOutcome::Unchanged,
            "the same list in another order of pages is no change"
        );
        assert_eq!(republished.roster.slices, roster.slices);
        before = lines;
    }
    assert!(world.kube.list("UserSlice").len() < 2000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_published_like_the_model_and_can_be_undone(
        first in prop::collection::btree_set(1_u64..20_000, 1..900),
        steps in prop::collection::vec(history_step(), 1..7),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(check_history(first, steps));
    }
}
