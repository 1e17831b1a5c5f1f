//! The demo keeps running: commands to try, and the tables whenever they change.

use std::time::Duration;

use futures::StreamExt as _;
use harness::{Error, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::config::Kubeconfig;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, Config};

use crate::story::{DemoRun, sibling_program};

/// Changes within this time are printed together.
const DEBOUNCE: Duration = Duration::from_millis(400);
const RETRY_DELAY: Duration = Duration::from_secs(2);

pub(crate) async fn run_until_interrupted(demo: &mut DemoRun<'_>) -> Result<()> {
    print_instructions(demo)?;
    let client = client_from_kubeconfig(&demo.kubeconfig).await?;
    let watch = |kind: &'static str, plural: &'static str| {
        let gvk = GroupVersionKind::gvk("boxsync.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &demo.cluster.namespace, &resource);
        watcher(api, watcher::Config::default())
            .filter_map(async |event| match event {
                Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => Some(true),
                Ok(_) => None,
                Err(_) => Some(false),
            })
            .map(move |changed| (plural, changed))
            .boxed()
    };
    let mut changes =
        futures::stream::select(watch("BoxConnection", "boxconnections"), watch("UserSyncRequest", "usersyncrequests"));
    while let Some((plural, changed)) = changes.next().await {
        if !changed {
            // The API server is unavailable or rejected the watch; the watcher retries.
            tokio::time::sleep(RETRY_DELAY).await;
            continue;
        }
        let mut tables = vec![plural];
        while let Ok(Some((plural, changed))) = tokio::time::timeout(DEBOUNCE, changes.next()).await {
            if changed && !tables.contains(&plural) {
                tables.push(plural);
            }
        }
        tables.sort_unstable();
        for table in tables {
            demo.run(&format!("get {table}")).await?;
        }
    }
    Ok(())
}

fn print_instructions(demo: &DemoRun<'_>) -> Result<()> {
    let screen = demo.screen;
    screen.heading("The demo keeps running. In another terminal:");
    screen.blank_line();
    let (mut kubectl, mut target) = ("kubectl".to_owned(), String::new());
    match (demo.cluster.admin_kubeconfig(), demo.cluster.context()) {
        (Some(path), _) => {
            screen.print(&format!("  export KUBECONFIG={}", path.display()));
            if let Some(folder) = demo.kubectl.program().parent().filter(|_| !is_on_path("kubectl")) {
                screen.print(&format!("  export PATH=\"$PATH:{}\"", folder.display()));
            }
        }
        (None, Some(context)) => {
            target = format!(" --context {context} -n {}", demo.cluster.namespace);
            kubectl.push_str(&target);
        }
        (None, None) => {}
    }
    let plugin = sibling_program("kubectl-boxsync")?;
    if let Some(folder) = plugin.parent().filter(|_| !is_on_path("kubectl-boxsync")) {
        screen.print(&format!("  export PATH=\"$PATH:{}\"", folder.display()));
    }
    screen.print(&format!("  export BOX={}", demo.demo_box.url()));
    // The plugin calls Box from the terminal: check, approve, connect.
    screen.print("  export BOXSYNC_BOX_API_URL=$BOX");
    screen.print(&format!("  cd {}", demo.dir.display()));
    screen.blank_line();
    screen.print(&format!("  {kubectl} describe boxconnection acme"));
    screen.print(&format!("  {kubectl} explain boxconnection.spec"));
    screen.print(&format!("  {kubectl} create -f request-acme.yaml"));
    screen.print(&format!("  kubectl boxsync status --all{target}"));
    screen.print(&format!("  kubectl boxsync users acme --search a{target}"));
    screen.print(&format!("  kubectl boxsync sync acme --wait{target}"));
    screen.blank_line();
    screen.print("  curl -X POST $BOX/admin/enterprises/1001/users \\");
    screen.print("    --json '{\"name\": \"Ada Lovelace\", \"login\": \"ada@acme.example\"}'");
    screen.print("  curl -X POST $BOX/admin/enterprises/1001/deauthorize-app  # then create a request");
    screen.print("  curl -X POST $BOX/admin/enterprises/1001/authorize-app    # detected within a minute");
    screen.print("  curl $BOX/admin/behaviours                             # other behaviours of the simulated Box");
    screen.blank_line();
    if let Some(operator) = &demo.cluster.operator {
        screen.print(&format!("The operator's log: {}", operator.log_path().display()));
    }
    screen.print("Tables are printed when they change. Press Ctrl-C to stop and clean up.");
    Ok(())
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

async fn client_from_kubeconfig(kubeconfig: &std::path::Path) -> Result<Client> {
    let watch_error = |e: &dyn std::fmt::Display| Error::new(format!("cannot watch the cluster: {e}"));
    let parsed = Kubeconfig::read_from(kubeconfig).map_err(|e| watch_error(&e))?;
    let config = Config::from_custom_kubeconfig(parsed, &Default::default()).await.map_err(|e| watch_error(&e))?;
    Client::try_from(config).map_err(|e| watch_error(&e))
}
