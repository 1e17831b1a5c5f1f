//! The world of a walk, and how its steps change it.

use std::collections::BTreeMap;

use box_sim::Enterprise;
use boxsync::api::{UserSlice, UserSyncRequest};
use kube::ResourceExt;
use kube_sim::{Call, Fault, FaultAction, Gate, Verb};
use serde_json::json;
use tokio::time::Instant;

use super::steps::WalkStep;
use crate::{
    env::{NAMESPACE, SimEnv, format_condition, secs, sleep_secs},
    invariants::Exemption,
    operator::RunningOperator,
    reader::{UsersById, box_users},
};

pub(super) const CONNECTIONS: [&str; 3] = ["acme", "globex", "initech"];

/// A leader that was paused before a write.
pub(super) struct PausedLeader {
    process: RunningOperator,
    gate: Gate,
}

pub(super) struct Walk {
    pub(super) world: SimEnv,
    pub(super) enterprises: Vec<Enterprise>,
    /// Every list that Box has had, in order, and the position of the last one that was read from the cluster.
    pub(super) lists: Vec<(Vec<UsersById>, usize)>,
    /// Whether somebody has deleted a part of the list: it cannot always be read since.
    pub(super) deleted: Vec<bool>,
    pub(super) leader: Option<RunningOperator>,
    pub(super) leader_number: usize,
    pub(super) paused: Vec<PausedLeader>,
    pub(super) request_count: usize,
    pub(super) outage: bool,
    pub(super) checks: usize,
}

impl Walk {
    pub(super) fn new() -> Self {
        let world = SimEnv::new();
        let spec = json!({ "maxRemovalPercent": 100, "syncInterval": "6h" });
        let enterprises: Vec<Enterprise> =
            CONNECTIONS.iter().map(|name| world.connect_with_spec(name, 60, &spec)).collect();
        let lists = enterprises.iter().map(|enterprise| (vec![box_users(enterprise)], 0)).collect();
        let mut walk = Self {
            world,
            enterprises,
            lists,
            deleted: vec![false; CONNECTIONS.len()],
            leader: None,
            leader_number: 0,
            paused: Vec::new(),
            request_count: 0,
            outage: false,
            checks: 0,
        };
        walk.start_leader();
        walk
    }

    fn start_leader(&mut self) {
        self.leader_number += 1;
        self.leader = Some(self.world.operator_factory().start_as(&leader_name(self.leader_number)));
    }

    async fn kill_leader(&mut self) {
        self.world.kube.kill(&leader_name(self.leader_number));
        if let Some(leader) = self.leader.take() {
            leader.abort().await;
        }
    }

    fn record_list(&mut self, at: usize) {
        self.lists[at].0.push(box_users(&self.enterprises[at]));
    }

    pub(super) async fn take_step(&mut self, step: &WalkStep) {
        let kube = self.world.kube.clone();
        match *step {
            WalkStep::Hire(at, count) => {
                for _ in 0..count {
                    let number = self.enterprises[at].user_count();
                    self.enterprises[at].add_user("New", &format!("new{number}@example.com"));
                    self.record_list(at);
                }
            }
            WalkStep::Leave(at, user) => {
                let users = self.enterprises[at].users();
                if users.len() > 10 {
                    self.enterprises[at].remove_user(users[user.index(users.len())].id);
                    self.record_list(at);
                }
            }
            WalkStep::Rename(at, user, name) => {
                let users = self.enterprises[at].users();
                let id = users[user.index(users.len())].id;
                self.enterprises[at].update_user(id, |user| user.name = format!("Renamed {name}"));
                self.record_list(at);
            }
            WalkStep::Request(at) => self.create_request(CONNECTIONS[at]),
            WalkStep::RequestForNobody => self.create_request("nobody"),
            WalkStep::DeleteRequest(request) => {
                let requests = kube.objects::<UserSyncRequest>();
                if !requests.is_empty() {
                    kube.delete("UserSyncRequest", NAMESPACE, &requests[request.index(requests.len())].name_any());
                }
            }
            WalkStep::Deauthorize(at) => self.enterprises[at].deauthorize_app(),
            WalkStep::Authorize(at) => self.enterprises[at].authorize_app(),
            WalkStep::Suspend(at, suspend) => {
                self.world.edit_connection(CONNECTIONS[at], |c| c["spec"]["suspend"] = suspend.into());
            }
            WalkStep::Recreate(at) => {
                let name = CONNECTIONS[at];
                let spec = kube.get("BoxConnection", NAMESPACE, name).expect("it exists")["spec"].clone();
                self.deleted[at] = true;
                kube.delete("BoxConnection", NAMESPACE, name);
                self.world.apply_connection(name, self.enterprises[at].id(), &spec);
                kube.collect_garbage();
            }
            WalkStep::DeleteRoster(at) => {
                self.deleted[at] = true;
                if kube.get("UserRoster", NAMESPACE, CONNECTIONS[at]).is_some() {
                    kube.delete("UserRoster", NAMESPACE, CONNECTIONS[at]);
                }
            }
            WalkStep::DeleteSlice(slice) => {
                let slices = kube.objects::<UserSlice>();
                if !slices.is_empty() {
                    self.deleted.fill(true);
                    kube.delete("UserSlice", NAMESPACE, &slices[slice.index(slices.len())].name_any());
                }
            }
            WalkStep::CollectGarbage => {
                kube.collect_garbage();
            }
            WalkStep::Refuse(verb, resource, code, at) => {
                let connection = at.map(|at| CONNECTIONS[at]);
                let action = match code {
                    429 => FaultAction::RetryAfter(429, secs(5)),
                    code => FaultAction::Status(code),
                };
                kube.fail_next(
                    usize::MAX,
                    move |call| is_refused(call, verb, resource, connection),
                    Fault::Before(action),
                );
            }
            WalkStep::AllowAll => self.allow_all(),
            WalkStep::Outage => {
                self.outage = true;
                kube.start_outage();
            }
            WalkStep::EndOutage => self.end_outage(),
            WalkStep::FreezeWatches => {
                self.world.invariants.exempt(Exemption::SilentWatches);
                kube.freeze_watches();
            }
            WalkStep::ThawWatches => self.thaw_watches(),
            WalkStep::BreakWatches => kube.break_watches(),
            WalkStep::Box(at, behaviour) => self.enterprises[at].enable_behaviour(behaviour),
            WalkStep::BoxRecovers(at) => self.enterprises[at].reset_behaviours(),
            WalkStep::Kill => {
                self.kill_leader().await;
                self.start_leader();
            }
            WalkStep::KillAtWrite(number) => {
                if self.reach_write(number, FaultAction::Kill).await {
                    self.kill_leader().await;
                    self.start_leader();
                }
            }
            WalkStep::Restart => {
                if let Some(leader) = self.leader.take() {
                    leader.shut_down().await;
                }
                self.start_leader();
            }
            WalkStep::PauseLeader(number) => {
                let gate = Gate::new();
                if self.reach_write(number, FaultAction::Hold(gate.clone())).await {
                    let process = self.leader.take().expect("a leader runs");
                    self.paused.push(PausedLeader { process, gate });
                    self.start_leader();
                }
            }
            WalkStep::ResumeLeader => {
                if !self.paused.is_empty() {
                    let PausedLeader { process, gate } = self.paused.remove(0);
                    gate.open();
                    // It notices only now that it has lost the leadership.
                    self.pass(5).await;
                    process.abort().await;
                }
            }
            WalkStep::StepClock(seconds) => {
                let by = secs(seconds.unsigned_abs());
                if seconds < 0 { self.world.clock.rewind(by) } else { self.world.clock.advance(by) }
            }
            WalkStep::Wait(seconds) => self.pass(seconds).await,
        }
    }

