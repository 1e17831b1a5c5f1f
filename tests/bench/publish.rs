//! publish — cost of publishing 100,000 users: the first time, unchanged, with one user changed, added or removed, and with
//! 1 % of them. Requests are counted in the API server's audit log; the state of a slice is read from its roster.

use std::collections::HashMap;
use std::time::Duration;

use boxsync::api::{SliceState, UserRoster, UserSyncRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use harness::{AuditEntries, AuditEntry};
use jiff::Timestamp;

use crate::{
    Result,
    env::{
        Bench, BenchEnv, CONCURRENCY, ConditionWatch, SECRET_NAME, TIMEOUT, connection_name, is_complete, is_ready,
        start_watch,
    },
    log_progress,
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 100_000;
const FIRST_RUNS: usize = 5;
const UNCHANGED_RUNS: usize = 5;
/// Runs of each kind. Many, because two slices change if the user is the last of a slice: the average counts.
const SINGLE_EDIT_RUNS: usize = 12;
const CHURN_RUNS: usize = 3;
const CHANGED: usize = 500;
const ADDED: usize = 250;
const REMOVED: usize = 250;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("publish").await?;
    let ids = env.create_enterprises(FIRST_RUNS, USERS).await?;
    let _operator = env.start_operator_with_flag("--min-sync-gap", "0s")?;
    env.audit().wait_until_idle(&env.operator_user, Duration::from_secs(1), TIMEOUT).await?;
    let mut rows = measure_first_publish(&env, &ids).await?;
    let id = ids.first().ok_or("no enterprise")?;
    rows.extend(measure_unchanged(&env, id).await?);
    rows.extend(measure_single_edits(&env, id).await?);
    rows.extend(measure_churn(&env, id).await?);
    Ok(rows)
}

async fn measure_first_publish(env: &BenchEnv<'_>, ids: &[String]) -> Result<Vec<BenchRow>> {
    let mut syncs = Vec::new();
    for id in ids {
        log_progress("publishing 100,000 users for the first time");
        let awaited = env.watch_connection(id, is_ready).await?;
        let before = SyncBaseline::capture(env, id).await?;
        env.connect_enterprise(id, SECRET_NAME).await?;
        syncs.push(before.measure(awaited).await?);
    }
    let publish_times = Samples::from_durations(syncs.iter().map(|sync| sync.publish_time));
    let listing_times = Samples::from_durations(syncs.iter().map(|sync| sync.listing_time));
    let cpu = Samples::from_values(syncs.iter().map(|sync| sync.api_server_cpu));
    let etcd = Samples::from_values(syncs.iter().map(|sync| sync.etcd_cpu));
    let operator_requests = Samples::from_values(syncs.iter().map(|sync| sync.operator_requests() as f64));
    let slices = Samples::from_values(syncs.iter().map(|sync| sync.slices_written(SliceState::Live) as f64));
    Ok(vec![
        BenchRow::new(
            "first publish of 100,000 users: from Box's last page to Ready",
            publish_times.summary(0, "ms"),
            "≤ 3 s",
            publish_times.median() <= 3e3,
        ),
        BenchRow::new(
            "API server CPU during it, including the listing",
            cpu.summary(1, "s"),
            "≤ 3 s",
            cpu.median() <= 3.0,
        ),
        BenchRow::detail("listing time", listing_times.summary(0, "ms")),
        BenchRow::detail(
            "writes",
            format!(
                "{:.0} slices, {:.0} requests of the operator in total; etcd {:.1} s",
                slices.median(),
                operator_requests.median(),
                etcd.median()
            ),
        ),
    ])
}

async fn measure_unchanged(env: &BenchEnv<'_>, id: &str) -> Result<Vec<BenchRow>> {
    let mut syncs = Vec::new();
    for run in 0..UNCHANGED_RUNS {
        syncs.push(sync_by_request(env, id, &format!("unchanged-{run}")).await?);
    }
    let most = |count: fn(&SyncCost) -> usize| syncs.iter().map(count).max().unwrap_or(usize::MAX);
    let reads = most(|sync| sync.slice_entries("get").count());
    let writes = most(|sync| sync.slice_writes() + sync.roster_writes());
    let statuses = most(|sync| sync.status_writes("boxconnections"));
    let requests = most(|sync| sync.status_writes("usersyncrequests"));
    let others = most(SyncCost::operator_requests);
    let publish_times = Samples::from_durations(syncs.iter().map(|sync| sync.publish_time));
    Ok(vec![
        BenchRow::new(
            &format!("unchanged resync of 100,000 users: maximum of {UNCHANGED_RUNS}"),
            format!("{reads} slice reads, {writes} slice or roster writes, {statuses} status writes"),
            "0, 0, 1",
            reads == 0 && writes == 0 && statuses == 1,
        ),
        BenchRow::detail("request status writes, all operator requests", format!("{requests}, {others}")),
        BenchRow::detail("from Box's last page to Complete", publish_times.summary(0, "ms")),
    ])
}

/// An edit of one user.
#[derive(Clone, Copy)]
enum Edit {
    Changed,
    Added,
    Removed,
}

impl Edit {
    const ALL: [Self; 3] = [Self::Changed, Self::Added, Self::Removed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }

    /// Applies the edit to the user at this index, or next to it.
    async fn apply_edit(self, env: &BenchEnv<'_>, id: &str, users: &[u64], at: usize, word: &str) -> Result<()> {
        let user = *users.get(at).ok_or("no user at this index")?;
        match self {
            Self::Changed => env.sim.set_job_title(id, user, word).await,
            Self::Removed => env.sim.remove_user(id, user).await,
            Self::Added => {
                let next = *users.get(at + 1).ok_or("no next user")?;
                env.sim.add_user(id, u64::midpoint(user, next), word).await
            }
        }
    }
}

async fn measure_single_edits(env: &BenchEnv<'_>, id: &str) -> Result<Vec<BenchRow>> {
    let users = env.sim.user_ids(id).await?;
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for (kind, edit) in Edit::ALL.into_iter().enumerate() {
        log_progress(&format!("one user {}, {SINGLE_EDIT_RUNS} times", edit.as_str()));
        let mut syncs = Vec::new();
        for run in 0..SINGLE_EDIT_RUNS {
            // Spread over the list, each user once.
            let at = users.len() * (run * Edit::ALL.len() + kind) / (SINGLE_EDIT_RUNS * Edit::ALL.len());
            let word = format!("{}-{run}", edit.as_str());
            edit.apply_edit(env, id, &users, at, &word).await?;
            syncs.push(sync_by_request(env, id, &word).await?);
        }
        let mean = |count: &dyn Fn(&SyncCost) -> usize| average(&syncs, count);
        let publish_times = Samples::from_durations(syncs.iter().map(|sync| sync.publish_time));
        rows.push(BenchRow::detail(
            &format!("one {}, on average", edit.as_str()),
            format!(
                "{:.2} live read, {:.2} written; {:.2} change slices, {:.2} removed slices; {publish_times} to Complete",
                mean(&|sync| sync.slices_read(SliceState::Live)),
                mean(&|sync| sync.slices_written(SliceState::Live)),
                mean(&|sync| sync.slices_written(SliceState::Changes)),
                mean(&|sync| sync.slices_written(SliceState::Removed)),
            ),
        ));
        all.extend(syncs);
    }
    let most = |count: &dyn Fn(&SyncCost) -> usize| all.iter().map(count).max().unwrap_or(usize::MAX);
    let least = |count: &dyn Fn(&SyncCost) -> usize| all.iter().map(count).min().unwrap_or_default();
    let read = average(&all, &|sync| sync.slices_read(SliceState::Live));
    let written = average(&all, &|sync| sync.slices_written(SliceState::Live));
    let changes = |sync: &SyncCost| sync.slices_written(SliceState::Changes);
    let removed = most(&|sync| sync.slices_written(SliceState::Removed));
    let rosters = most(&SyncCost::roster_writes);
    let met = read <= 1.2
        && written <= 1.2
        && (least(&changes), most(&changes)) == (1, 1)
        && removed <= 1
        && (least(&SyncCost::roster_writes), rosters) == (1, 1)
        && most(&SyncCost::unreferenced_slices) == 0;
    let total = BenchRow::new(
        "1 user changed, added or removed: live slices on average",
        format!(
            "{read:.2} read, {written:.2} written; at most {} change slices, {removed} removed slices, {rosters} roster (n={})",
            most(&changes),
            all.len()
        ),
        "≤ 1.2, ≤ 1.2; 1, ≤ 1, 1",
        met,
    );
    rows.insert(0, total);
    Ok(rows)
}

async fn measure_churn(env: &BenchEnv<'_>, id: &str) -> Result<Vec<BenchRow>> {
    let mut syncs = Vec::new();
    for run in 0..CHURN_RUNS {
        log_progress("1 % of the users are changed, added or removed");
        let users = env.sim.user_ids(id).await?;
        let count = CHANGED + ADDED + REMOVED;
        let edits = (0..count).map(|nth| {
            let edit = match nth % 4 {
                0 | 1 => Edit::Changed,
                2 => Edit::Added,
                _ => Edit::Removed,
            };
            let users = &users;
            async move {
                let word = format!("churn-{run}-{nth}");
                edit.apply_edit(env, id, users, users.len() * nth / count, &word).await
            }
        });
        stream::iter(edits).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        syncs.push(sync_by_request(env, id, &format!("churn-{run}")).await?);
    }
    let publish_times = Samples::from_durations(syncs.iter().map(|sync| sync.publish_time));
    let cpu = Samples::from_values(syncs.iter().map(|sync| sync.api_server_cpu));
    let mean = |count: &dyn Fn(&SyncCost) -> usize| average(&syncs, count);
    Ok(vec![
        BenchRow::without_target(
            "1 % churn (500 changed, 250 added, 250 removed): to Complete",
            format!("{}; API server CPU {:.1} s", publish_times.summary(0, "ms"), cpu.median()),
        ),
        BenchRow::detail(
            "slices, on average",
            format!(
                "{:.0} live read, {:.0} written, of {:.0}; {:.1} change slices, {:.1} removed slices; {:.0} roster",
                mean(&|sync| sync.slices_read(SliceState::Live)),
                mean(&|sync| sync.slices_written(SliceState::Live)),
                mean(&|sync| sync.after.values().filter(|state| **state == SliceState::Live).count()),
                mean(&|sync| sync.slices_written(SliceState::Changes)),
                mean(&|sync| sync.slices_written(SliceState::Removed)),
                mean(&SyncCost::roster_writes),
            ),
        ),
    ])
}

/// Syncs by a request and measures its cost.
async fn sync_by_request(env: &BenchEnv<'_>, id: &str, request: &str) -> Result<SyncCost> {
    let awaited = start_watch(env.api::<UserSyncRequest>(), Some(request), 1, is_complete).await?;
    let before = SyncBaseline::capture(env, id).await?;
    env.create_sync_request(request, id).await?;
    before.measure(awaited).await
}

fn average(syncs: &[SyncCost], count: &dyn Fn(&SyncCost) -> usize) -> f64 {
    syncs.iter().map(count).sum::<usize>() as f64 / syncs.len() as f64
}

/// The state before a sync.
struct SyncBaseline<'a> {
    env: &'a BenchEnv<'a>,
    id: &'a str,
    slices: HashMap<String, SliceState>,
    mark: harness::LogOffset,
    cpu: [Option<Duration>; 2],
    calls: usize,
}

