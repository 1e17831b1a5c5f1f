//! The test environment: a namespace with the chart's ServiceAccount, the simulated Box on a socket, and the operator.

use std::path::{Path, PathBuf};
use std::time::Duration;

use box_sim::{BoxSim, Endpoint, Enterprise, EnterpriseConfig, KeyFormat, Server, clock};
use boxsync::api::{BoxConnection, ConditionsExt as _, UserSyncRequest};
use harness::{
    CommandOutput, ControlPlane, Helm, Kubectl, Operator, OperatorCommand, Secrets, eventually, service_account_user,
    wait_for_object,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use kube::{Client, discovery};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub(crate) use crate::conditions::{connection_conditions, expect_condition, request_conditions};

pub(crate) use crate::manifests::{connection_yaml, request_yaml};

/// For what happens automatically within seconds, on a busy machine.
pub(crate) const SHORT_TIMEOUT: Duration = Duration::from_secs(60);
/// For what happens automatically within a minute or two.
pub(crate) const LONG_TIMEOUT: Duration = Duration::from_secs(180);

pub(crate) const SERVICE_ACCOUNT: &str = "boxsync-operator";
const BINARY: &str = env!("CARGO_BIN_EXE_boxsync-operator");

/// The only query parameters that the operator may send in a listing.
const LISTING_PARAMS: &[&str] = &["usemarker", "limit", "marker", "fields", "user_type"];

pub(crate) fn repo_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn chart_path() -> PathBuf {
    repo_path("charts/boxsync-operator")
}

/// Whether the operator has cluster-wide permissions and watches all namespaces: then each test must be a process with its
/// own control plane (`make test-cluster-wide`). Otherwise it has Roles only in the namespace of the test.
fn cluster_wide() -> bool {
    std::env::var("E2E_RIGHTS").is_ok_and(|rights| rights == "cluster-wide")
}

/// The shared control plane with our CRDs.
pub(crate) async fn shared_plane() -> &'static ControlPlane {
    static CRDS: OnceCell<()> = OnceCell::const_new();
    let plane = harness::shared_control_plane().await;
    CRDS.get_or_init(|| install_crds(plane)).await;
    plane
}

/// Installs the CRDs as a user does. Not from crds/, which another test may be regenerating.
pub(crate) async fn install_crds(plane: &ControlPlane) {
    let crds = boxsync::api::crds_yaml().expect("YAML");
    let applied = plane.kubectl().run_with_stdin(["apply", "--server-side", "-f", "-"], &crds).await.expect("kubectl");
    assert_no_warning(&applied);
    applied.into_stdout().expect("applied");
    let client = plane.admin_client().await.expect("client");
    eventually("all kinds are served", SHORT_TIMEOUT, async || match discovery::group(&client, "boxsync.dev").await {
        Ok(group) if group.recommended_resources().len() == boxsync::api::crds().len() => Ok(()),
        Ok(_) => Err("some CRDs are not served yet".to_owned()),
        Err(e) => Err(e.to_string()),
    })
    .await;
}

/// Fails if the API server returned a warning.
pub(crate) fn assert_no_warning(output: &CommandOutput) {
    assert!(!output.stderr.contains("Warning"), "{}:\n{}", output.command, output.stderr);
}

/// The environment of one test.
pub(crate) struct E2eEnv {
    pub(crate) namespace: String,
    /// The operator's namespace.
    operator_namespace: String,
    pub(crate) kubectl: Kubectl,
    pub(crate) client: Client,
    pub(crate) sim: BoxSim,
    pub(crate) secrets: Secrets,
    /// The operator's user name in the audit log.
    pub(crate) operator_user: String,
    kubeconfig: PathBuf,
    admin_kubeconfig: PathBuf,
    log_dir: PathBuf,
    server: Server,
    operator_client: Client,
}

impl E2eEnv {
    /// On the shared control plane, with the chart's default values.
    pub(crate) async fn new(name: &str) -> Self {
        Self::on_plane(shared_plane().await, name, |manifests| manifests).await
    }