    fn create_request(&mut self, connection: &str) {
        self.request_count += 1;
        self.world.create_request(&format!("request-{}", self.request_count), connection);
    }

    fn thaw_watches(&mut self) {
        self.world.kube.thaw_watches();
        self.world.invariants.end_exemption(Exemption::SilentWatches);
    }

    fn allow_all(&mut self) {
        self.world.kube.clear_faults();
    }

    fn end_outage(&mut self) {
        self.world.kube.end_outage();
        self.outage = false;
    }

    /// Lets time pass until the leader sends its write of this number, which then ends like this. Whether it did.
    async fn reach_write(&mut self, number: usize, action: FaultAction) -> bool {
        let (user, mut count) = (leader_name(self.leader_number), 0);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut sender = Some(sender);
        self.world.kube.on_write(move |_, call| {
            if call.user != user || call.resource == "events" {
                return None;
            }
            count += 1;
            if count != number {
                return None;
            }
            if let Some(sender) = sender.take() {
                let _ = sender.send(());
            }
            Some(Fault::Before(action.clone()))
        });
        let reached = tokio::time::timeout(secs(600), receiver).await.is_ok_and(|sent| sent.is_ok());
        self.world.kube.on_write(|_, _| None);
        reached
    }

    /// Lets time pass and checks the invariants every minute.
    pub(super) async fn pass(&mut self, seconds: u64) {
        let end = Instant::now() + secs(seconds);
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            tokio::time::sleep(rest.min(secs(60))).await;
            self.check_lists().await;
        }
    }

    /// When the faults are over, everything is in order within a day.
    pub(super) async fn end_faults(&mut self) {
        self.end_outage();
        self.allow_all();
        self.world.kube.on_write(|_, _| None);
        self.thaw_watches();
        for PausedLeader { process, gate } in self.paused.drain(..) {
            gate.open();
            sleep_secs(5).await;
            process.abort().await;
        }
        for (at, enterprise) in self.enterprises.iter().enumerate() {
            enterprise.reset_behaviours();
            enterprise.authorize_app();
            self.world.edit_connection(CONNECTIONS[at], |c| c["spec"]["suspend"] = false.into());
        }
        self.world.kube.collect_garbage();
        self.pass(26 * 3600).await;
        let mut problems = BTreeMap::new();
        for (name, enterprise) in CONNECTIONS.into_iter().zip(&self.enterprises) {
            let ready = format_condition(&self.world.connection_status(name).conditions, "Ready");
            let orphans = self.world.orphan_slices(name);
            if ready != "True Synced" || !orphans.is_empty() {
                problems.insert(name, format!("{ready}, unreferenced slices {orphans:?}"));
            }
            assert_eq!(self.world.published_users(name).await, box_users(enterprise), "{name}");
        }
        assert!(problems.is_empty(), "{problems:#?}");
        if let Some(leader) = self.leader.take() {
            leader.shut_down().await;
        }
    }
}

fn leader_name(number: usize) -> String {
    format!("system:serviceaccount:boxsync:leader-{number}")
}

fn is_refused(call: &Call, verb: Verb, resource: &str, connection: Option<&str>) -> bool {
    let concerns = |name: &str| name.split('-').next() == connection;
    call.user != "reader"
        && call.matches(verb, resource)
        && (connection.is_none() || call.name.as_deref().is_none_or(concerns))
}
