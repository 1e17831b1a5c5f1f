//! Secrets that must never appear in the operator's output.
//!
//! A test registers each secret that it uses. Logs are searched when the operator ends; conditions, statuses and events
//! by [`Secrets::assert_absent_from`].

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery;
use kube::{Client, ResourceExt as _};

use crate::error::{Context as _, Result};

#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Vec<String>>>);

impl Secrets {
    /// Registers and returns the secret. Secrets of less than 8 characters would match unrelated text.
    pub fn add(&self, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "secret too short to search for reliably: {secret:?}");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(secret.clone());
        secret
    }

    /// Panics if the text contains one of them, verbatim or in base64.
    pub fn assert_absent(&self, location: &str, text: &str) {
        if let Some(found) = self.find_in(location, text) {
            panic!("{found}");
        }
    }

    /// Returns a message with the first line that contains one of them.
    pub fn find_in(&self, location: &str, text: &str) -> Option<String> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (form, secret) = secrets.iter().flat_map(encodings).find(|(form, _)| text.contains(form.as_str()))?;
        let line = text.lines().find(|line| line.contains(&form)).unwrap_or(text);
        Some(format!("secret ({secret}) found in {location}:\n{line}"))
    }

    /// Searches all objects of one API group in a namespace, and its events.
    pub async fn assert_absent_from(&self, client: &Client, group: &str, namespace: &str) -> Result<()> {
        let error_context = || format!("cannot search {namespace} for secrets");
        let group = discovery::group(client, group).await.with_context(error_context)?;
        for (resource, _) in group.recommended_resources() {
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            for object in api.list(&ListParams::default()).await.with_context(error_context)? {
                let place = format!("{} {}", resource.kind, object.name_any());
                self.assert_absent(&place, &serde_json::to_string_pretty(&object).with_context(error_context)?);
            }
        }
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        for event in events.list(&ListParams::default()).await.with_context(error_context)? {
            let place = format!("Event {}", event.name_any());
            self.assert_absent(&place, &serde_json::to_string_pretty(&event).with_context(error_context)?);
        }
        Ok(())
    }
}

/// The encodings of a secret. A PEM key has line breaks, which JSON escapes.
fn encodings(secret: &String) -> Vec<(String, &String)> {
    let quoted = serde_json::Value::from(secret.as_str()).to_string();
    let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
    let mut forms = vec![secret.clone(), escaped];
    forms.extend([&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|base64| base64.encode(secret)));
    forms.into_iter().map(|form| (form, secret)).collect()
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn a_secret_is_found_verbatim_in_base64_and_in_json() {
        let secrets = Secrets::default();
        secrets.add("line one\nline \"two\"");
        let found = |text: &str| secrets.find_in("the log", text).is_some();
        assert!(found("a line one\nline \"two\" b"));
        assert!(found(r#"{"key":"line one\nline \"two\""}"#));
        assert!(found("bGluZSBvbmUKbGluZSAidHdvIg=="));
        assert!(found("bGluZSBvbmUKbGluZSAidHdvIg"));
        assert!(!found("line one"));
    }
}