impl<'a> SyncBaseline<'a> {
    async fn capture(env: &'a BenchEnv<'a>, id: &'a str) -> Result<Self> {
        let slices = roster_slices(env, id).await?;
        let calls = env.sim.page_request_times(id).await?.len();
        let cpu = cpu_times(env);
        Ok(Self { env, id, slices, mark: env.audit().end_offset(), cpu, calls })
    }

    /// Waits until the condition is reached and the operator is idle.
    async fn measure(self, awaited: ConditionWatch) -> Result<SyncCost> {
        let Self { env, id, slices: before, mark, cpu: cpu_before, calls } = self;
        awaited.reached_at().await?;
        let end = Timestamp::now();
        env.audit().wait_until_idle(&env.operator_user, Duration::from_secs(1), TIMEOUT).await?;
        let mut used = cpu_before.into_iter().zip(cpu_times(env));
        let mut used = || used.next().and_then(|(from, to)| Some((to? - from?).as_secs_f64())).unwrap_or(f64::NAN);
        let (api_server_cpu, etcd_cpu) = (used(), used());
        let pages = env.sim.page_request_times(id).await?;
        let (Some(first), Some(last)) = (pages.get(calls), pages.last()) else {
            return Err("Box got no list request".into());
        };
        Ok(SyncCost {
            listing_time: Duration::try_from(last.duration_since(*first))?,
            publish_time: Duration::try_from(end.duration_since(*last))?,
            api_server_cpu,
            etcd_cpu,
            entries: env.audit().entries_since(mark).by_user(&env.operator_user).without_resource("leases"),
            before,
            after: roster_slices(env, id).await?,
        })
    }
}

