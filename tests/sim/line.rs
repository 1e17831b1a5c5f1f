//! The line to Box, in this process: what goes over it can panic, or be cut.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use box_sim::BoxSim;
use boxsync::boxapi::{Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

/// Longer than a run that is told to stop is waited for.
const LATE: Duration = Duration::from_secs(10);

/// The line to Box: one call of it can be cut.
#[derive(Clone, Default)]
pub(crate) struct Line {
    cut: Arc<Mutex<Option<Cut>>>,
    /// Resolves when the call has met its end.
    pub(crate) met: Arc<Notify>,
}

/// When the process that calls is gone, or what else happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before Box heard of it.
    Before,
    /// When Box had answered.
    After,
    /// Not at all: Box's answer is only late.
    Late,
}

impl Line {
    /// This happens to the next call to Box's token endpoint.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.cut.lock().expect("not poisoned") = Some(cut);
    }

    fn meets(&self, path: &str) -> Option<Cut> {
        if path == "/oauth2/token" { self.cut.lock().expect("not poisoned").take() } else { None }
    }

    async fn hang(&self) {
        self.met.notify_one();
        std::future::pending::<()>().await;
    }
}

pub(crate) fn in_process(boxes: &BoxSim, panics: &Arc<AtomicBool>, line: &Line) -> Transport {
    let (router, panics, line) = (boxes.router(), panics.clone(), line.clone());
    BoxCloneSyncService::new(service_fn(move |request: Request<Bytes>| {
        assert!(!panics.load(Ordering::Relaxed), "a panic that a story asked for");
        let (router, line) = (router.clone(), line.clone());
        async move {
            let met = line.meets(request.uri().path());
            if met == Some(Cut::Before) {
                line.hang().await;
            }
            let never = |e: Infallible| match e {};
            let (head, body) = router.oneshot(request.map(Body::from)).await.unwrap_or_else(never).into_parts();
            let broken = |e: axum::Error| TransportError::Broken { host: "127.0.0.1".to_owned(), why: e.to_string() };
            let body = body.collect().await.map_err(broken)?.to_bytes();
            match met {
                None | Some(Cut::Before) => {}
                Some(Cut::After) => line.hang().await,
                Some(Cut::Late) => tokio::time::sleep(LATE).await,
            }
            Ok(Response::from_parts(head, body))
        }
    }))
}
