//! The chart's policies on the real API server: who writes lists, who lets held users go, and who asked.

use std::path::PathBuf;
use std::process::Command;

use boxsync::api::{REQUESTED_BY, UserRoster};
use harness::{Helm, account_user, eventually, reaches};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::stage::{ACCOUNT, LATER, SOON, Stage, acme, chart, plane, request};

const RESTORER: &str = "system:serviceaccount:velero:velero";
const CLAIM: &str = "  annotations: {boxsync.dev/requested-by: the-king}\n";

/// A list that Box knows nothing of.
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

/// A stage whose namespace the policies guard, and in it a clerk who may read lists and create requests.
struct Guarded {
    stage: Stage,
    /// The clerk's name, as the API server knows it.
    clerk: String,
    kubeconfig: PathBuf,
}

impl Guarded {
    async fn begin(story: &str) -> Self {
        let stage = Stage::begin(story).await;
        let namespace = stage.namespace.as_str();
        stage.run(&["create", "serviceaccount", "clerk"]).await;
        let all =
            ["boxconnections", "usersyncrequests", "userrosters", "userslices"].map(|r| format!("{r}.boxsync.dev"));
        let resources = format!("--resource={}", all.join(","));
        stage.run(&["create", "role", "clerk", "--verb=get,list,watch,create", &resources]).await;
        let subject = format!("--serviceaccount={namespace}:clerk");
        stage.run(&["create", "rolebinding", "clerk", "--role=clerk", &subject]).await;
        let values = json!({
            "serviceAccount": {"name": ACCOUNT},
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
        stage.apply(&helm.template(&chart(), namespace, namespace, &values).await.expect("rendered")).await;
        let kubeconfig = plane().await.kubeconfig_for(namespace, "clerk").await.expect("token");
        let guarded = Self { clerk: account_user(namespace, "clerk"), kubeconfig, stage };
        guarded.kept().await;
        guarded
    }

    /// Awaits that the API server knows all three policies.
    async fn kept(&self) {
        let approval = request("acme", &format!("  approveRemovals: {:?}\n", "0".repeat(64)));
        eventually("the policies are kept", SOON, async || {
            let dry = ["create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.metadata.annotations}"];
            let clerk = [&dry[..], &["--as", &self.clerk]].concat();
            let said = async |words: &[&str], yaml: &str| {
                let output = self.stage.kubectl.run_with(words, yaml).await.expect("kubectl");
                format!("{}{}", output.stdout, output.stderr)
            };
            let all =
                [said(&dry, FORGED).await, said(&clerk, &approval).await, said(&clerk, &request("acme", "")).await];
            let seen = all.iter().zip(["Only the operator", "approve-removals", &self.clerk]);
            if seen.into_iter().all(|(said, words)| said.contains(words)) { Ok(()) } else { Err(format!("{all:?}")) }
        })
        .await;
    }

    /// `kubectl ARGS` as an admin, which a policy refuses.
    async fn refused(&self, args: &[&str], yaml: &str) {
        let output = self.stage.kubectl.run_with(args, yaml).await.expect("kubectl");
        let refused = output.succeeded().expect_err("refused").to_string();
        let why = format!("Only the operator ({}) writes UserRosters and UserSlices.", self.stage.user);
        assert!(refused.contains(&why) && refused.contains("delete its BoxConnection"), "{args:?}: {refused}");
    }

    /// `kubectl boxsync ARGS` as the clerk: its exit code, and what it printed.
    async fn boxsync(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-boxsync"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        // Box is served by this thread: it must not stand still meanwhile.
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Who asked for the last attempt, as the connection's history has it.
    async fn asked(&self) -> Vec<String> {
        let status = self.stage.connections().get("acme").await.expect("read").status.expect("a status");
        status.history.into_iter().next().expect("an attempt").requested_by
    }
}

#[tokio::test]
async fn nobody_but_the_operator_writes_lists_and_they_go_with_their_connection_all_the_same() {
    let guarded = Guarded::begin("guarded lists").await;
    let stage = &guarded.stage;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;

    let lists = ["userrosters,userslices"];
    let before = stage.get(&lists).await;
    for words in [
        &["annotate", "userroster", "acme", "by=hand"][..],
        &["label", "userslices", "--all", "by=hand"],
        &["patch", "userroster", "acme", "--type=merge", "-p", r#"{"revision":99}"#],
        &["delete", "userroster", "acme"],
        &["delete", "userslices", "--all"],
    ] {
        guarded.refused(words, "").await;
    }
    guarded.refused(&["create", "-f", "-"], FORGED).await;
    assert_eq!(stage.get(&lists).await["items"], before["items"]);

    // The operator goes on, and so do those who are named.
    acme.add_user("Jane Doe", "jane.doe@acme.com");
    let done = stage.finished(&stage.ask("acme").await).await.status.expect("a status");
    assert_eq!((done.added, done.revision), (Some(1), Some(2)));
    for who in [
        ["--as", RESTORER, "--as-group=system:masters"],
        ["--as=joe", "--as-group=backup-admins", "--as-group=system:masters"],
    ] {
        let words = [&["create", "-f", "-"], &who[..]].concat();
        stage.kubectl.run_with(words, FORGED).await.expect("kubectl").succeeded().expect("created");
        stage.run(&[&["delete", "userslice", "forged"], &who[..]].concat()).await;
    }
    let words = ["create", "-f", "-", "--as", RESTORER, "--as-group=system:masters"];
    stage.kubectl.run_with(words, FORGED).await.expect("kubectl").succeeded().expect("created");

    stage.run(&["delete", "boxconnection", "acme"]).await;
    eventually("the list is collected, and nothing else", LATER, async || {
        let left = stage.run(&["get", lists[0], "-o", "name"]).await;
        if left.trim() == "userslice.boxsync.dev/forged" { Ok(()) } else { Err(left) }
    })
    .await;
    let Guarded { stage, .. } = guarded;
    let (kubectl, namespace) = (stage.kubectl.clone(), stage.namespace.clone());
    stage.end(operator).await;
    // What has no owner goes with its namespace.
    kubectl
        .run(["delete", "namespace", &namespace, "--timeout=110s"])
        .await
        .expect("kubectl")
        .succeeded()
        .expect("gone");
}

#[tokio::test]
async fn who_asked_is_told_as_the_api_server_knows_it_and_removals_go_only_by_whom_it_trusts() {
    let guarded = Guarded::begin("guarded requests").await;
    let (stage, clerk) = (&guarded.stage, guarded.clerk.as_str());
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;

    acme.users().into_iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    let claims = request("acme", "").replace("metadata:\n", &format!("metadata:\n{CLAIM}"));
    let words = ["create", "-o", "name", "-f", "-", "--as", clerk];
    let created = stage.kubectl.run_with(words, &claims).await.expect("kubectl").succeeded().expect("created");
    let name = created.trim().rsplit('/').next().unwrap_or_default();
    assert_eq!(stage.finished(name).await.annotations()[REQUESTED_BY], clerk);
    assert_eq!(guarded.asked().await, [clerk]);
    for change in [&["--overwrite", "boxsync.dev/requested-by=the-king"][..], &["boxsync.dev/requested-by-"]] {
        stage.run(&[&["annotate", "usersync", name], change].concat()).await;
        assert_eq!(stage.requests().get(name).await.expect("read").annotations()[REQUESTED_BY], clerk);
    }
    let annotate = ["annotate", "boxconn", "acme", "boxsync.dev/requested-by=the-king"];
    stage.run(&[&annotate[..], &["boxsync.dev/requested-at=tuesday"]].concat()).await;
    let handled = |c: &boxsync::api::BoxConnection| c.status.as_ref().is_some_and(|s| s.last_handled_request.is_some());
    reaches(&stage.connections(), "acme", "the annotation is handled", SOON, handled).await;
    assert_eq!(guarded.asked().await, ["admin"]);

    // Who may ask for a sync may not yet let people go. What the refusal says to a cluster admin mends it.
    stage.told("acme", "Ready", "True", "RemovalsHeld").await;
    let (code, said) = guarded.boxsync(&["approve", "acme", "--yes"]).await;
    let why = format!(
        "a policy of this cluster refuses it: Approving removals takes the verb approve-removals on BoxConnection acme, which {clerk} does not have."
    );
    assert!(code != 0 && said.contains(&why), "{code} {said}");
    stage.told("acme", "Ready", "True", "RemovalsHeld").await;
    let (_, remedy) = said.trim().trim_end_matches('.').split_once("gives it: kubectl ").expect("a command");
    let remedy = remedy.replace("NAME", clerk);
    stage.run(&remedy.split_whitespace().collect::<Vec<_>>()).await;
    eventually("the clerk may", SOON, async || {
        let words = ["auth", "can-i", "approve-removals", "boxconnections.boxsync.dev/acme", "--as", clerk];
        let said = stage.kubectl.run(words).await.expect("kubectl").stdout;
        if said.trim() == "yes" { Ok(()) } else { Err(said) }
    })
    .await;
    let (code, said) = guarded.boxsync(&["approve", "acme", "--yes"]).await;
    assert!(code == 0 && said.contains("300 removed"), "{code} {said}");
    stage.ready("acme").await;

    let asked = format!("· asked for by {clerk}\n");
    let rosters: Api<UserRoster> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let roster = rosters.get("acme").await.expect("a list").spec;
    assert_eq!((roster.journal[0].removed, &roster.journal[0].requested_by), (300, &vec![clerk.to_owned()]));
    let (_, changes) = guarded.boxsync(&["changes", "acme", "--revision", &roster.revision.to_string()]).await;
    assert!(changes.contains(&format!("300 removed · 0 held {asked}")), "{changes}");
    let (_, status) = guarded.boxsync(&["status", "acme"]).await;
    assert!(status.contains(&format!("· revision {} {asked}", roster.revision)), "{status}");
    let events: Value = stage.get(&["events"]).await;
    assert!(!events.to_string().contains(clerk) && !operator.log().contains(clerk), "{}", operator.log());
    let Guarded { stage, .. } = guarded;
    stage.end(operator).await;
}
