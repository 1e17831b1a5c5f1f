//! Waiting for a condition; a timeout prints the last state.
//!
//! Limits are generous, for busy machines. Speed is measured by the benchmark.

use std::fmt::{Debug, Display};
use std::time::Duration;

use kube::api::Api;
use kube::runtime::wait::await_condition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::temp_dir::log_locations;

/// Calls `check` every 50 ms until it succeeds. Panics after `limit` with its last error, also if a single call never
/// finishes.
pub async fn eventually<T, S: Display>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Result<T, S>) -> T {
    let deadline = Instant::now() + limit;
    let mut last_seen = "nothing: the first check has not finished".to_owned();
    while let Ok(result) = tokio::time::timeout_at(deadline, check()).await {
        match result {
            Ok(value) => return value,
            Err(other) => last_seen = other.to_string(),
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("timed out after {limit:?} waiting for {what}\nlast result: {last_seen}\n{}", log_locations());
}

/// Watches one object until it exists and meets the condition. Panics after `limit` with the current object.
pub async fn wait_for_object<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    condition: impl Fn(&K) -> bool,
) -> K
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let mut watch_error = String::new();
    let watching = async {
        loop {
            let condition = |object: Option<&K>| object.is_some_and(&condition);
            match await_condition(api.clone(), name, condition).await {
                Ok(Some(object)) => return object,
                Ok(None) => {}
                // The watch ends with its API server; the condition may still be met after a restart.
                Err(e) => watch_error = format!("\nlast watch error: {e}"),
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    if let Ok(object) = timeout(limit, watching).await {
        return object;
    }
    let last_seen = match timeout(Duration::from_secs(5), api.get_opt(name)).await {
        Ok(Ok(Some(object))) => to_yaml(&object),
        Ok(Ok(None)) => "object not found".to_owned(),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the API server does not respond".to_owned(),
    };
    panic!(
        "timed out after {limit:?} waiting for {name}: {what}{watch_error}\nlast state:\n{last_seen}\n{}",
        log_locations()
    );
}

/// As YAML, without managedFields.
fn to_yaml(object: &impl Serialize) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.remove("managedFields");
    }
    serde_saphyr::to_string(&value).unwrap_or_else(|e| e.to_string())
}
