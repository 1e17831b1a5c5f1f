//! many — 300 connections that are created at once, and what their first syncs cost the API server.

use std::time::{Duration, Instant};

use boxsync::api::BoxConnection;

use crate::ground::{Bench, awaiting, mb, ready};
use crate::table::Row;
use crate::{Result, say};

const CONNECTIONS: usize = 300;

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("many").await?;
    let ids = ground.enterprises(CONNECTIONS, 1_000).await?;
    let operator = ground.operator()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all_ready = awaiting(ground.api::<BoxConnection>(), None, CONNECTIONS, ready).await?;
    let cpu = || [ground.plane.api_server().cpu(), ground.plane.etcd().cpu(), operator.process().cpu()];
    let (before, mark, begin) = (cpu(), ground.audit().mark(), Instant::now());
    say("creating 300 connections");
    ground.connect_all(&ids).await?;
    let created = begin.elapsed();
    let took = all_ready.seen().await? - begin;
    ground.audit().quiet(&ground.user, Duration::from_secs(1), Duration::from_secs(60)).await?;
    let entries = ground.audit().since(mark).by(&ground.user);
    let mut used = before.into_iter().zip(cpu()).map(|(before, after)| Some((after? - before?).as_secs_f64()));
    let [api_server, etcd, own] = [(); 3].map(|()| used.next().flatten().unwrap_or(f64::NAN));
    let events = entries.clone().of("events").len();
    Ok(vec![
        Row::new(
            "300 new connections of 1,000 users: until all are Ready",
            format!("{:.1} s (n=1; creating them took {:.1} s)", took.as_secs_f64(), created.as_secs_f64()),
            "≤ 60 s",
            took <= Duration::from_secs(60),
        ),
        Row::beside("CPU meanwhile", format!("API server {api_server:.1} s, etcd {etcd:.1} s, operator {own:.1} s")),
        Row::beside(
            "requests of the operator meanwhile",
            format!(
                "{} ({events} for events); peak memory {:.1} MB",
                entries.len(),
                mb(operator.process().peak_rss_kib())?
            ),
        ),
    ])
}
