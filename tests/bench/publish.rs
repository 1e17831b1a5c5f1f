//! publish — what publishing 100,000 users costs: for the first time, again unchanged, with one user changed, added or
//! removed, and with one in a hundred. Requests are counted in the API server's audit log; what a slice holds is told
//! by the roster that names it.

use std::collections::HashMap;
use std::time::Duration;

use boxsync::api::{BoxConnection, SliceState, UserRoster, UserSyncRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use harness::{Entries, Entry};
use jiff::Timestamp;

use crate::ground::{AT_ONCE, Awaited, Bench, Ground, LIMIT, SECRET, awaiting, complete, connection, ready};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

const USERS: usize = 100_000;
const FIRST: usize = 5;
const UNCHANGED: usize = 5;
/// Of each kind. Where a user is the last of a slice, two slices change: so often, to see the average.
const ONE: usize = 12;
const CHURN: usize = 3;
const CHANGED: usize = 500;
const ADDED: usize = 250;
const REMOVED: usize = 250;

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("publish").await?;
    let ids = ground.enterprises(FIRST, USERS).await?;
    let _operator = ground.operator_with("--min-sync-gap", "0s")?;
    ground.audit().quiet(&ground.user, Duration::from_secs(1), LIMIT).await?;
    let mut rows = first(&ground, &ids).await?;
    let id = ids.first().ok_or("no enterprise")?;
    rows.extend(unchanged(&ground, id).await?);
    rows.extend(one(&ground, id).await?);
    rows.extend(churn(&ground, id).await?);
    Ok(rows)
}

async fn first(ground: &Ground<'_>, ids: &[String]) -> Result<Vec<Row>> {
    let mut syncs = Vec::new();
    for id in ids {
        say("publishing 100,000 users for the first time");
        let awaited = awaiting(ground.api::<BoxConnection>(), Some(&connection(id)), 1, ready).await?;
        let before = Before::look(ground, id).await?;
        ground.connect(id, SECRET).await?;
        syncs.push(before.until(awaited).await?);
    }
    let beyond = Sample::of_times(syncs.iter().map(|sync| sync.beyond));
    let listing = Sample::of_times(syncs.iter().map(|sync| sync.listing));
    let cpu = Sample::of(syncs.iter().map(|sync| sync.api_server));
    let etcd = Sample::of(syncs.iter().map(|sync| sync.etcd));
    let own = Sample::of(syncs.iter().map(|sync| sync.operator_asks() as f64));
    let slices = Sample::of(syncs.iter().map(|sync| sync.written(SliceState::Live) as f64));
    Ok(vec![
        Row::new(
            "first publish of 100,000 users: from Box's last page to Ready",
            format!("{beyond} ({})", beyond.spread(0)),
            "≤ 3 s",
            beyond.median() <= 3e3,
        ),
        Row::new(
            "CPU of the API server for it, the listing's time included",
            format!("{:.1} s ({})", cpu.median(), cpu.spread(1)),
            "≤ 3 s",
            cpu.median() <= 3.0,
        ),
        Row::beside("the listing before it", format!("{listing} ({})", listing.spread(0))),
        Row::beside(
            "what it took",
            format!(
                "{:.0} slices, {:.0} requests of the operator in all; etcd {:.1} s",
                slices.median(),
                own.median(),
                etcd.median()
            ),
        ),
    ])
}

async fn unchanged(ground: &Ground<'_>, id: &str) -> Result<Vec<Row>> {
    let mut syncs = Vec::new();
    for run in 0..UNCHANGED {
        syncs.push(asked(ground, id, &format!("unchanged-{run}")).await?);
    }
    let most = |count: fn(&Sync) -> usize| syncs.iter().map(count).max().unwrap_or(usize::MAX);
    let reads = most(|sync| sync.slices("get").count());
    let writes = most(|sync| sync.slice_writes() + sync.roster_writes());
    let statuses = most(|sync| sync.statuses("boxconnections"));
    let requests = most(|sync| sync.statuses("usersyncrequests"));
    let others = most(Sync::operator_asks);
    let beyond = Sample::of_times(syncs.iter().map(|sync| sync.beyond));
    Ok(vec![
        Row::new(
            &format!("unchanged resync of 100,000 users: the most of {UNCHANGED}"),
            format!("{reads} slice reads, {writes} slice or roster writes, {statuses} status writes"),
            "0, 0, 1",
            reads == 0 && writes == 0 && statuses == 1,
        ),
        Row::beside(
            "writes of the request's own status, and all requests of the operator",
            format!("{requests}, {others}"),
        ),
        Row::beside("from Box's last page to Complete", format!("{beyond} ({})", beyond.spread(0))),
    ])
}

