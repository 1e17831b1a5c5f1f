//! What users do in an environment, and what they can read there.

use std::path::Path;

use box_sim::{Enterprise, KeyFormat};
use boxsync::api::{BoxConnection, ConditionsExt as _, UserSyncRequest};
use harness::{Kubectl, eventually, wait_for_object};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use serde_json::Value;

use crate::{
    conditions::connection_conditions,
    env::{E2eEnv, LONG_TIMEOUT, PLUGIN, SHORT_TIMEOUT, expect_no_warning},
    manifests::{connection_yaml, request_yaml},
};

/// Actions of users.
impl E2eEnv {
    /// Runs `kubectl ARGS`, which must succeed.
    pub(crate) async fn run(&self, args: &[&str]) -> String {
        self.kubectl.run(args).await.expect("kubectl").into_stdout().expect("done")
    }

    /// `kubectl boxsync` as an admin in this namespace.
    pub(crate) fn plugin(&self) -> Kubectl {
        self.kubectl.for_plugin(Path::new(PLUGIN))
    }

    /// Runs `kubectl boxsync ARGS`, which must succeed.
    pub(crate) async fn run_plugin(&self, args: &[&str]) -> String {
        self.plugin().run(args).await.expect("the plugin").into_stdout().expect("done")
    }

    /// Runs `kubectl apply`, which must succeed without a warning.
    pub(crate) async fn apply_manifest(&self, yaml: &str) {
        expect_no_warning(self.kubectl.apply_yaml(yaml).await.expect("kubectl"));
    }

    /// Runs `kubectl create`; returns the object's name.
    pub(crate) async fn create_manifest(&self, yaml: &str) -> String {
        let created = self.kubectl.run_with_stdin(["create", "-o", "name", "-f", "-"], yaml).await.expect("kubectl");
        let created = expect_no_warning(created);
        created.trim().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Creates or replaces a Secret.
    pub(crate) async fn apply_secret(&self, name: &str, values: &[(&str, &str)]) {
        let secrets: Api<Secret> = self.api();
        let data = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, string_data: Some(data), ..Secret::default() };
        let params = PatchParams::apply("somebody").force();
        secrets.patch(name, &params, &Patch::Apply(&secret)).await.expect("the Secret is written");
    }

    /// Creates a connection that uses client credentials, with its Secret.
    pub(crate) async fn connect_by_client_credentials(&self, name: &str, enterprise: &Enterprise) {
        self.apply_client_secret(name, enterprise).await;
        self.apply_manifest(&connection_yaml(name, enterprise.id(), "clientCredentials", "")).await;
    }

    /// Creates a connection that uses a user's authorization (OAuth 2.0), with its Secret.
    pub(crate) async fn connect_by_oauth(&self, name: &str, enterprise: &Enterprise) {
        self.apply_oauth_secret(name, enterprise).await;
        self.apply_manifest(&connection_yaml(name, enterprise.id(), "oauth2", "")).await;
    }

    /// Authorizes the app as a user would, and writes the refresh token into the Secret.
    pub(crate) async fn apply_oauth_secret(&self, name: &str, enterprise: &Enterprise) {
        let client_secret = self.secrets.add(enterprise.client_secret());
        let refresh = self.secrets.add(enterprise.reauthorize_user());
        let client_id = enterprise.client_id();
        let values = [("clientId", &client_id), ("clientSecret", &client_secret), ("refreshToken", &refresh)];
        self.apply_secret(name, &values.map(|(key, value)| (key, value.as_str()))).await;
    }

    /// Writes the enterprise's current client ID and secret into the connection's Secret.
    pub(crate) async fn apply_client_secret(&self, name: &str, enterprise: &Enterprise) {
        let secret = self.secrets.add(enterprise.client_secret());
        self.apply_secret(name, &[("clientId", &enterprise.client_id()), ("clientSecret", &secret)]).await;
    }

