//! The test environment: a namespace with the chart's ServiceAccount, the simulated Box on a socket, and the operator.

use std::path::{Path, PathBuf};
use std::time::Duration;

use box_sim::{BoxSim, Endpoint, Enterprise, EnterpriseConfig, Server, clock};
use harness::{
    CommandOutput, ControlPlane, Helm, Kubectl, Operator, OperatorCommand, Secrets, eventually, service_account_user,
};
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
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_boxsync-operator");
pub(crate) const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-boxsync");

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
    expect_no_warning(
        plane.kubectl().run_with_stdin(["apply", "--server-side", "-f", "-"], &crds).await.expect("kubectl"),
    );
    let client = plane.admin_client().await.expect("client");
    eventually("all kinds are served", SHORT_TIMEOUT, async || match discovery::group(&client, "boxsync.dev").await {
        Ok(group) if group.recommended_resources().len() == boxsync::api::crds().len() => Ok(()),
        Ok(_) => Err("some CRDs are not served yet".to_owned()),
        Err(e) => Err(e.to_string()),
    })
    .await;
}

/// The output of a command that succeeded without a warning of the API server.
pub(crate) fn expect_no_warning(output: CommandOutput) -> String {
    assert_no_warning(&output);
    output.into_stdout().expect("done")
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

    /// The same with a running operator and the connection `acme` (see [`create_acme`]), which is ready.
    pub(crate) async fn with_ready_acme(name: &str) -> (Self, Enterprise, Operator) {
        let env = Self::new(name).await;
        let acme = create_acme(&env.sim);
        let operator = env.start_operator();
        env.connect_by_client_credentials("acme", &acme).await;
        env.wait_until_ready("acme").await;
        (env, acme, operator)
    }

    /// An environment with permission to refresh user tokens.
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
        expect_no_warning(kubectl.apply_yaml(&change(manifests)).await.expect("kubectl"));
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

/// Adds an enterprise with generated users.
pub(crate) fn create_acme(sim: &BoxSim) -> Enterprise {
    sim.add_enterprise(EnterpriseConfig::new("1001").name("Acme").users(1_200))
}

/// Number of user pages that this enterprise has returned.
pub(crate) fn count_listed_pages(enterprise: &Enterprise) -> u64 {
    enterprise.call_counts().with_status(Endpoint::Users, 200)
}