/// One user among all.
#[derive(Clone, Copy)]
enum Edit {
    Changed,
    Added,
    Removed,
}

impl Edit {
    const ALL: [Self; 3] = [Self::Changed, Self::Added, Self::Removed];

    const fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }

    /// Does it to the user there, or to one beside.
    async fn done(self, ground: &Ground<'_>, id: &str, users: &[u64], at: usize, word: &str) -> Result<()> {
        let user = *users.get(at).ok_or("no such user")?;
        match self {
            Self::Changed => ground.sim.title(id, user, word).await,
            Self::Removed => ground.sim.remove(id, user).await,
            Self::Added => {
                let next = *users.get(at + 1).ok_or("nobody behind the last user")?;
                ground.sim.add(id, u64::midpoint(user, next), word).await
            }
        }
    }
}

async fn one(ground: &Ground<'_>, id: &str) -> Result<Vec<Row>> {
    let users = ground.sim.users(id).await?;
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for (kind, edit) in Edit::ALL.into_iter().enumerate() {
        say(&format!("one user {}, {ONE} times", edit.word()));
        let mut syncs = Vec::new();
        for run in 0..ONE {
            // All over the list, and nobody twice.
            let at = users.len() * (run * Edit::ALL.len() + kind) / (ONE * Edit::ALL.len());
            let word = format!("{}-{run}", edit.word());
            edit.done(ground, id, &users, at, &word).await?;
            syncs.push(asked(ground, id, &word).await?);
        }
        let mean = |count: &dyn Fn(&Sync) -> usize| average(&syncs, count);
        let beyond = Sample::of_times(syncs.iter().map(|sync| sync.beyond));
        rows.push(Row::beside(
            &format!("one {}, on average", edit.word()),
            format!(
                "{:.2} live read, {:.2} written; {:.2} of changes, {:.2} of removed; {beyond} to Complete",
                mean(&|sync| sync.read(SliceState::Live)),
                mean(&|sync| sync.written(SliceState::Live)),
                mean(&|sync| sync.written(SliceState::Changes)),
                mean(&|sync| sync.written(SliceState::Removed)),
            ),
        ));
        all.extend(syncs);
    }
    let most = |count: &dyn Fn(&Sync) -> usize| all.iter().map(count).max().unwrap_or(usize::MAX);
    let least = |count: &dyn Fn(&Sync) -> usize| all.iter().map(count).min().unwrap_or_default();
    let read = average(&all, &|sync| sync.read(SliceState::Live));
    let written = average(&all, &|sync| sync.written(SliceState::Live));
    let changes = |sync: &Sync| sync.written(SliceState::Changes);
    let removed = most(&|sync| sync.written(SliceState::Removed));
    let rosters = most(&Sync::roster_writes);
    let met = read <= 1.2
        && written <= 1.2
        && (least(&changes), most(&changes)) == (1, 1)
        && removed <= 1
        && (least(&Sync::roster_writes), rosters) == (1, 1)
        && most(&Sync::unnamed) == 0;
    let total = Row::new(
        "1 user changed, added or removed: live slices on average",
        format!(
            "{read:.2} read, {written:.2} written; at most {} of changes, {removed} of removed, {rosters} roster (n={})",
            most(&changes),
            all.len()
        ),
        "≤ 1.2, ≤ 1.2; 1, ≤ 1, 1",
        met,
    );
    rows.insert(0, total);
    Ok(rows)
}

async fn churn(ground: &Ground<'_>, id: &str) -> Result<Vec<Row>> {
    let mut syncs = Vec::new();
    for run in 0..CHURN {
        say("1 % of the users are changed, added or removed");
        let users = ground.sim.users(id).await?;
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
                edit.done(ground, id, users, users.len() * nth / count, &word).await
            }
        });
        stream::iter(edits).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        syncs.push(asked(ground, id, &format!("churn-{run}")).await?);
    }
    let beyond = Sample::of_times(syncs.iter().map(|sync| sync.beyond));
    let cpu = Sample::of(syncs.iter().map(|sync| sync.api_server));
    let mean = |count: &dyn Fn(&Sync) -> usize| average(&syncs, count);
    Ok(vec![
        Row::seen(
            "1 % churn (500 changed, 250 added, 250 removed): to Complete",
            format!("{beyond} ({}); CPU of the API server {:.1} s", beyond.spread(0), cpu.median()),
        ),
        Row::beside(
            "slices of it, on average",
            format!(
                "{:.0} live read, {:.0} written, of {:.0}; {:.1} of changes, {:.1} of removed; {:.0} roster",
                mean(&|sync| sync.read(SliceState::Live)),
                mean(&|sync| sync.written(SliceState::Live)),
                mean(&|sync| sync.after.values().filter(|state| **state == SliceState::Live).count()),
                mean(&|sync| sync.written(SliceState::Changes)),
                mean(&|sync| sync.written(SliceState::Removed)),
                mean(&Sync::roster_writes),
            ),
        ),
    ])
}

