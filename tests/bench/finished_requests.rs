//! finished_requests — memory of the operator beside 35,000 finished requests, all with a TTL: of others it keeps nothing.

use std::time::Duration;

use boxsync::api::UserSyncRequest;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    Result,
    env::{Bench, BenchEnv, CONCURRENCY, connection_name, kib_to_mb},
    log_progress,
    table::BenchRow,
};

const REQUESTS: usize = 35_000;
/// The limit in the chart's values, in MB.
const MAX_MB: f64 = 256.0 * 1.048_576;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("finished requests").await?;
    let ids = env.create_enterprises(1, 10).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let mut operator = env.start_operator()?;
    env.sync_enterprise(id).await?;
    env.wait_until_idle().await?;
    let without = kib_to_mb(operator.process().rss_kib())?;
    log_progress("finishing 35,000 requests while the operator watches");
    let all = stream::iter(0..REQUESTS).map(|number| create_finished(&env, id, number));
    all.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    env.wait_until_idle().await?;
    let watched = kib_to_mb(operator.process().peak_rss_kib())?;
    operator.terminate(Duration::from_secs(10)).await?;
    operator.restart()?;
    env.time_request("after-the-restart", id).await?;
    env.wait_until_idle().await?;
    let (restarted, idle) = (kib_to_mb(operator.process().peak_rss_kib())?, kib_to_mb(operator.process().rss_kib())?);
    let peak = watched.max(restarted);
    Ok(vec![
        BenchRow::new(
            "peak memory beside 35,000 finished requests with a TTL",
            format!("{peak:.1} MB (n=1)"),
            &format!("≤ {MAX_MB:.0} MB, the chart's limit"),
            peak <= MAX_MB,
        ),
        BenchRow::detail(
            "while they finish; at a restart; idle after it; without them",
            format!("{watched:.1} MB; {restarted:.1} MB; {idle:.1} MB; {without:.1} MB"),
        ),
    ])
}

async fn create_finished(env: &BenchEnv<'_>, enterprise: &str, number: usize) -> Result<()> {
    let api = env.api::<UserSyncRequest>();
    let request: UserSyncRequest = serde_json::from_value(json!({
        "metadata": { "name": format!("finished-{number}"), "labels": { "app.kubernetes.io/part-of": "bench" } },
        "spec": { "connectionRef": { "name": connection_name(enterprise) }, "ttlSecondsAfterFinished": 604_800 },
    }))?;
    let request = api.create(&PostParams::default(), &request).await?;
    let now = jiff::Timestamp::now().to_string();
    let message = "The list fetched at 2026-11-22T12:00:00Z has 10 users, revision 1. It was published now: nothing changed. To sync again, create a new request.";
    let status = json!({ "status": {
        "phase": "Succeeded", "startTime": now, "completionTime": now, "attempts": 1, "observedGeneration": 1,
        "users": { "total": 10, "active": 10, "inactive": 0, "restricted": 0, "other": 0, "app": 0 },
        "added": 0, "updated": 0, "removed": 0, "revision": 1,
        "conditions": [{ "type": "Complete", "status": "True", "reason": "Synced", "message": message, "lastTransitionTime": now }],
    } });
    api.patch_status(&request.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await?;
    Ok(())
}
