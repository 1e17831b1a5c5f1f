//! A control plane shared by all tests of a binary, and exclusive ones for single tests.
//!
//! Every test has its own runtime; the control plane belongs to none, so any test can start it. It is never dropped: its
//! processes and its directory are removed when the test process exits.

use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1 as core;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::{
    control_plane::ControlPlane,
    error::{Context as _, Result},
    kubectl::Kubectl,
};

/// The control plane that all tests of this process share. Do not stop or pause it, and count only objects and requests
/// of your own namespace or user. Panics if it cannot start, with the same message in every test.
pub async fn shared_control_plane() -> &'static ControlPlane {
    static PLANE: OnceCell<Result<ControlPlane>> = OnceCell::const_new();
    match PLANE.get_or_init(|| ControlPlane::start("shared")).await {
        Ok(plane) => plane,
        Err(e) => panic!("cannot start the control plane: {e}"),
    }
}

/// A control plane for one test; the next test that needs one waits until this one is dropped.
pub async fn exclusive_control_plane(name: &str) -> Result<ExclusiveControlPlane> {
    static EXCLUSIVE_LOCK: Mutex<()> = Mutex::const_new(());
    let guard = EXCLUSIVE_LOCK.lock().await;
    Ok(ExclusiveControlPlane { plane: ControlPlane::start(name).await?, _guard: guard })
}

/// Fields are dropped in order: the control plane stops before the lock is released.
pub struct ExclusiveControlPlane {
    plane: ControlPlane,
    _guard: MutexGuard<'static, ()>,
}

impl std::ops::Deref for ExclusiveControlPlane {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        &self.plane
    }
}

impl std::ops::DerefMut for ExclusiveControlPlane {
    fn deref_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }
}

/// A test's own namespace. It is not deleted before the control plane.
pub struct TestNamespace<'a> {
    pub name: String,
    plane: &'a ControlPlane,
}

impl TestNamespace<'_> {
    pub fn plane(&self) -> &ControlPlane {
        self.plane
    }

    /// A new admin client.
    pub async fn client(&self) -> Result<Client> {
        self.plane.admin_client().await
    }

    /// kubectl as admin, in this namespace.
    pub fn kubectl(&self) -> Kubectl {
        self.plane.kubectl().namespace(&self.name)
    }
}

impl ControlPlane {
    /// Creates a namespace with a unique name that starts with the test's name.
    pub async fn create_namespace(&self, test: &str) -> Result<TestNamespace<'_>> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{}-{}", namespace_prefix(test), COUNT.fetch_add(1, Ordering::Relaxed));
        let namespaces: Api<core::Namespace> = Api::all(self.admin_client().await?);
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = core::Namespace { metadata, ..core::Namespace::default() };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("cannot create namespace {name}"))?;
        Ok(TestNamespace { name, plane: self })
    }
}

/// Converts a sentence to the prefix of a DNS label.
fn namespace_prefix(test: &str) -> String {
    let dashed: String =
        test.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<_> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    let short = joined.get(..joined.len().min(40)).unwrap_or_default().trim_matches('-');
    if short.is_empty() { "test".to_owned() } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::namespace_prefix;

    #[test]
    fn a_tests_name_becomes_the_beginning_of_a_namespace() {
        assert_eq!(namespace_prefix("A request on it: completes!"), "a-request-on-it-completes");
        assert_eq!(namespace_prefix("ends_with_a_dash_when_it_is_cut_at_forty_x_signs").len(), 40);
        assert_eq!(namespace_prefix("…"), "test");
    }
}