fn cpu_times(env: &BenchEnv<'_>) -> [Option<Duration>; 2] {
    [env.plane.api_server().cpu_time(), env.plane.etcd().cpu_time()]
}

/// The slices that the roster references, with their states.
async fn roster_slices(env: &BenchEnv<'_>, id: &str) -> Result<HashMap<String, SliceState>> {
    let roster = env.api::<UserRoster>().get_opt(&connection_name(id)).await?;
    let slices = roster.into_iter().flat_map(|roster| roster.spec.slices);
    Ok(slices.map(|slice| (slice.name, slice.state)).collect())
}

/// The cost of one sync.
struct SyncCost {
    listing_time: Duration,
    publish_time: Duration,
    api_server_cpu: f64,
    etcd_cpu: f64,
    entries: AuditEntries,
    before: HashMap<String, SliceState>,
    after: HashMap<String, SliceState>,
}

impl SyncCost {
    fn slice_entries<'a>(&'a self, verb: &'a str) -> impl Iterator<Item = &'a AuditEntry> {
        self.entries.iter().filter(move |entry| entry.resource == "userslices" && entry.verb == verb)
    }

    fn slices_read(&self, state: SliceState) -> usize {
        self.slice_entries("get").filter(|entry| self.before.get(&entry.name) == Some(&state)).count()
    }

    fn slices_written(&self, state: SliceState) -> usize {
        self.slice_entries("create").filter(|entry| self.after.get(&entry.name) == Some(&state)).count()
    }

    /// Slices written or read that neither roster references.
    fn unreferenced_slices(&self) -> usize {
        let unknown = |slices: &HashMap<String, SliceState>, verb| {
            self.slice_entries(verb).filter(|entry| !slices.contains_key(&entry.name)).count()
        };
        unknown(&self.before, "get") + unknown(&self.after, "create")
    }

    fn slice_writes(&self) -> usize {
        self.entries.iter().filter(|entry| entry.resource == "userslices" && entry.is_write()).count()
    }

    fn roster_writes(&self) -> usize {
        self.entries.iter().filter(|entry| entry.resource == "userrosters" && entry.is_write()).count()
    }

    fn status_writes(&self, resource: &str) -> usize {
        let matches =
            |entry: &&AuditEntry| entry.resource == resource && entry.subresource == "status" && entry.is_write();
        self.entries.iter().filter(matches).count()
    }

    fn operator_requests(&self) -> usize {
        self.entries.len()
    }
}