    /// The same, with permission to refresh user tokens.
    pub(crate) async fn with_oauth(name: &str) -> Self {
        let values = json!({"oauth": {"enabled": true}});
        Self::with_values(shared_plane().await, name, &values, |manifests| manifests).await
    }

    /// On this control plane, with changed manifests of the chart.
    pub(crate) async fn on_plane(plane: &ControlPlane, name: &str, change: impl FnOnce(String) -> String) -> Self {
        Self::with_values(plane, name, &json!({}), change).await
    }

    /// On this control plane, with these values of the chart and changed manifests.
    pub(crate) async fn with_values(
        plane: &ControlPlane,
        name: &str,
        extra_values: &Value,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let namespace = plane.create_namespace(name).await.expect("namespace");
        let kubectl = namespace.kubectl();
        let helm = Helm::new().await.expect("helm");
        // Tests share a cluster, so no cluster-scoped objects; and no Deployment, because the test starts the operator.
        let mut values = json!({
            "serviceAccount": {"name": SERVICE_ACCOUNT},
            "replicaCount": 0,
            "crds": {"install": false},
            "rosterReader": {"create": false},
            "userRoles": {"create": false},
        });
        if !cluster_wide() {
            values["watchNamespaces"] = json!([namespace.name]);
        }
        values.as_object_mut().expect("an object").extend(extra_values.as_object().cloned().unwrap_or_default());
        let manifests =
            helm.template(&chart_path(), &namespace.name, &namespace.name, &values).await.expect("rendered");
        let applied = kubectl.apply_yaml(&change(manifests)).await.expect("kubectl");
        assert_no_warning(&applied);
        applied.into_stdout().expect("applied");
        Self::for_installed_chart(plane, &namespace.name).await
    }

    /// In a namespace in which the chart is installed already.
    pub(crate) async fn for_installed_chart(plane: &ControlPlane, namespace: &str) -> Self {
        let sim = BoxSim::new(clock::system_clock());
        let server = sim.serve().await.expect("a free port");
        Self {
            kubeconfig: plane.kubeconfig_for(namespace, SERVICE_ACCOUNT).await.expect("token"),
            client: plane.admin_client().await.expect("client"),
            operator_user: service_account_user(namespace, SERVICE_ACCOUNT),
            admin_kubeconfig: plane.admin_kubeconfig().to_owned(),
            log_dir: plane.dir().to_owned(),
            namespace: namespace.to_owned(),
            operator_namespace: namespace.to_owned(),
            secrets: Secrets::default(),
            operator_client: plane.client_for(namespace, SERVICE_ACCOUNT).await.expect("client"),
            kubectl: plane.kubectl().namespace(namespace),
            sim,
            server,
        }
    }

    /// Settings of an operator that watches the namespaces it has permissions for.
    pub(crate) fn operator_settings(&self) -> OperatorCommand {
        let cluster_wide_settings = self.cluster_wide_settings();
        if cluster_wide() {
            cluster_wide_settings
        } else {
            cluster_wide_settings.flag("--watch-namespace", &self.operator_namespace)
        }
    }

    /// Settings of an operator that watches all namespaces, without a minimum gap between syncs, so that tests do not wait.
    pub(crate) fn cluster_wide_settings(&self) -> OperatorCommand {
        OperatorCommand::new(BINARY, &self.kubeconfig)
            .name(&self.operator_namespace)
            .flag("--lease-namespace", &self.operator_namespace)
            // A fixed identity: a restarted operator reacquires its Lease at once, as a container restarted in its pod does.
            .env("POD_NAME", "operator")
            .flag("--box-api-url", self.server.url())
            .flag("--min-sync-gap", "0s")
            .secrets(&self.secrets)
    }

    /// URL of the simulated Box.
    pub(crate) fn box_url(&self) -> String {
        self.server.url()
    }

