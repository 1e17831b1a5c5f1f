//! listing — the operator's own walk beside a loop that only downloads the same pages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boxsync::{
    api::SyncProgress,
    box_client::{Client, Credentials, Limits, TokenSource, Transport, https_transport},
    sync,
};
use bytes::Bytes;
use http::{Method, Request};
use jiff::Timestamp;
use secrecy::SecretSlice;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::{
    Result,
    env::Bench,
    log_progress,
    simulator::{CLIENT_ID, CLIENT_SECRET, Simulator, http_client},
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 100_000;
const ENTERPRISE: &str = "1";
const RUNS: usize = 15;
/// Still little for Box, where a page of 1,000 users takes a second.
const LATENCY: Duration = Duration::from_millis(10);
const SLOW_RUNS: usize = 7;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let sim = Simulator::start_process(bench.log_dir(), "listing").await?;
    sim.create_enterprise(ENTERPRISE, USERS).await?;
    log_progress("walking once, so that the simulator has every page ready");
    let recorder = RequestRecorder::default();
    time_listing(&new_token_source(&sim, recorder.wrap(https_transport(env!("CARGO_PKG_VERSION"))?))?).await?;
    let download = Arc::new(recorder.to_download()?);
    let session = new_token_source(&sim, https_transport(env!("CARGO_PKG_VERSION"))?)?;
    let (_, _) = (time_listing(&session).await?, download.run().await?);

    let fast = compare_listing(&session, &download, RUNS).await?;
    sim.set_latency(ENTERPRISE, LATENCY).await?;
    let slow = compare_listing(&session, &download, SLOW_RUNS).await?;
    let ListingComparison { listing_times, download_times, median_ratio, pair_ratios } = &fast;
    Ok(vec![
        BenchRow::new(
            "listing 100,000 users, against a bare download",
            format!("{median_ratio:.2} × ({listing_times} to {download_times}; {})", pair_ratios.format_range(2)),
            "≤ 1.2 ×",
            *median_ratio <= 1.2,
        ),
        BenchRow::detail(
            &format!("the same where an answer takes {} ms", LATENCY.as_millis()),
            format!(
                "{:.2} × ({} to {}; {})",
                slow.median_ratio,
                slow.listing_times,
                slow.download_times,
                slow.pair_ratios.format_range(2)
            ),
        ),
        BenchRow::detail(
            "bytes downloaded, and how fast the walk took them in",
            format!(
                "{:.1} MB in {} pages, {:.0} MB/s",
                download.bytes as f64 / 1e6,
                download.pages.len(),
                download.bytes as f64 / 1e3 / listing_times.median()
            ),
        ),
    ])
}

struct ListingComparison {
    listing_times: Samples,
    download_times: Samples,
    /// Of the medians.
    median_ratio: f64,
    /// Of each pair.
    pair_ratios: Samples,
}

/// In turns, so that whatever else the machine does meets both.
async fn compare_listing(session: &TokenSource, download: &Arc<Download>, runs: usize) -> Result<ListingComparison> {
    let mut pairs = Vec::with_capacity(runs);
    for run in 0..runs {
        let pair = if run % 2 == 0 {
            let walked = time_listing(session).await?;
            (walked, download.run().await?)
        } else {
            let downloaded = download.run().await?;
            (time_listing(session).await?, downloaded)
        };
        pairs.push(pair);
    }
    let listing_times = Samples::from_durations(pairs.iter().map(|(walk, _)| *walk));
    let download_times = Samples::from_durations(pairs.iter().map(|(_, bare)| *bare));
    let pair_ratios = Samples::from_values(pairs.iter().map(|(walk, bare)| walk.as_secs_f64() / bare.as_secs_f64()));
    Ok(ListingComparison {
        median_ratio: listing_times.median() / download_times.median(),
        listing_times,
        download_times,
        pair_ratios,
    })
}

fn new_token_source(sim: &Simulator, transport: Transport) -> Result<TokenSource> {
    let secret = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
    let credentials = Credentials::client_credentials(secret(CLIENT_ID), secret(CLIENT_SECRET))?;
    let base = sim.base_url().parse()?;
    Ok(TokenSource::new(transport, base, credentials, ENTERPRISE.to_owned(), Arc::new(Timestamp::now)))
}

/// What a sync does between signing in and comparing: pages, and the packed list.
async fn time_listing(session: &TokenSource) -> Result<Duration> {
    let session = session.clone();
    // As a task, like the reconcile that it belongs to.
    let task = tokio::spawn(async move {
        let visit = Client::new(&session, CancellationToken::new());
        let (progress, _receiver) = watch::channel(SyncProgress::default());
        let begin = Instant::now();
        let list = sync::fetch_list(&visit, Limits::default(), &progress).await?;
        let took = begin.elapsed();
        match list.len() {
            USERS => Ok(took),
            other => Err(format!("the walk found {other} users").into()),
        }
    });
    task.await?
}

/// What the walk asked for, page by page, and how many bytes came back.
#[derive(Clone, Default)]
struct RequestRecorder(Arc<Mutex<Vec<RecordedPage>>>);

type RecordedPage = (Request<()>, usize);

impl RequestRecorder {
    fn wrap(&self, transport: Transport) -> Transport {
        let pages = Arc::clone(&self.0);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let (transport, pages) = (transport.clone(), Arc::clone(&pages));
            let head = request.clone().map(drop);
            async move {
                let response = transport.oneshot(request).await?;
                if head.method() == Method::GET {
                    let length = response.body().len();
                    pages.lock().unwrap_or_else(PoisonError::into_inner).push((head, length));
                }
                Ok(response)
            }
        }))
    }

    fn to_download(&self) -> Result<Download> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = pages.iter().map(|(_, length)| length).sum();
        Ok(Download { client: http_client()?, pages: pages.into_iter().map(|(head, _)| head).collect(), bytes })
    }
}

/// The same requests again, their bodies read and thrown away.
struct Download {
    client: reqwest::Client,
    pages: Vec<Request<()>>,
    bytes: usize,
}

impl Download {
    async fn run(self: &Arc<Self>) -> Result<Duration> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            let begin = Instant::now();
            let mut bytes = 0;
            for page in &this.pages {
                let request = reqwest::Request::try_from(page.clone().map(|()| Bytes::new()))?;
                bytes += this.client.execute(request).await?.bytes().await?.len();
            }
            let took = begin.elapsed();
            if bytes == this.bytes { Ok(took) } else { Err(format!("{bytes} bytes instead of {}", this.bytes).into()) }
        });
        task.await?
    }
}