/// Syncs by a request, and looks what that took.
async fn asked(ground: &Ground<'_>, id: &str, request: &str) -> Result<Sync> {
    let awaited = awaiting(ground.api::<UserSyncRequest>(), Some(request), 1, complete).await?;
    let before = Before::look(ground, id).await?;
    ground.request(request, id).await?;
    before.until(awaited).await
}

fn average(syncs: &[Sync], count: &dyn Fn(&Sync) -> usize) -> f64 {
    syncs.iter().map(count).sum::<usize>() as f64 / syncs.len() as f64
}

/// What is known before a sync.
struct Before<'a> {
    ground: &'a Ground<'a>,
    id: &'a str,
    slices: HashMap<String, SliceState>,
    mark: harness::Mark,
    cpu: [Option<Duration>; 2],
    calls: usize,
}

impl<'a> Before<'a> {
    async fn look(ground: &'a Ground<'a>, id: &'a str) -> Result<Self> {
        let slices = slices(ground, id).await?;
        let calls = ground.sim.pages(id).await?.len();
        let cpu = cpu(ground);
        Ok(Self { ground, id, slices, mark: ground.audit().mark(), cpu, calls })
    }

    /// Until it is as awaited, and the operator has come to rest.
    async fn until(self, awaited: Awaited) -> Result<Sync> {
        let Self { ground, id, slices: before, mark, cpu: cpu_before, calls } = self;
        awaited.seen().await?;
        let end = Timestamp::now();
        ground.audit().quiet(&ground.user, Duration::from_secs(1), LIMIT).await?;
        let mut used = cpu_before.into_iter().zip(cpu(ground));
        let mut used = || used.next().and_then(|(from, to)| Some((to? - from?).as_secs_f64())).unwrap_or(f64::NAN);
        let (api_server, etcd) = (used(), used());
        let pages = ground.sim.pages(id).await?;
        let (Some(first), Some(last)) = (pages.get(calls), pages.last()) else {
            return Err("Box was not asked for a page".into());
        };
        Ok(Sync {
            listing: Duration::try_from(last.duration_since(*first))?,
            beyond: Duration::try_from(end.duration_since(*last))?,
            api_server,
            etcd,
            entries: ground.audit().since(mark).by(&ground.user).besides("leases"),
            before,
            after: slices(ground, id).await?,
        })
    }
}

fn cpu(ground: &Ground<'_>) -> [Option<Duration>; 2] {
    [ground.plane.api_server().cpu(), ground.plane.etcd().cpu()]
}

/// The slices that the roster names, and what they hold.
async fn slices(ground: &Ground<'_>, id: &str) -> Result<HashMap<String, SliceState>> {
    let roster = ground.api::<UserRoster>().get_opt(&connection(id)).await?;
    let slices = roster.into_iter().flat_map(|roster| roster.spec.slices);
    Ok(slices.map(|slice| (slice.name, slice.state)).collect())
}

/// What one sync took.
struct Sync {
    listing: Duration,
    beyond: Duration,
    api_server: f64,
    etcd: f64,
    entries: Entries,
    before: HashMap<String, SliceState>,
    after: HashMap<String, SliceState>,
}

impl Sync {
    fn slices<'a>(&'a self, verb: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.resource == "userslices" && entry.verb == verb)
    }

    fn read(&self, state: SliceState) -> usize {
        self.slices("get").filter(|entry| self.before.get(&entry.name) == Some(&state)).count()
    }

    fn written(&self, state: SliceState) -> usize {
        self.slices("create").filter(|entry| self.after.get(&entry.name) == Some(&state)).count()
    }

    /// Slices that were written or read and that neither roster names.
    fn unnamed(&self) -> usize {
        let unknown = |named: &HashMap<String, SliceState>, verb| {
            self.slices(verb).filter(|entry| !named.contains_key(&entry.name)).count()
        };
        unknown(&self.before, "get") + unknown(&self.after, "create")
    }

    fn slice_writes(&self) -> usize {
        self.entries.iter().filter(|entry| entry.resource == "userslices" && entry.is_write()).count()
    }

    fn roster_writes(&self) -> usize {
        self.entries.iter().filter(|entry| entry.resource == "userrosters" && entry.is_write()).count()
    }

    fn statuses(&self, resource: &str) -> usize {
        let of = |entry: &&Entry| entry.resource == resource && entry.subresource == "status" && entry.is_write();
        self.entries.iter().filter(of).count()
    }

    fn operator_asks(&self) -> usize {
        self.entries.len()
    }
}
