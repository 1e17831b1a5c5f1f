//! The environment of the end-to-end tests, the demo and the benchmark.
//!
//! | item | purpose |
//! | --- | --- |
//! | [`tools`] | kube-apiserver, etcd, kube-controller-manager, kubectl, helm (4 and 3), promtool: found, or built once from pinned sources |
//! | [`Process`] | a child process that exits with the harness, however the harness ends |
//! | [`TempDir`] | a directory for data and logs, removed unless something failed |
//! | [`ControlPlane`] | etcd, API server and controller manager on free loopback ports |
//! | [`AuditLog`] | the API server's requests by user |
//! | [`shared_control_plane`], [`exclusive_control_plane`] | one control plane for all tests of a binary, or one for a single test |
//! | [`Kubectl`], [`Helm`], [`Promtool`] | the pinned command line tools |
//! | [`OperatorCommand`], [`Secrets`] | the operator as a process; secrets that must not appear in its output |
//! | [`MetricsPage`] | a strictly parsed metrics page |
//! | [`eventually`], [`wait_for_object`] | waiting for a condition; a timeout prints the last result |
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn test(chart: &str) -> harness::Result<()> {
//! let plane = harness::shared_control_plane().await;
//! let namespace = plane.create_namespace("a request completes").await?;
//! let kubectl = namespace.kubectl();
//! kubectl.apply_yaml(chart).await?.into_stdout()?;
//! let secrets = harness::Secrets::default();
//! let password = secrets.add("a made up client secret");
//! let kubeconfig = plane.kubeconfig_for(&namespace.name, "boxsync-operator").await?;
//! let operator = harness::OperatorCommand::new(env!("CARGO_PKG_NAME"), kubeconfig)
//!     .flag("--watch-namespace", &namespace.name)
//!     .flag("--log-format", "json")
//!     .secrets(&secrets)
//!     .start(plane.dir())?;
//! let user = harness::service_account_user(&namespace.name, "boxsync-operator");
//! let audit = plane.audit_log();
//! let offset = audit.wait_until_idle(&user, Duration::from_secs(3), Duration::from_secs(60)).await?;
//! assert_eq!(audit.count_writes(&user, offset), 0);
//! # drop(operator); Ok(()) }
//! ```
//!
//! Tests panic on failure (`expect`, `assert`), since a panic preserves the logs; an `Err` returned by a test function
//! would not.
//!
//! Invariants: everything listens on loopback only. Every child process exits with this process. This crate depends
//! neither on Box nor on the operator's types. A missing tool is an error that names the fix, never a skipped test.

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
    control_plane::ControlPlane,
    error::{Error, Result},
    helm::Helm,
    kubectl::{CommandOutput, Kubectl},
    operator::{Operator, OperatorCommand, PROXY_VARIABLES},
    process::Process,
    promtool::Promtool,
    scrape::MetricsPage,
    secrets::Secrets,
    shared::{ExclusiveControlPlane, TestNamespace, exclusive_control_plane, shared_control_plane},
    temp_dir::TempDir,
    wait::{eventually, wait_for_object},
};

/// Makes ring the crypto provider of this process: with two linked providers and no default, rustls panics at the
/// first TLS connection. Calling it again has no effect.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