    /// Kubeconfig of an admin.
    pub(crate) fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// Kubeconfig of the operator's ServiceAccount.
    pub(crate) fn operator_kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Makes users work in this namespace; the operator stays in its own.
    pub(crate) fn switch_namespace(&mut self, namespace: &str) {
        self.kubectl = self.kubectl.clone().namespace(namespace);
        self.namespace = namespace.to_owned();
    }

    /// A client of the operator's ServiceAccount.
    pub(crate) fn operator_client(&self) -> Client {
        self.operator_client.clone()
    }

    pub(crate) fn start_operator(&self) -> Operator {
        self.start_operator_with(&self.operator_settings())
    }

    pub(crate) fn start_operator_with(&self, settings: &OperatorCommand) -> Operator {
        settings.start(&self.log_dir).expect("the operator starts")
    }

    /// Ends a test: the operator exits gracefully, no secret appears in any output, and only allowed Box calls were made.
    pub(crate) async fn stop_and_verify(&self, mut operator: Operator) {
        for enterprise in self.sim.enterprises() {
            enterprise.access_tokens().into_iter().chain(enterprise.refresh_token()).for_each(|token| {
                self.secrets.add(token);
            });
        }
        let scanned = self.secrets.assert_absent_from(&self.client, "boxsync.dev", &self.namespace).await;
        scanned.expect("failed to list objects and events");
        let (_, metrics) = operator.http_get("/metrics").await.expect("metrics can be read");
        self.secrets.assert_absent("the metrics", &metrics);
        let exit_status = operator.terminate(Duration::from_secs(20)).await.expect("exits after SIGTERM");
        assert!(exit_status.success(), "{exit_status}\n{}", operator.log());
        let log = operator.log();
        assert!(!log.contains("panicked"), "{log}");
        // The prefix of every signed assertion and every ServiceAccount token.
        assert!(!log.contains("eyJhbGciOi"), "{log}");
        operator.assert_no_secret_in_log();
        for call in self.sim.recent_calls() {
            assert_ne!(call.endpoint, Endpoint::Other, "{call:?}");
            if call.endpoint == Endpoint::Users {
                let unexpected = call.params.iter().find(|param| !LISTING_PARAMS.contains(&param.as_str()));
                assert_eq!(unexpected, None, "{call:?}");
            }
        }
    }
}

/// Actions of users.
impl E2eEnv {
    /// Runs `kubectl ARGS`, which must succeed.
    pub(crate) async fn run(&self, args: &[&str]) -> String {
        self.kubectl.run(args).await.expect("kubectl").into_stdout().expect("done")
    }

    /// Runs `kubectl apply`, which must succeed without a warning.
    pub(crate) async fn apply_manifest(&self, yaml: &str) {
        let applied = self.kubectl.apply_yaml(yaml).await.expect("kubectl");
        assert_no_warning(&applied);
        applied.into_stdout().expect("applied");
    }

    /// Runs `kubectl create`; returns the object's name.
    pub(crate) async fn create_manifest(&self, yaml: &str) -> String {
        let created = self.kubectl.run_with_stdin(["create", "-o", "name", "-f", "-"], yaml).await.expect("kubectl");
        assert_no_warning(&created);
        let created = created.into_stdout().expect("created");
        created.trim().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Creates or replaces a Secret.
    pub(crate) async fn apply_secret(&self, name: &str, values: &[(&str, &str)]) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
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
}

/// What users can read.
impl E2eEnv {
    pub(crate) fn connections_api(&self) -> Api<BoxConnection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn requests_api(&self) -> Api<UserSyncRequest> {
        Api::namespaced(self.client.clone(), &self.namespace)
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

/// Adds an enterprise with generated users.
pub(crate) fn create_acme(sim: &BoxSim) -> Enterprise {
    sim.add_enterprise(EnterpriseConfig::new("1001").name("Acme").users(1_200))
}

/// Number of user pages that this enterprise has returned.
pub(crate) fn count_listed_pages(enterprise: &Enterprise) -> u64 {
    enterprise.call_counts().with_status(Endpoint::Users, 200)
}
