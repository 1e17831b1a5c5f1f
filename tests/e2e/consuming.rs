//! The jobs of docs/consuming.md: made by the real controllers; the commands of their pods are run here, as their account,
//! with the folder of the volume in place of its path.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use box_sim::Enterprise;
use harness::{Helm, PROXY_VARIABLES, TempDir, eventually, tools};
use serde_json::{Value, json};

use crate::env::{E2eEnv, PLUGIN, chart_path, repo_path, shared_plane};

/// Writes down for whom it is called, and fails for one of them.
const FAKE_RCLONE: &str = "\
#!/bin/sh
cat
echo \"$@\" >> \"$(dirname \"$0\")/calls\"
case \"$*\" in *=FAILS*) exit 1 ;; esac
";

/// What runs the containers of a pod: a folder for its volume, its account, and a program that stands for rclone.
struct PodRunner {
    folder: TempDir,
    kubeconfig: PathBuf,
}

impl PodRunner {
    async fn new(namespace: &str) -> Self {
        tools::require_programs(&["sh"]).unwrap_or_else(|e| panic!("the jobs cannot run: {e}"));
        let kubeconfig = shared_plane().await.kubeconfig_for(namespace, "box-backup").await.expect("a token");
        let folder = TempDir::new("pod").expect("scratch");
        fs::create_dir(folder.path().join("list")).expect("made");
        Self { folder, kubeconfig }
    }

    fn list_file(&self) -> PathBuf {
        self.folder.path().join("list/ids")
    }

    fn install_rclone(&self, failing_id: &str) {
        let rclone = self.folder.path().join("rclone");
        fs::write(&rclone, FAKE_RCLONE.replace("FAILS", failing_id)).expect("written");
        fs::set_permissions(&rclone, fs::Permissions::from_mode(0o755)).expect("executable");
        fs::remove_file(self.folder.path().join("calls")).ok();
    }

    /// Runs the container as the node would, with the environment of the pod; the exit code and standard error.
    async fn run(&self, container: &Value, index: Option<u32>, replaced: &[(&str, &str)]) -> (Option<i32>, String) {
        let volume = self.folder.path().join("list").display().to_string();
        let words = ["command", "args"].into_iter().flat_map(|key| container[key].as_array().into_iter().flatten());
        let words: Vec<String> = words
            .map(|word| {
                let word = word.as_str().expect("text").replace("/usr/local/bin/kubectl-boxsync", PLUGIN);
                let word = word.replace("/list", &volume);
                let word = replaced.iter().fold(word, |word, (from, to)| word.replace(from, to));
                match index {
                    Some(index) => word.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()),
                    None => word,
                }
            })
            .collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.folder.path().to_owned()).chain(std::env::split_paths(&path));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("KUBECONFIG", &self.kubeconfig);
        command.env("PATH", std::env::join_paths(path).expect("a PATH"));
        for proxy in PROXY_VARIABLES {
            command.env_remove(proxy);
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }

    fn ids_in_file(&self) -> BTreeSet<String> {
        fs::read_to_string(self.list_file()).expect("written").lines().map(str::to_owned).collect()
    }

    /// The ids for which rclone was called.
    fn backed_up_ids(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).expect("rclone was called");
        let mut ids: Vec<String> = calls
            .lines()
            .map(|call| {
                let (_, rest) = call.split_once("--box-impersonate=").expect("a user");
                let (id, target) = rest.split_once(" box: backup:acme/").expect("a target");
                assert_eq!(id, target, "{call}");
                id.to_owned()
            })
            .collect();
        ids.sort_unstable();
        ids
    }
}

fn ids(enterprise: &Enterprise) -> BTreeSet<String> {
    enterprise.users().iter().map(|user| user.id.to_string()).collect()
}

async fn create_consumer_role(env: &E2eEnv) {
    let values = json!({
        "rbac": {"create": false}, "serviceAccount": {"create": false}, "userRoles": {"create": false},
        "crds": {"install": false}, "replicaCount": 0,
    });
    let helm = Helm::new().await.expect("helm");
    env.apply_manifest(&helm.template(&chart_path(), "readers", &env.namespace, &values).await.expect("rendered"))
        .await;
}

