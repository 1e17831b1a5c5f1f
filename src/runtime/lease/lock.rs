//! The Lease in the cluster: read and written, each write in place of the version that was read.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::timeout;

use super::{super::Clock, Settings};

/// The Lease and the writer of its fields.
const NAME: &str = "boxsync-operator";
/// Two calls that hang leave time for a third before leadership is lost.
const TIME_LIMIT: Duration = Duration::from_secs(4);

#[derive(Clone)]
pub(super) struct Lock {
    leases: Api<Lease>,
    pub(super) namespace: String,
    pub(super) me: String,
    /// For those who read the Lease; nothing is decided by it.
    pub(super) clock: Clock,
}

pub(super) enum Trouble {
    /// The Lease is no longer as it was read.
    Changed,
    /// Nobody knows whether it was done.
    Unclear(String),
}

impl Lock {
    pub(super) fn new(client: Client, settings: Settings, clock: Clock) -> Self {
        let Settings { namespace, identity } = settings;
        Self { leases: Api::namespaced(client, &namespace), namespace, me: identity, clock }
    }

    pub(super) async fn read(&self) -> Result<Option<Lease>, Trouble> {
        answered(self.leases.get_opt(NAME)).await
    }

    /// Writes this in place of `old`, or makes the Lease where there is none.
    pub(super) async fn write(&self, old: Option<Lease>, spec: LeaseSpec) -> Result<Lease, Trouble> {
        let params = PostParams { field_manager: Some(NAME.to_owned()), ..PostParams::default() };
        match old {
            Some(old) => answered(self.leases.replace(NAME, &params, &Lease { spec: Some(spec), ..old })).await,
            None => {
                let labels = [("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into();
                let metadata =
                    ObjectMeta { name: Some(NAME.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
                answered(self.leases.create(&params, &Lease { metadata, spec: Some(spec) })).await
            }
        }
    }
}

async fn answered<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match timeout(TIME_LIMIT, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Trouble::Changed),
        Ok(Err(error)) => Err(Trouble::Unclear(error.to_string())),
        Err(_) => Err(Trouble::Unclear(format!("no answer within {} s", TIME_LIMIT.as_secs()))),
    }
}
