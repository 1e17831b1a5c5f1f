//! wait — awaiting something, and saying what was seen instead when it does not come.
//!
//! Limits are generous: they are for a busy machine. What has to be quick is measured by the benchmark.

use std::fmt::{Debug, Display};
use std::time::Duration;

use kube::api::Api;
use kube::runtime::wait::await_condition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::temp_dir::log_locations;

/// Looks every 50 ms until the look succeeds. A look that finds something else says what it found; a single
/// look that never ends counts too. Panics after `limit` with the last of it.
pub async fn eventually<T, S: Display>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Result<T, S>) -> T {
    let deadline = Instant::now() + limit;
    let mut last_seen = "nothing: the first look has not ended".to_owned();
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
    panic!("awaited in vain for {limit:?}: {what}\nlast seen: {last_seen}\n{}", log_locations());
}

/// Watches one object until it exists and is as awaited. Panics after `limit` with the object as it is then.
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
                // A watch ends with its API server, and the object may still come.
                Err(e) => watch_error = format!("\nlast trouble of the watch: {e}"),
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    if let Ok(object) = timeout(limit, watching).await {
        return object;
    }
    let last_seen = match timeout(Duration::from_secs(5), api.get_opt(name)).await {
        Ok(Ok(Some(object))) => to_yaml(&object),
        Ok(Ok(None)) => "there is no such object".to_owned(),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the API server does not answer".to_owned(),
    };
    panic!("awaited in vain for {limit:?}: {name}: {what}{watch_error}\nlast seen:\n{last_seen}\n{}", log_locations());
}

/// As YAML, without the book-keeping of field managers.
fn to_yaml(object: &impl Serialize) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.remove("managedFields");
    }
    serde_saphyr::to_string(&value).unwrap_or_else(|e| e.to_string())
}
