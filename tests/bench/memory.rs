//! memory — the most resident memory that the operator's process ever had, when it has fetched and published one
//! large list.

use boxsync::api::BoxConnection;

use crate::ground::{Bench, SECRET, awaiting, connection, mb, ready};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = peak(bench, "100,000", 100_000, 3, 40.0).await?;
    rows.extend(peak(bench, "1,000,000", 1_000_000, 3, 160.0).await?);
    Ok(rows)
}

async fn peak(bench: &Bench, words: &str, users: usize, runs: usize, goal: f64) -> Result<Vec<Row>> {
    let (mut peaks, mut rests) = (Vec::new(), Vec::new());
    let ground = bench.ground(&format!("memory {users}")).await?;
    let ids = ground.enterprises(runs, users).await?;
    for id in &ids {
        say(&format!("syncing {words} users"));
        // A process of its own: the peak is one list's.
        let operator = ground.operator()?;
        let synced = awaiting(ground.api::<BoxConnection>(), Some(&connection(id)), 1, ready).await?;
        ground.connect(id, SECRET).await?;
        synced.seen().await?;
        ground.rest().await?;
        peaks.push(mb(operator.process().peak_rss_kib())?);
        rests.push(mb(operator.process().rss_kib())?);
    }
    let (peaks, rests) = (Sample::of(peaks), Sample::of(rests));
    Ok(vec![
        Row::new(
            &format!("peak memory, {words} users fetched and published"),
            format!("{:.1} MB ({})", peaks.median(), peaks.spread(1)),
            &format!("≤ {goal:.0} MB"),
            peaks.median() <= goal,
        ),
        Row::beside("memory at rest after it", format!("{:.1} MB ({})", rests.median(), rests.spread(1))),
    ])
}
