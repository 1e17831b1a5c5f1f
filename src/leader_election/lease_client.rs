//! Reads and writes the Lease, with optimistic locking.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::timeout;

use super::{ElectionConfig, election::ElectionTiming};
use crate::runtime::Clock;

/// Name of the Lease, and field manager of its fields.
pub const LEASE_NAME: &str = "boxsync-operator";

#[derive(Clone)]
pub(super) struct LeaseClient {
    leases: Api<Lease>,
    pub(super) namespace: String,
    pub(super) identity: String,
    pub(super) timing: ElectionTiming,
    /// For the timestamps in the Lease, which no decision depends on.
    pub(super) clock: Clock,
}

pub(super) enum LeaseError {
    /// The Lease was changed after it was read.
    Conflict,
    /// A write may or may not have been applied.
    OutcomeUnknown(String),
}

impl LeaseClient {
    pub(super) fn new(client: Client, config: ElectionConfig, clock: Clock) -> Self {
        let ElectionConfig { namespace, identity, timing } = config;
        Self { leases: Api::namespaced(client, &namespace), namespace, identity, timing, clock }
    }

    pub(super) async fn get_lease(&self) -> Result<Option<Lease>, LeaseError> {
        self.with_timeout(self.leases.get_opt(LEASE_NAME)).await
    }

    /// Replaces `old`, or creates the Lease if `old` is `None`.
    pub(super) async fn write_lease(&self, old: Option<Lease>, spec: LeaseSpec) -> Result<Lease, LeaseError> {
        let params = PostParams { field_manager: Some(LEASE_NAME.to_owned()), ..PostParams::default() };
        match old {
            Some(old) => {
                self.with_timeout(self.leases.replace(LEASE_NAME, &params, &Lease { spec: Some(spec), ..old })).await
            }
            None => {
                let labels = [("app.kubernetes.io/name".to_owned(), LEASE_NAME.to_owned())].into();
                let metadata =
                    ObjectMeta { name: Some(LEASE_NAME.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
                self.with_timeout(self.leases.create(&params, &Lease { metadata, spec: Some(spec) })).await
            }
        }
    }

    async fn with_timeout<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
        let limit = self.timing.request_timeout();
        match timeout(limit, request).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(LeaseError::Conflict),
            Ok(Err(error)) => Err(LeaseError::OutcomeUnknown(error.to_string())),
            Err(_) => Err(LeaseError::OutcomeUnknown(format!("request timed out after {limit:?}"))),
        }
    }
}
