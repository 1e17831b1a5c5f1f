//! listing — the operator's listing, compared with a plain download of the same pages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boxsync::{
    api::SyncProgress,
    box_client::{CaBundle, Client, Credentials, Limits, TokenSource, TokenSubject, Transport, https_transport},
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
    simulator::{CLIENT_ID, CLIENT_SECRET, Simulator, TrackingCodes, http_client},
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 100_000;
const ENTERPRISE: &str = "1";
const ENTERPRISE_WITH_CODES: &str = "2";
const RUNS: usize = 15;
/// Low for Box, where a page of 1,000 users takes about a second.
const LATENCY: Duration = Duration::from_millis(10);
const SLOW_RUNS: usize = 7;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let sim = Simulator::start_process(bench.log_dir(), "listing").await?;
    sim.create_enterprise(ENTERPRISE, USERS, TrackingCodes::None).await?;
    sim.create_enterprise(ENTERPRISE_WITH_CODES, USERS, TrackingCodes::Two).await?;
    let (session, download) = warm_up(&sim, ENTERPRISE).await?;
    let fast = compare_listing(&session, &download, RUNS).await?;
    sim.set_latency(ENTERPRISE, LATENCY).await?;
    let slow = compare_listing(&session, &download, SLOW_RUNS).await?;
    let (session_with_codes, download_with_codes) = warm_up(&sim, ENTERPRISE_WITH_CODES).await?;
    let codes = compare_listing(&session_with_codes, &download_with_codes, RUNS).await?;
    let ListingComparison { listing_times, download_times, median_ratio, pair_ratios } = &fast;
    Ok(vec![
        BenchRow::new(
            "listing 100,000 users, compared with a plain download",
            format!("{median_ratio:.2} × ({listing_times} to {download_times}; {})", pair_ratios.format_range(2)),
            "≤ 1.2 ×",
            *median_ratio <= 1.2,
        ),
        BenchRow::detail(
            &format!("with {} ms latency per page", LATENCY.as_millis()),
            format!(
                "{:.2} × ({} to {}; {})",
                slow.median_ratio,
                slow.listing_times,
                slow.download_times,
                slow.pair_ratios.format_range(2)
            ),
        ),
        BenchRow::detail(
            "with two tracking codes for most users",
            format!(
                "{:.2} × ({} to {}; {}), {:.1} MB",
                codes.median_ratio,
                codes.listing_times,
                codes.download_times,
                codes.pair_ratios.format_range(2),
                download_with_codes.bytes as f64 / 1e6
            ),
        ),
        BenchRow::detail(
            "bytes and throughput of the listing",
            format!(
                "{:.1} MB in {} pages, {:.0} MB/s",
                download.bytes as f64 / 1e6,
                download.pages.len(),
                download.bytes as f64 / 1e3 / listing_times.median()
            ),
        ),
    ])
}

/// A session that has listed the enterprise, and the same requests as a plain download.
async fn warm_up(sim: &Simulator, enterprise: &str) -> Result<(TokenSource, Arc<Download>)> {
    log_progress("warming up: one full listing");
    let transport = || https_transport(env!("CARGO_PKG_VERSION"), &CaBundle::default());
    let recorder = RequestRecorder::default();
    time_listing(&new_token_source(sim, enterprise, recorder.wrap(transport()?))?).await?;
    let download = Arc::new(recorder.to_download()?);
    let session = new_token_source(sim, enterprise, transport()?)?;
    let (_, _) = (time_listing(&session).await?, download.run().await?);
    Ok((session, download))
}

struct ListingComparison {
    listing_times: Samples,
    download_times: Samples,
    /// Ratio of the medians.
    median_ratio: f64,
    /// Ratio of each pair.
    pair_ratios: Samples,
}

/// Alternates both, so that other load on the machine affects both.
async fn compare_listing(session: &TokenSource, download: &Arc<Download>, runs: usize) -> Result<ListingComparison> {
    let mut pairs = Vec::with_capacity(runs);
    for run in 0..runs {
        let pair = if run % 2 == 0 {
            let listed = time_listing(session).await?;
            (listed, download.run().await?)
        } else {
            let downloaded = download.run().await?;
            (time_listing(session).await?, downloaded)
        };
        pairs.push(pair);
    }
    let listing_times = Samples::from_durations(pairs.iter().map(|(listing, _)| *listing));
    let download_times = Samples::from_durations(pairs.iter().map(|(_, bare)| *bare));
    let pair_ratios =
        Samples::from_values(pairs.iter().map(|(listing, plain)| listing.as_secs_f64() / plain.as_secs_f64()));
    Ok(ListingComparison {
        median_ratio: listing_times.median() / download_times.median(),
        listing_times,
        download_times,
        pair_ratios,
    })
}

fn new_token_source(sim: &Simulator, enterprise: &str, transport: Transport) -> Result<TokenSource> {
    let secret = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
    let credentials = Credentials::client_credentials(secret(CLIENT_ID), secret(CLIENT_SECRET))?;
    let base = sim.base_url().parse()?;
    Ok(TokenSource::new(
        transport,
        base,
        credentials,
        TokenSubject::Enterprise(enterprise.to_owned()),
        Arc::new(Timestamp::now),
    ))
}

/// The part of a sync between sign-in and diff: fetches all pages and builds the list.
async fn time_listing(session: &TokenSource) -> Result<Duration> {
    let session = session.clone();
    // In a task, like the reconcile.
    let task = tokio::spawn(async move {
        let client = Client::new(&session, CancellationToken::new());
        let (progress, _receiver) = watch::channel(SyncProgress::default());
        let begin = Instant::now();
        let list = sync::fetch_list(&client, Limits::default(), &progress).await?;
        let took = begin.elapsed();
        match list.len() {
            USERS => Ok(took),
            other => Err(format!("listed {other} users").into()),
        }
    });
    task.await?
}

/// The requests of the listing, page by page, and the number of bytes received.
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

/// Sends the same requests again and discards the bodies.
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