    /// Creates a connection that uses JWT, with its Secret.
    pub(crate) async fn connect_by_jwt(&self, name: &str, enterprise: &Enterprise, format: KeyFormat) {
        let file = self.config_json(enterprise, format);
        self.apply_secret(name, &[("config.json", &file)]).await;
        self.apply_manifest(&connection_yaml(name, enterprise.id(), "jwt", "")).await;
    }

    /// The enterprise's config.json; every secret in it is searched for at the end of the test.
    pub(crate) fn config_json(&self, enterprise: &Enterprise, format: KeyFormat) -> String {
        let file = enterprise.config_json(format).expect("an app with a key pair");
        let parsed: Value = serde_json::from_str(&file).expect("JSON");
        let settings = &parsed["boxAppSettings"];
        for secret in [&settings["clientSecret"], &settings["appAuth"]["passphrase"]] {
            self.secrets.add(secret.as_str().expect("a text"));
        }
        let key = settings["appAuth"]["privateKey"].as_str().expect("a text");
        for line in key.lines().filter(|line| line.len() > 60) {
            self.secrets.add(line);
        }
        file
    }

    /// Requests a sync of this connection; returns the request's name.
    pub(crate) async fn request_sync(&self, connection: &str) -> String {
        self.create_manifest(&request_yaml(connection, "")).await
    }

    /// Requests a sync and waits until the request is finished.
    pub(crate) async fn run_request(&self, connection: &str) -> UserSyncRequest {
        self.wait_until_finished(&self.request_sync(connection).await).await
    }
}

/// What users can read.
impl E2eEnv {
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn connections_api(&self) -> Api<BoxConnection> {
        self.api()
    }

    pub(crate) fn requests_api(&self) -> Api<UserSyncRequest> {
        self.api()
    }

    /// Waits for a condition of a connection with this status and reason.
    pub(crate) async fn wait_for_condition(&self, name: &str, kind: &str, status: &str, reason: &str) -> BoxConnection {
        let what = format!("{kind} is {status} {reason}");
        let matches = |c: &BoxConnection| {
            connection_conditions(c)
                .find_condition(kind)
                .is_some_and(|c| c.status == status && (reason.is_empty() || c.reason == reason))
        };
        wait_for_object(&self.connections_api(), name, &what, LONG_TIMEOUT, matches).await
    }

    pub(crate) async fn wait_until_ready(&self, name: &str) -> BoxConnection {
        self.wait_for_condition(name, "Ready", "True", "Synced").await
    }

    /// Waits until a request is finished, successful or not.
    pub(crate) async fn wait_until_finished(&self, name: &str) -> UserSyncRequest {
        wait_for_object(&self.requests_api(), name, "finished", LONG_TIMEOUT, UserSyncRequest::is_finished).await
    }

    /// The object as JSON, as kubectl prints it.
    pub(crate) async fn get_json(&self, args: &[&str]) -> Value {
        self.kubectl.get_json(args).await.expect("read")
    }

    /// Events about this object: type, reason, note, as kubectl prints them.
    pub(crate) async fn list_events(&self, kind: &str, name: &str) -> Vec<(String, String, String)> {
        let about = format!("--field-selector=involvedObject.kind={kind},involvedObject.name={name}");
        let list = self.get_json(&["events", &about]).await;
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|e| (text(e, "type"), text(e, "reason"), text(e, "message"))).collect()
    }

    /// Waits for an event of this type and reason; returns its note.
    pub(crate) async fn wait_for_event(&self, kind: &str, name: &str, type_: &str, reason: &str) -> String {
        let what = format!("a {type_} event {reason} about {kind} {name}");
        eventually(&what, SHORT_TIMEOUT, async || {
            let events = self.list_events(kind, name).await;
            let found = events.iter().find(|(t, r, _)| t == type_ && r == reason).map(|(_, _, note)| note.clone());
            found.ok_or_else(|| format!("{events:?}"))
        })
        .await
    }
}
