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
use boxsync::box_client::{Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

/// Longer than a run that is told to stop is waited for.
const RESPONSE_DELAY: Duration = Duration::from_secs(10);

/// The line to Box: one call of it can be cut.
#[derive(Clone, Default)]
pub(crate) struct Network {
    next_fault: Arc<Mutex<Option<NetworkFault>>>,
    /// Resolves when the call has met its end.
    pub(crate) fault_reached: Arc<Notify>,
}

/// When the process that calls is gone, or what else happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// Before Box heard of it.
    BeforeRequest,
    /// When Box had answered.
    AfterResponse,
    /// Not at all: Box's answer is only late.
    DelayedResponse,
}

impl Network {
    /// This happens to the next call to Box's token endpoint.
    pub(crate) fn inject_fault(&self, cut: NetworkFault) {
        *self.next_fault.lock().expect("not poisoned") = Some(cut);
    }

    fn take_fault(&self, path: &str) -> Option<NetworkFault> {
        if path == "/oauth2/token" { self.next_fault.lock().expect("not poisoned").take() } else { None }
    }

    async fn hang(&self) {
        self.fault_reached.notify_one();
        std::future::pending::<()>().await;
    }
}

pub(crate) fn in_process_transport(box_sim: &BoxSim, panic_on_call: &Arc<AtomicBool>, network: &Network) -> Transport {
    let (router, panics, line) = (box_sim.router(), panic_on_call.clone(), network.clone());
    BoxCloneSyncService::new(service_fn(move |request: Request<Bytes>| {
        assert!(!panics.load(Ordering::Relaxed), "a panic that a story asked for");
        let (router, line) = (router.clone(), line.clone());
        async move {
            let fault = line.take_fault(request.uri().path());
            if fault == Some(NetworkFault::BeforeRequest) {
                line.hang().await;
            }
            let never = |e: Infallible| match e {};
            let (head, body) = router.oneshot(request.map(Body::from)).await.unwrap_or_else(never).into_parts();
            let broken = |e: axum::Error| TransportError::Broken { host: "127.0.0.1".to_owned(), cause: e.to_string() };
            let body = body.collect().await.map_err(broken)?.to_bytes();
            match fault {
                None | Some(NetworkFault::BeforeRequest) => {}
                Some(NetworkFault::AfterResponse) => line.hang().await,
                Some(NetworkFault::DelayedResponse) => tokio::time::sleep(RESPONSE_DELAY).await,
            }
            Ok(Response::from_parts(head, body))
        }
    }))
}
