//! The commands of the docs, run as they are written: those below a line `<!-- run -->`, in the order of a first connection,
//! its days and its end, and some longer stories.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use box_sim::EnterpriseConfig;
use boxsync::api::CONNECTION_LABEL;
use harness::{Helm, PROXY_VARIABLES, TempDir, eventually, exclusive_control_plane, tools};

use crate::env::{E2eEnv, PLUGIN, SHORT_TIMEOUT, repo_path};

/// The pages with commands that are run, in this order.
const STORY: &[&str] = &[
    "connecting.md",
    "reading.md",
    "consuming.md",
    "syncing.md",
    "kubectl-boxsync.md",
    "coverage.md",
    "missing.md",
    "on-call.md",
    "alerts.md",
    "approving.md",
    "credentials.md",
    "security.md",
    "rights.md",
    "managing.md",
];

/// A command of the docs, with what the page shows below it.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Vec<String>,
    exit_code: i32,
}

/// The commands of the first block below this marker that contains these words; all such blocks if there are no words.
fn shown_commands(page: &str, marker: &str, words: &str) -> Vec<Shown> {
    let text = fs::read_to_string(repo_path("docs").join(page)).expect("readable");
    let blocks = text.split(marker).skip(1).filter_map(|rest| {
        let (_, block) = rest.split_once("```console\n")?;
        Some(block.split_once("```")?.0)
    });
    let mut shown: Vec<Shown> = Vec::new();
    for block in blocks.filter(|block| block.contains(words)).take(if words.is_empty() { usize::MAX } else { 1 }) {
        let mut lines = block.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("$ ") else {
                shown.last_mut().expect("a command first").output.push(line.to_owned());
                continue;
            };
            if command == "echo $?" {
                let code = lines.next().and_then(|code| code.parse().ok()).expect("an exit code");
                shown.last_mut().expect("a command first").exit_code = code;
                continue;
            }
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command.push('\n');
                command.push_str(lines.next().expect("the command goes on"));
            }
            shown.push(Shown { command, output: Vec::new(), exit_code: 0 });
        }
    }
    assert!(!shown.is_empty(), "{page} shows no command below {marker}");
    shown
}

/// A terminal in a copy of the repository, with kubectl, the plugin and helm on the PATH.
struct Terminal {
    folder: TempDir,
    box_url: String,
}

impl Terminal {
    fn new(kubeconfig: &Path, namespace: &str, kubectl: &Path, helm: &Helm, box_url: String) -> Self {
        tools::require_programs(&["bash", "jq"]).unwrap_or_else(|e| panic!("the docs cannot run: {e}"));
        let folder = TempDir::new("docs").expect("scratch");
        let link = |target: &Path, name: &str| symlink(target, folder.path().join(name)).expect("linked");
        fs::create_dir(folder.path().join("bin")).expect("made");
        for (program, name) in [(kubectl, "kubectl"), (Path::new(PLUGIN), "kubectl-boxsync"), (helm.program(), "helm")]
        {
            link(program, &format!("bin/{name}"));
        }
        for name in ["charts", "crds"] {
            link(&repo_path(name), name);
        }
        fs::create_dir_all(folder.path().join("config/samples")).expect("made");
        fs::copy(kubeconfig, folder.path().join("kubeconfig")).expect("copied");
        let terminal = Self { folder, box_url };
        terminal.run(&format!("kubectl config set-context --current --namespace={namespace}"));
        terminal
    }

