//! listing — the operator's own walk beside a loop that only downloads the same pages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boxsync::api::Progress;
use boxsync::boxapi::{Caps, Credentials, Session, Transport, https};
use boxsync::sync;
use bytes::Bytes;
use http::{Method, Request};
use jiff::Timestamp;
use secrecy::SecretSlice;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::ground::Bench;
use crate::sample::Sample;
use crate::simulator::{CLIENT_ID, CLIENT_SECRET, Simulator, client};
use crate::table::Row;
use crate::{Result, say};

const USERS: usize = 100_000;
const ENTERPRISE: &str = "1";
const RUNS: usize = 15;
/// Still little for Box, where a page of 1,000 users takes a second.
const LATENCY: Duration = Duration::from_millis(10);
const SLOW_RUNS: usize = 7;

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let sim = Simulator::start(bench.folder(), "listing").await?;
    sim.enterprise(ENTERPRISE, USERS).await?;
    say("walking once, so that the simulator has every page ready");
    let recorder = Recorder::default();
    walk(&session(&sim, recorder.over(https(env!("CARGO_PKG_VERSION"))?))?).await?;
    let download = Arc::new(recorder.download()?);
    let session = session(&sim, https(env!("CARGO_PKG_VERSION"))?)?;
    let (_, _) = (walk(&session).await?, download.run().await?);

    let fast = compare(&session, &download, RUNS).await?;
    sim.latency(ENTERPRISE, LATENCY).await?;
    let slow = compare(&session, &download, SLOW_RUNS).await?;
    let Compared { walks, bares, ratio, ratios } = &fast;
    Ok(vec![
        Row::new(
            "listing 100,000 users, against a bare download",
            format!("{ratio:.2} × ({walks} to {bares}; {})", ratios.spread(2)),
            "≤ 1.2 ×",
            *ratio <= 1.2,
        ),
        Row::beside(
            &format!("the same where an answer takes {} ms", LATENCY.as_millis()),
            format!("{:.2} × ({} to {}; {})", slow.ratio, slow.walks, slow.bares, slow.ratios.spread(2)),
        ),
        Row::beside(
            "bytes downloaded, and how fast the walk took them in",
            format!(
                "{:.1} MB in {} pages, {:.0} MB/s",
                download.bytes as f64 / 1e6,
                download.pages.len(),
                download.bytes as f64 / 1e3 / walks.median()
            ),
        ),
    ])
}

struct Compared {
    walks: Sample,
    bares: Sample,
    /// Of the medians.
    ratio: f64,
    /// Of each pair.
    ratios: Sample,
}

/// In turns, so that whatever else the machine does meets both.
async fn compare(session: &Session, download: &Arc<Download>, runs: usize) -> Result<Compared> {
    let mut pairs = Vec::with_capacity(runs);
    for run in 0..runs {
        let pair = if run % 2 == 0 {
            let walked = walk(session).await?;
            (walked, download.run().await?)
        } else {
            let downloaded = download.run().await?;
            (walk(session).await?, downloaded)
        };
        pairs.push(pair);
    }
    let walks = Sample::of_times(pairs.iter().map(|(walk, _)| *walk));
    let bares = Sample::of_times(pairs.iter().map(|(_, bare)| *bare));
    let ratios = Sample::of(pairs.iter().map(|(walk, bare)| walk.as_secs_f64() / bare.as_secs_f64()));
    Ok(Compared { ratio: walks.median() / bares.median(), walks, bares, ratios })
}

fn session(sim: &Simulator, transport: Transport) -> Result<Session> {
    let secret = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
    let credentials = Credentials::client_credentials(secret(CLIENT_ID), secret(CLIENT_SECRET))?;
    let base = sim.url().parse()?;
    Ok(Session::new(transport, base, credentials, ENTERPRISE.to_owned(), Arc::new(Timestamp::now)))
}

/// What a sync does between signing in and comparing: pages, and the packed list.
async fn walk(session: &Session) -> Result<Duration> {
    let session = session.clone();
    // As a task, like the reconcile that it belongs to.
    let task = tokio::spawn(async move {
        let visit = session.visit(CancellationToken::new());
        let (progress, _seen) = watch::channel(Progress::default());
        let begin = Instant::now();
        let list = sync::walk(&visit, Caps::default(), &progress).await?;
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
struct Recorder(Arc<Mutex<Vec<Asked>>>);

type Asked = (Request<()>, usize);

impl Recorder {
    fn over(&self, transport: Transport) -> Transport {
        let pages = Arc::clone(&self.0);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let (transport, pages) = (transport.clone(), Arc::clone(&pages));
            let head = request.clone().map(drop);
            async move {
                let answer = transport.oneshot(request).await?;
                if head.method() == Method::GET {
                    let length = answer.body().len();
                    pages.lock().unwrap_or_else(PoisonError::into_inner).push((head, length));
                }
                Ok(answer)
            }
        }))
    }

    fn download(&self) -> Result<Download> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = pages.iter().map(|(_, length)| length).sum();
        Ok(Download { client: client()?, pages: pages.into_iter().map(|(head, _)| head).collect(), bytes })
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
