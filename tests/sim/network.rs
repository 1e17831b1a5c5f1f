//! The in-process transport to the simulated Box: it injects faults, and knows who waits for Box.

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
use tokio::{sync::Notify, time::Instant};
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

/// Longer than the operator waits for a run that it stops.
const RESPONSE_DELAY: Duration = Duration::from_secs(10);
/// The longest that the operator waits between two attempts of one call, as Box asks for.
const RETRY_LIMIT: Duration = Duration::from_secs(60);

/// Injects a fault into one call to Box.
#[derive(Clone, Default)]
pub(crate) struct Network {
    next_fault: Arc<Mutex<Option<NetworkFault>>>,
    /// Notified when the call hangs.
    pub(crate) fault_reached: Arc<Notify>,
    work: Arc<Mutex<BoxWork>>,
}

/// The calls to Box that have not ended, and until when those that failed may be tried again.
#[derive(Default)]
struct BoxWork {
    calls: usize,
    retries: Vec<Instant>,
}

/// A call to Box, until it ends or the operator gives it up.
struct BoxCall {
    work: Arc<Mutex<BoxWork>>,
    succeeded: bool,
}

impl Drop for BoxCall {
    fn drop(&mut self) {
        let mut work = self.work.lock().expect("not poisoned");
        work.calls -= 1;
        if !self.succeeded {
            work.retries.push(Instant::now() + RETRY_LIMIT);
        }
    }
}

/// What happens to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// It hangs before Box receives it.
    BeforeRequest,
    /// It hangs after Box has handled it.
    AfterResponse,
    /// Box's response is late.
    DelayedResponse,
}

impl Network {
    /// Injects a fault into the next call to Box's token endpoint.
    pub(crate) fn inject_fault(&self, fault: NetworkFault) {
        *self.next_fault.lock().expect("not poisoned") = Some(fault);
    }

    /// How many callers wait for Box now, or at least as many: each failed call counts until its retry.
    pub(crate) fn waiting_for_box(&self) -> usize {
        let mut work = self.work.lock().expect("not poisoned");
        work.retries.retain(|until| *until >= Instant::now());
        work.calls + work.retries.len()
    }

    fn begin_call(&self) -> BoxCall {
        self.work.lock().expect("not poisoned").calls += 1;
        BoxCall { work: self.work.clone(), succeeded: false }
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
    let (router, panics, network) = (box_sim.router(), panic_on_call.clone(), network.clone());
    BoxCloneSyncService::new(service_fn(move |request: Request<Bytes>| {
        assert!(!panics.load(Ordering::Relaxed), "panic injected by a test");
        let (router, network) = (router.clone(), network.clone());
        async move {
            let mut call = network.begin_call();
            let fault = network.take_fault(request.uri().path());
            if fault == Some(NetworkFault::BeforeRequest) {
                network.hang().await;
            }
            let never = |e: Infallible| match e {};
            let (head, body) = router.oneshot(request.map(Body::from)).await.unwrap_or_else(never).into_parts();
            let broken = |e: axum::Error| TransportError::Broken { host: "127.0.0.1".to_owned(), cause: e.to_string() };
            let body = body.collect().await.map_err(broken)?.to_bytes();
            match fault {
                None | Some(NetworkFault::BeforeRequest) => {}
                Some(NetworkFault::AfterResponse) => network.hang().await,
                Some(NetworkFault::DelayedResponse) => tokio::time::sleep(RESPONSE_DELAY).await,
            }
            call.succeeded = head.status.is_success();
            Ok(Response::from_parts(head, body))
        }
    }))
}