    fn in_env(env: &E2eEnv, helm: &Helm) -> Self {
        Self::new(env.admin_kubeconfig(), &env.namespace, env.kubectl.program(), helm, env.box_url())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exit code, standard output and standard error.
    fn try_run(&self, command: &str) -> (i32, String, String) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        let mut bash = Command::new("bash");
        bash.args(["-o", "pipefail", "-c", command]).current_dir(self.folder.path());
        bash.env("PATH", std::env::join_paths(path).expect("a PATH")).env("KUBECONFIG", self.path("kubeconfig"));
        bash.env("KUBERC", "off").env("BOXSYNC_BOX_API_URL", &self.box_url).env("HOME", self.folder.path());
        PROXY_VARIABLES.iter().for_each(|name| {
            bash.env_remove(name);
        });
        let output = tokio::task::block_in_place(|| bash.output()).expect("bash runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    fn run(&self, command: &str) -> String {
        let (code, out, err) = self.try_run(command);
        assert_eq!(code, 0, "{command}\n{out}{err}");
        out
    }

    /// Runs a command of the docs: the exit code is the one that the page shows, and a table has its columns.
    fn run_shown(&self, page: &str, shown: &Shown) {
        // `head` closes the pipe; that is no failure.
        let (code, out, err) = self.try_run(&shown.command);
        assert_eq!(code, shown.exit_code, "{page}: {}\n{out}{err}", shown.command);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let header =
            |line: &&String| line.contains("  ") && line.chars().all(|c| c.is_uppercase() || c == ' ' || c == '-');
        if let Some(header) = shown.output.first().filter(header) {
            assert_eq!(words(out.lines().next().unwrap_or_default()), words(header), "{page}: {}", shown.command);
        }
    }
}

/// The sample of a connection, with real values.
fn write_samples(terminal: &Terminal, enterprise: &box_sim::Enterprise) {
    for name in ["connection-client-credentials.yaml", "request.yaml"] {
        let sample = fs::read_to_string(repo_path("config/samples").join(name)).expect("readable");
        let filled = sample
            .replace("put-the-client-id-here", &enterprise.client_id())
            .replace("put-the-client-secret-here", &enterprise.client_secret());
        fs::write(terminal.path("config/samples").join(name), filled).expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_docs_run_as_they_are_written() {
    let with_commands: BTreeSet<String> = fs::read_dir(repo_path("docs"))
        .expect("readable")
        .map(|entry| entry.expect("readable"))
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "md"))
        .filter(|entry| {
            let page = fs::read_to_string(entry.path()).expect("readable");
            page.lines().any(|line| line.trim() == "<!-- run -->")
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(with_commands, STORY.iter().map(|page| (*page).to_owned()).collect());

    let env = E2eEnv::new("docs").await;
    let helm = Helm::new().await.expect("helm");
    // The id is that of the sample.
    let acme = env.sim.add_enterprise(EnterpriseConfig::new("1234567").name("Acme").users(1_200));
    acme.add_user("Jane Roe", "jane@acme.example");
    env.secrets.add(acme.client_secret());
    let terminal = Terminal::in_env(&env, &helm);
    write_samples(&terminal, &acme);
    let operator = env.start_operator();
    for page in STORY {
        // Somebody leaves, so that there is a removed user to show.
        if *page == "syncing.md" {
            let leaver = acme.users().swap_remove(0);
            acme.remove_user(leaver.id).expect("there");
        }
        for shown in shown_commands(page, "<!-- run -->", "") {
            terminal.run_shown(page, &shown);
        }
    }
    // The plugin called this Box too, so the calls are not judged as the operator's.
    drop(operator);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_erased_by_the_documented_commands() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("erase").await;
    let terminal = Terminal::in_env(&env, &Helm::new().await.expect("helm"));
    // Another connection lists the same enterprise, and still has the person.
    env.connect_by_client_credentials("acme-too", &acme).await;
    env.wait_until_ready("acme-too").await;
    let person = acme.users().swap_remove(7);
    let id = person.id.to_string();
    acme.remove_user(person.id).expect("there");

    let shown = shown_commands("personal-data.md", "<!-- tested: one_person_is_erased", "userslices");
    let [sync, find, delete, again] = shown.as_slice() else { panic!("{shown:?}") };
    terminal.run(&sync.command);
    let find = find.command.replace("1927241", &id);
    let found = terminal.run(&find);
    let slices: Vec<&str> = found.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for state in ["Live", "Removed", "Changes"] {
        assert!(found.lines().any(|line| line.ends_with(state)), "{state}: {found}");
    }
    for name in &slices {
        let slice = env.get_json(&["userslice", name]).await;
        assert_eq!(slice["metadata"]["labels"][CONNECTION_LABEL], "acme", "a slice of another connection: {found}");
    }
    let (command, _) = delete.command.split_once(" acme-").expect("names of slices");
    terminal.run(&format!("{command} {}", slices.join(" ")));
    terminal.run(&again.command);
    assert_eq!(terminal.run(&find), "", "the person is gone");
    let (code, out, err) = terminal.try_run(&format!("kubectl boxsync why acme {id}"));
    assert_eq!(code, 1, "{out}{err}");
    env.stop_and_verify(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_backup_is_restored_and_adopted() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("backup").await;
    let terminal = Terminal::in_env(&env, &Helm::new().await.expect("helm"));
    let gone = acme.users().swap_remove(3);
    acme.remove_user(gone.id).expect("there");
    env.run_request("acme").await;
    let marker = "<!-- tested: the_documented_backup_is_restored_and_adopted -->";
    for shown in shown_commands("backup.md", marker, "everything.json") {
        terminal.run(&shown.command);
    }
    env.stop_and_verify(operator).await;
    terminal.run("kubectl delete boxconnection acme && kubectl wait --for=delete userroster/acme --timeout=2m");

    for shown in shown_commands("backup.md", marker, "create -f") {
        terminal.run(&shown.command);
    }
    let operator = env.start_operator();
    env.wait_until_ready("acme").await;
    let roster = env.get_json(&["userroster", "acme"]).await;
    let connection = env.get_json(&["boxconnection", "acme"]).await;
    assert_eq!(roster["metadata"]["ownerReferences"][0]["uid"], connection["metadata"]["uid"], "it was adopted");
    assert!(roster["revision"].as_i64() >= Some(2), "the revision continues: {}", roster["revision"]);
    let removed = terminal.run("kubectl boxsync users acme --removed -o json");
    assert!(removed.contains(&gone.login), "the record of removed users was restored");
    env.stop_and_verify(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_takes_over_crds_that_kubectl_installed() {
    for helm in [Helm::new().await.expect("helm"), Helm::new_v3().await.expect("helm")] {
        let plane = exclusive_control_plane("take over").await.expect("control plane");
        let kubectl = plane.kubectl();
        let terminal =
            Terminal::new(plane.admin_kubeconfig(), "default", kubectl.program(), &helm, "http://127.0.0.1".to_owned());
        let version_3 = terminal.run("helm version --short").starts_with("v3");
        let marker = "<!-- tested: helm_takes_over_crds_that_kubectl_installed -->";
        for shown in shown_commands("try.md", marker, "crds/") {
            terminal.run(&shown.command);
        }
        terminal.run("kubectl wait --for=condition=Established crd --all --timeout=60s");
        let list = "apiVersion: boxsync.dev/v1alpha1\nkind: BoxConnection\nmetadata: {name: acme}\nspec: \
                    {enterpriseId: \"1\", auth: {jwt: {secretRef: {name: a}}}}";
        kubectl.apply_yaml(list).await.expect("kubectl").into_stdout().expect("applied");

        let [install] = &mut *shown_commands("installing.md", marker, "--take-ownership") else {
            panic!("one command")
        };
        let plain = install.command.split(" --take-ownership").next().unwrap_or_default();
        let (code, _, refused) = terminal.try_run(plain);
        assert!(code != 0 && refused.contains("cannot be imported into the current release"), "{code} {refused}");
        if version_3 {
            install.command = install.command.replace(" --force-conflicts", "");
        }
        terminal.run(&install.command);
        let force = if version_3 { "" } else { "--force-conflicts" };
        terminal.run(&format!(
            "helm upgrade boxsync-operator charts/boxsync-operator --namespace boxsync --reset-then-reuse-values {force}"
        ));
        let kept = kubectl.get_json(["boxconnection", "acme"]).await.expect("read");
        assert_eq!(kept["metadata"]["name"], "acme", "nothing was deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_admin_installs_after_the_documented_steps_of_a_cluster_admin() {
    let plane = exclusive_control_plane("namespace admin").await.expect("control plane");
    let helm = Helm::new().await.expect("helm");
    let kubectl = plane.kubectl();
    let admin =
        Terminal::new(plane.admin_kubeconfig(), "default", kubectl.program(), &helm, "http://127.0.0.1".to_owned());
    let marker = "<!-- tested: a_namespace_admin_installs_after_the_documented_steps_of_a_cluster_admin -->";
    for shown in shown_commands("installing.md", marker, "show-only") {
        admin.run(&shown.command);
    }
    admin.run("kubectl create serviceaccount owner -n boxsync");
    admin.run("kubectl create rolebinding owner -n boxsync --clusterrole=admin --serviceaccount=boxsync:owner");
    let owner_config = plane.kubeconfig_for("boxsync", "owner").await.expect("token");
    let owner = Terminal::new(&owner_config, "boxsync", kubectl.program(), &helm, "http://127.0.0.1".to_owned());
    let install = "helm install boxsync-operator charts/boxsync-operator --namespace boxsync \
                   --set 'watchNamespaces={team-a}' --set crds.install=false,userRoles.create=false \
                   --set rosterReader.create=false,rbac.create=false --set image.repository=REGISTRY/boxsync-operator";
    eventually("the namespace's admin installs it", SHORT_TIMEOUT, async || match owner.try_run(install) {
        (0, ..) => Ok(()),
        (code, out, err) => Err(format!("{code} {out}{err}")),
    })
    .await;
    let operator = "system:serviceaccount:boxsync:boxsync-operator";
    for right in
        ["watch boxconnections -n team-a", "get secrets -n team-a", "update leases/boxsync-operator -n boxsync"]
    {
        admin.run(&format!("kubectl auth can-i {right} --as {operator}"));
    }
}
