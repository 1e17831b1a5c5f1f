//! The Lease in the cluster: read and written, each write in place of the version that was read.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::timeout;

use super::ElectionConfig;
use crate::runtime::Clock;

/// The Lease and the writer of its fields.
const LEASE_NAME: &str = "boxsync-operator";
/// Two calls that hang leave time for a third before leadership is lost.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Clone)]
pub(super) struct LeaseClient {
    leases: Api<Lease>,
    pub(super) namespace: String,
    pub(super) identity: String,
    /// For those who read the Lease; nothing is decided by it.
    pub(super) clock: Clock,
}

pub(super) enum LeaseError {
    /// The Lease is no longer as it was read.
    Conflict,
    /// Nobody knows whether it was done.
    OutcomeUnknown(String),
}

impl LeaseClient {
    pub(super) fn new(client: Client, settings: ElectionConfig, clock: Clock) -> Self {
        let ElectionConfig { namespace, identity } = settings;
        Self { leases: Api::namespaced(client, &namespace), namespace, identity, clock }
    }

    pub(super) async fn get_lease(&self) -> Result<Option<Lease>, LeaseError> {
        with_timeout(self.leases.get_opt(LEASE_NAME)).await
    }

    /// Writes this in place of `old`, or makes the Lease where there is none.
    pub(super) async fn write_lease(&self, old: Option<Lease>, spec: LeaseSpec) -> Result<Lease, LeaseError> {
        let params = PostParams { field_manager: Some(LEASE_NAME.to_owned()), ..PostParams::default() };
        match old {
            Some(old) => {
                with_timeout(self.leases.replace(LEASE_NAME, &params, &Lease { spec: Some(spec), ..old })).await
            }
            None => {
                let labels = [("app.kubernetes.io/name".to_owned(), LEASE_NAME.to_owned())].into();
                let metadata =
                    ObjectMeta { name: Some(LEASE_NAME.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
                with_timeout(self.leases.create(&params, &Lease { metadata, spec: Some(spec) })).await
            }
        }
    }
}

async fn with_timeout<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
    match timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(LeaseError::Conflict),
        Ok(Err(error)) => Err(LeaseError::OutcomeUnknown(error.to_string())),
        Err(_) => Err(LeaseError::OutcomeUnknown(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))),
    }
}
