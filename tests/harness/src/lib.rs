//! harness — what the end-to-end tests, the demo and the benchmark run against.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`tools`] | kube-apiserver, etcd, kube-controller-manager, kubectl, helm, promtool: found, or built once from pinned sources |
//! | [`Process`] | a child on a leash: it ends when the harness ends, however that happens |
//! | [`Scratch`] | a folder for data and logs, removed unless something failed |
//! | [`ControlPlane`] | etcd, API server and controller manager on free loopback ports |
//! | [`Audit`] | who asked the API server for what |
//! | [`shared`], [`exclusive`] | one control plane for all tests of a binary, or one for a single test |
//! | [`Kubectl`], [`Helm`], [`Promtool`] | the pinned command line tools |
//! | [`Operator`], [`Secrets`] | the operator as a process; what must never show up in its output |
//! | [`Scrape`] | a page of metrics, read strictly |
//! | [`eventually`], [`reaches`] | awaiting something, and saying what was seen instead |
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn test(chart: &str) -> harness::Result<()> {
//! let plane = harness::shared().await;
//! let namespace = plane.namespace("a request completes").await?;
//! let kubectl = namespace.kubectl();
//! kubectl.apply_yaml(chart).await?.succeeded()?;
//! let secrets = harness::Secrets::default();
//! let password = secrets.plant("a made up client secret");
//! let kubeconfig = plane.kubeconfig_for(&namespace.name, "boxsync-operator").await?;
//! let operator = harness::Settings::new(env!("CARGO_PKG_NAME"), kubeconfig)
//!     .flag("--watch-namespace", &namespace.name)
//!     .flag("--log-format", "json")
//!     .secrets(&secrets)
//!     .start(plane.folder())?;
//! let user = harness::account_user(&namespace.name, "boxsync-operator");
//! let mark = plane.audit().quiet(&user, Duration::from_secs(3), Duration::from_secs(60)).await?;
//! assert_eq!(plane.audit().writes(&user, mark), 0);
//! # drop(operator); Ok(()) }
//! ```
//!
//! Tests panic on failure (`expect`, `assert`): that is what keeps the logs. An `Err` handed back by a test
//! function would not.
//!
//! Invariants: everything listens on loopback only. Every child ends with this process, by pid. Nothing
//! here knows Box or the operator's types. A missing tool is an error with a remedy, never a skipped test.

mod audit;
mod control_plane;
mod error;
mod helm;
mod kubectl;
mod operator;
mod process;
mod promtool;
mod scrape;
mod secrets;
mod shared;
mod temp_dir;
pub mod tools;
mod wait;

pub use crate::{
    audit::{AuditEntries, AuditEntry, AuditLog, LogOffset, service_account_user},
    control_plane::{ControlPlane, ControlPlaneOptions},
    error::{Error, Result},
    helm::Helm,
    kubectl::{CommandOutput, Kubectl},
    operator::{Operator, OperatorCommand},
    process::Process,
    promtool::Promtool,
    scrape::MetricsPage,
    secrets::Secrets,
    shared::{ExclusiveControlPlane, TestNamespace, exclusive_control_plane, shared_control_plane},
    temp_dir::TempDir,
    wait::{eventually, wait_for_object},
};

/// Makes ring the crypto provider of this process. rustls panics at the first TLS connection where two
/// providers are linked and none was chosen; whoever comes second here is no error.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
