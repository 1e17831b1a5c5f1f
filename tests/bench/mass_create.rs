//! mass_create — 300 connections created at once, and the API requests of their first syncs.

use std::time::{Duration, Instant};

use boxsync::api::BoxConnection;

use crate::{
    Result,
    env::{Bench, is_ready, kib_to_mb, start_watch},
    log_progress,
    table::BenchRow,
};

const CONNECTIONS: usize = 300;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("many").await?;
    let ids = env.create_enterprises(CONNECTIONS, 1_000).await?;
    let operator = env.start_operator()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all_ready = start_watch(env.api::<BoxConnection>(), None, CONNECTIONS, is_ready).await?;
    let cpu = || [env.plane.api_server().cpu_time(), env.plane.etcd().cpu_time(), operator.process().cpu_time()];
    let (before, mark, begin) = (cpu(), env.audit().end_offset(), Instant::now());
    log_progress("creating 300 connections");
    env.connect_enterprises(&ids).await?;
    let created = begin.elapsed();
    let took = all_ready.reached_at().await? - begin;
    env.audit().wait_until_idle(&env.operator_user, Duration::from_secs(1), Duration::from_secs(60)).await?;
    let entries = env.audit().entries_since(mark).by_user(&env.operator_user);
    let mut used = before.into_iter().zip(cpu()).map(|(before, after)| Some((after? - before?).as_secs_f64()));
    let [api_server, etcd, own] = [(); 3].map(|()| used.next().flatten().unwrap_or(f64::NAN));
    let events = entries.clone().with_resource("events").len();
    Ok(vec![
        BenchRow::new(
            "300 new connections with 1,000 users: until all are Ready",
            format!("{:.1} s (n=1; creating them took {:.1} s)", took.as_secs_f64(), created.as_secs_f64()),
            "≤ 60 s",
            took <= Duration::from_secs(60),
        ),
        BenchRow::detail(
            "CPU meanwhile",
            format!("API server {api_server:.1} s, etcd {etcd:.1} s, operator {own:.1} s"),
        ),
        BenchRow::detail(
            "API requests of the operator meanwhile",
            format!(
                "{} ({events} for events); peak memory {:.1} MB",
                entries.len(),
                kib_to_mb(operator.process().peak_rss_kib())?
            ),
        ),
    ])
}
