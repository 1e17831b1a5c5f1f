//! The chart's admission policies: who may write lists, who may approve removals, and who requested a sync.

use std::path::Path;

use boxsync::api::{REQUESTED_BY_ANNOTATION, UserRoster};
use harness::{Helm, Kubectl, eventually, service_account_user, wait_for_object};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::env::{
    E2eEnv, LONG_TIMEOUT, PLUGIN, SERVICE_ACCOUNT, SHORT_TIMEOUT, chart_path, create_acme, request_yaml, shared_plane,
};

const RESTORER: &str = "system:serviceaccount:velero:velero";
const FORGED_REQUESTER: &str = "  annotations: {boxsync.dev/requested-by: the-king}\n";

/// A forged list.
const FORGED: &str = r#"
apiVersion: boxsync.dev/v1alpha1
kind: UserSlice
metadata: {name: forged}
format: 1
state: Live
data: "{}"
count: 1
firstId: "1"
lastId: "1"
digest: ab
"#;

/// An environment whose namespace is subject to the policies, with a user (`clerk`) who may read lists and create
/// requests.
struct AdmissionEnv {
    env: E2eEnv,
    /// The clerk's user name.
    clerk: String,
    /// `kubectl boxsync` as the clerk.
    plugin: Kubectl,
}

impl AdmissionEnv {
    async fn new(name: &str) -> Self {
        let env = E2eEnv::new(name).await;
        let namespace = env.namespace.as_str();
        env.run(&["create", "serviceaccount", "clerk"]).await;
        let all =
            ["boxconnections", "usersyncrequests", "userrosters", "userslices"].map(|r| format!("{r}.boxsync.dev"));
        let resources = format!("--resource={}", all.join(","));
        env.run(&["create", "role", "clerk", "--verb=get,list,watch,create", &resources]).await;
        let subject = format!("--serviceaccount={namespace}:clerk");
        env.run(&["create", "rolebinding", "clerk", "--role=clerk", &subject]).await;
        let values = json!({
            "serviceAccount": {"name": SERVICE_ACCOUNT},
            "replicaCount": 0,
            "crds": {"install": false},
            "rbac": {"create": false},
            "userRoles": {"create": false},
            "rosterReader": {"create": false},
            "watchNamespaces": [namespace],
            "admission": {
                "lists": {"enabled": true, "exceptFor": {"users": [RESTORER], "groups": ["backup-admins"]}},
                "approvals": {"enabled": true},
                "requesters": {"enabled": true},
            },
        });
        let helm = Helm::new().await.expect("helm");
        env.apply_manifest(&helm.template(&chart_path(), namespace, namespace, &values).await.expect("rendered")).await;
        let kubeconfig = shared_plane().await.kubeconfig_for(namespace, "clerk").await.expect("token");
        let plugin = Kubectl::new(Path::new(PLUGIN), &kubeconfig);
        let env_with_policies = Self { clerk: service_account_user(namespace, "clerk"), plugin, env };
        env_with_policies.wait_for_policies().await;
        env_with_policies
    }

    /// Waits until the API server enforces all three policies.
    async fn wait_for_policies(&self) {
        let approval = request_yaml("acme", &format!("  approveRemovals: {:?}\n", "0".repeat(64)));
        eventually("the policies are enforced", SHORT_TIMEOUT, async || {
            let dry_run = ["create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.metadata.annotations}"];
            let clerk = [&dry_run[..], &["--as", &self.clerk]].concat();
            let dry_run_output = async |words: &[&str], yaml: &str| {
                let output = self.env.kubectl.run_with_stdin(words, yaml).await.expect("kubectl");
                format!("{}{}", output.stdout, output.stderr)
            };
            let all = [
                dry_run_output(&dry_run, FORGED).await,
                dry_run_output(&clerk, &approval).await,
                dry_run_output(&clerk, &request_yaml("acme", "")).await,
            ];
            let expected = all.iter().zip(["Only the operator", "approve-removals", &self.clerk]);
            if expected.into_iter().all(|(answer, words)| answer.contains(words)) {
                Ok(())
            } else {
                Err(format!("{all:?}"))
            }
        })
        .await;
    }