/// The pods that the Job controller made, as soon as there are so many.
async fn wait_for_pods(env: &E2eEnv, job: &str, count: usize) -> Vec<Value> {
    let selector = format!("batch.kubernetes.io/job-name={job}");
    let pods = async || {
        let found = env.get_json(&["pods", "--selector", &selector]).await;
        let items = found["items"].as_array().cloned().unwrap_or_default();
        if items.len() == count { Ok(items) } else { Err(format!("{} pods", items.len())) }
    };
    eventually("the pods of the Job", Duration::from_secs(30), pods).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_jobs_of_the_docs_read_the_whole_list() {
    let env = E2eEnv::new("consuming").await;
    create_consumer_role(&env).await;
    // The strictest profile: what it refuses, no controller creates.
    env.run(&["label", "namespace", &env.namespace, "pod-security.kubernetes.io/enforce=restricted"]).await;
    let example = |name: &str| repo_path("docs/examples").join(name).display().to_string();
    env.run(&["apply", "-f", &example("backup-cronjob.yaml")]).await;
    env.run(&["create", "job", "tonight", "--from=cronjob/acme-backup"]).await;
    let pod = wait_for_pods(&env, "tonight", 1).await.remove(0);
    assert_eq!(pod["spec"]["serviceAccountName"], "box-backup");
    let (list, backup) = (&pod["spec"]["initContainers"][0], &pod["spec"]["containers"][0]);
    let runner = PodRunner::new(&env.namespace).await;
    let at_once: &[(&str, &str)] = &[("--wait=15m", "--wait=0s")];

    // No connection, no list.
    let (code, error) = runner.run(list, None, at_once).await;
    assert_eq!((code, error.contains("there is no BoxConnection acme")), (Some(8), true), "{error}");

    // The first list is published while the pod waits.
    let acme = crate::env::create_acme(&env.sim);
    let operator = env.start_operator();
    let publish = async {
        env.connect_by_client_credentials("acme", &acme).await;
        env.wait_until_ready("acme").await;
    };
    let ((code, error), ()) = tokio::join!(runner.run(list, None, &[]), publish);
    assert_eq!(code, Some(0), "{error}");
    let told = format!("Wrote 1,200 users of acme, revision 1, to {}.", runner.list_file().display());
    assert!(error.replace('\n', " ").contains(&told), "{error}");
    assert_eq!(runner.ids_in_file(), ids(&acme));
    let mode = fs::metadata(runner.list_file()).expect("written").permissions().mode();
    assert_eq!(mode & 0o444, 0o444, "another user of the pod can read it: {mode:o}");

    runner.install_rclone("nobody");
    assert_eq!(runner.run(backup, None, &[]).await.0, Some(0));
    assert_eq!(runner.backed_up_ids(), ids(&acme).into_iter().collect::<Vec<_>>());
    // One failure ends no other backup, and is not lost.
    runner.install_rclone(&acme.users()[3].id.to_string());
    assert_eq!(runner.run(backup, None, &[]).await.0, Some(1));
    assert_eq!(runner.backed_up_ids().len(), 1_200);

    // What is wrong leaves the file of the last night as it was.
    for (replaced, code, words) in [
        (
            ("--min-users=900", "--min-users=1201"),
            10,
            "only 1,200 users of acme (revision 1) match. --min-users asks for 1,201 at least.",
        ),
        (("--max-age=26h", "--max-age=1s"), 6, "the limit is 1s"),
        (("acme", "acmee"), 8, "there is no BoxConnection acmee"),
        (("/ids", "/missing/ids"), 64, "cannot be written"),
    ] {
        let (found, error) = runner.run(list, None, &[at_once[0], replaced]).await;
        assert_eq!((found, error.replace('\n', " ").contains(words)), (Some(code), true), "{error}");
        assert_eq!(runner.ids_in_file(), ids(&acme), "{error}");
    }

    let created = env.run(&["create", "-f", &example("backup-indexed-job.yaml"), "-o", "name"]).await;
    let job = created.trim().rsplit('/').next().expect("a name").to_owned();
    let mut all = BTreeSet::new();
    for pod in wait_for_pods(&env, &job, 4).await {
        let list = &pod["spec"]["initContainers"][0];
        let variables = list["env"].as_array().expect("variables");
        assert!(variables.iter().any(|variable| variable["name"] == "JOB_COMPLETION_INDEX"), "{list}");
        let index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"].as_str();
        let index = index.and_then(|index| index.parse().ok());
        let (code, error) = runner.run(list, index, &[]).await;
        assert_eq!(code, Some(0), "{error}");
        let shard = runner.ids_in_file();
        assert!((200..400).contains(&shard.len()), "{}", shard.len());
        assert!(shard.is_disjoint(&all));
        all.extend(shard);
    }
    assert_eq!(all, ids(&acme));
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_job_without_the_right_to_connections_is_told_so() {
    let env = E2eEnv::new("consuming-rights").await;
    create_consumer_role(&env).await;
    env.run(&["create", "serviceaccount", "box-backup"]).await;
    let subject = format!("--serviceaccount={}:box-backup", env.namespace);
    env.run(&["create", "rolebinding", "readers", "--clusterrole=boxsync-roster-reader", &subject]).await;
    let kubeconfig = shared_plane().await.kubeconfig_for(&env.namespace, "box-backup").await.expect("a token");
    let plugin = shared_plane().await.kubectl_as(&kubeconfig).for_plugin(Path::new(PLUGIN));
    let output = plugin.run(["users", "acme", "--max-age", "26h", "--wait", "1m"]).await.expect("the plugin");
    assert_eq!(output.status.code(), Some(8));
    assert!(output.stderr.contains("you are not allowed to get boxconnections"), "{}", output.stderr);
}