    /// Runs `kubectl ARGS` as an admin; a policy must reject it.
    async fn assert_denied(&self, args: &[&str], yaml: &str) {
        let output = self.env.kubectl.run_with_stdin(args, yaml).await.expect("kubectl");
        let refused = output.into_stdout().expect_err("rejected").to_string();
        let why = format!("Only the operator ({}) writes UserRosters and UserSlices.", self.env.operator_user);
        assert!(refused.contains(&why) && refused.contains("delete its BoxConnection"), "{args:?}: {refused}");
    }

    /// Runs `kubectl boxsync ARGS` as the clerk; returns its exit code and output.
    async fn run_plugin(&self, args: &[&str]) -> (i32, String) {
        let output = self.plugin.run(args).await.expect("the plugin");
        (output.status.code().unwrap_or(-1), output.stdout + &output.stderr)
    }

    /// The requesters of the last attempt in the connection's history.
    async fn last_requesters(&self) -> Vec<String> {
        let status = self.env.connections_api().get("acme").await.expect("read").status.expect("a status");
        status.history.into_iter().next().expect("an attempt").requested_by
    }
}

#[tokio::test]
async fn only_the_operator_writes_lists_and_they_are_deleted_with_their_connection() {
    let admission = AdmissionEnv::new("guarded lists").await;
    let env = &admission.env;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;

    let lists = ["userrosters,userslices"];
    let before = env.get_json(&lists).await;
    for words in [
        &["annotate", "userroster", "acme", "by=hand"][..],
        &["label", "userslices", "--all", "by=hand"],
        &["patch", "userroster", "acme", "--type=merge", "-p", r#"{"revision":99}"#],
        &["delete", "userroster", "acme"],
        &["delete", "userslices", "--all"],
    ] {
        admission.assert_denied(words, "").await;
    }
    admission.assert_denied(&["create", "-f", "-"], FORGED).await;
    assert_eq!(env.get_json(&lists).await["items"], before["items"]);

    // The operator and the configured users may still write.
    acme.add_user("Jane Doe", "jane.doe@acme.com");
    let done = env.run_request("acme").await.status.expect("a status");
    assert_eq!((done.added, done.revision), (Some(1), Some(2)));
    for who in [
        ["--as", RESTORER, "--as-group=system:masters"],
        ["--as=joe", "--as-group=backup-admins", "--as-group=system:masters"],
    ] {
        let words = [&["create", "-f", "-"], &who[..]].concat();
        env.kubectl.run_with_stdin(words, FORGED).await.expect("kubectl").into_stdout().expect("created");
        env.run(&[&["delete", "userslice", "forged"], &who[..]].concat()).await;
    }
    let words = ["create", "-f", "-", "--as", RESTORER, "--as-group=system:masters"];
    env.kubectl.run_with_stdin(words, FORGED).await.expect("kubectl").into_stdout().expect("created");

    env.run(&["delete", "boxconnection", "acme"]).await;
    eventually("only the list is garbage-collected", LONG_TIMEOUT, async || {
        let remaining = env.run(&["get", lists[0], "-o", "name"]).await;
        if remaining.trim() == "userslice.boxsync.dev/forged" { Ok(()) } else { Err(remaining) }
    })
    .await;
    let AdmissionEnv { env, .. } = admission;
    let (kubectl, namespace) = (env.kubectl.clone(), env.namespace.clone());
    env.stop_and_verify(operator).await;
    // Objects without an owner are deleted with their namespace.
    kubectl
        .run(["delete", "namespace", &namespace, "--timeout=110s"])
        .await
        .expect("kubectl")
        .into_stdout()
        .expect("deleted");
}

#[tokio::test]
async fn requesters_are_recorded_by_the_api_server_and_approvals_need_permission() {
    let admission = AdmissionEnv::new("guarded requests").await;
    let (env, clerk) = (&admission.env, admission.clerk.as_str());
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;

    acme.users().into_iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    let forged = request_yaml("acme", "").replace("metadata:\n", &format!("metadata:\n{FORGED_REQUESTER}"));
    let words = ["create", "-o", "name", "-f", "-", "--as", clerk];
    let created = env.kubectl.run_with_stdin(words, &forged).await.expect("kubectl").into_stdout().expect("created");
    let name = created.trim().rsplit('/').next().unwrap_or_default();
    assert_eq!(env.wait_until_finished(name).await.annotations()[REQUESTED_BY_ANNOTATION], clerk);
    assert_eq!(admission.last_requesters().await, [clerk]);
    for change in [&["--overwrite", "boxsync.dev/requested-by=the-king"][..], &["boxsync.dev/requested-by-"]] {
        env.run(&[&["annotate", "usersync", name], change].concat()).await;
        assert_eq!(env.requests_api().get(name).await.expect("read").annotations()[REQUESTED_BY_ANNOTATION], clerk);
    }
    let annotate = ["annotate", "boxconn", "acme", "boxsync.dev/requested-by=the-king"];
    env.run(&[&annotate[..], &["boxsync.dev/requested-at=tuesday"]].concat()).await;
    let handled = |c: &boxsync::api::BoxConnection| c.status.as_ref().is_some_and(|s| s.last_handled_request.is_some());
    wait_for_object(&env.connections_api(), "acme", "the annotation is handled", SHORT_TIMEOUT, handled).await;
    assert_eq!(admission.last_requesters().await, ["admin"]);

    // The permission to request a sync does not include approvals. The command in the error message grants it.
    env.wait_for_condition("acme", "Ready", "True", "RemovalsHeld").await;
    // The plugin wraps its lines.
    let unwrapped = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (code, printed) = admission.run_plugin(&["approve", "acme", "--yes"]).await;
    let printed = unwrapped(printed);
    let why = format!(
        "-approvals: Approving removals needs the verb approve-removals on BoxConnection acme, which {clerk} does not have."
    );
    assert!(
        code != 0 && printed.contains("denied by the admission policy ") && printed.contains(&why),
        "{code} {printed}"
    );
    env.wait_for_condition("acme", "Ready", "True", "RemovalsHeld").await;
    let (_, command) = printed.trim().trim_end_matches('.').split_once("can grant it: kubectl ").expect("a command");
    let command = command.replace("NAME", clerk);
    env.run(&command.split_whitespace().collect::<Vec<_>>()).await;
    eventually("the clerk has the permission", SHORT_TIMEOUT, async || {
        let words = ["auth", "can-i", "approve-removals", "boxconnections.boxsync.dev/acme", "--as", clerk];
        let answer = env.kubectl.run(words).await.expect("kubectl").stdout;
        if answer.trim() == "yes" { Ok(()) } else { Err(answer) }
    })
    .await;
    let (code, printed) = admission.run_plugin(&["approve", "acme", "--yes"]).await;
    assert!(code == 0 && printed.contains("300 removed"), "{code} {printed}");
    env.wait_until_ready("acme").await;

    let requested_by = format!("· requested by {clerk}");
    let rosters: Api<UserRoster> = env.api();
    let roster = rosters.get("acme").await.expect("a list").spec;
    assert_eq!((roster.journal[0].removed, &roster.journal[0].requested_by), (300, &vec![clerk.to_owned()]));
    let (_, changes) = admission.run_plugin(&["changes", "acme", "--revision", &roster.revision.to_string()]).await;
    let changes = unwrapped(changes);
    assert!(changes.contains(&format!("300 removed · 0 held {requested_by}")), "{changes}");
    let (_, status) = admission.run_plugin(&["status", "acme"]).await;
    let status = unwrapped(status);
    assert!(status.contains(&format!("· revision {} {requested_by}", roster.revision)), "{status}");
    let events: Value = env.get_json(&["events"]).await;
    assert!(!events.to_string().contains(clerk) && !operator.log().contains(clerk), "{}", operator.log());
    let AdmissionEnv { env, .. } = admission;
    env.stop_and_verify(operator).await;
}
