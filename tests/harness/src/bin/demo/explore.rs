//! explore — the demo keeps running: what to try, and the tables whenever they change.

use std::time::Duration;

use futures::StreamExt as _;
use harness::{Error, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::config::Kubeconfig;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, Config};

use crate::story::{Story, beside};

/// Changes that belong together come within this.
const SETTLE: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) async fn until_interrupted(story: &mut Story<'_>) -> Result<()> {
    advice(story)?;
    let client = client(&story.kubeconfig).await?;
    let watch = |kind: &'static str, plural: &'static str| {
        let gvk = GroupVersionKind::gvk("boxsync.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &story.cluster.namespace, &resource);
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
            // The API server is away or the watch was refused; the watcher comes again by itself.
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut tables = vec![plural];
        while let Ok(Some((plural, changed))) = tokio::time::timeout(SETTLE, changes.next()).await {
            if changed && !tables.contains(&plural) {
                tables.push(plural);
            }
        }
        tables.sort_unstable();
        for table in tables {
            story.run(&format!("get {table}")).await?;
        }
    }
    Ok(())
}

fn advice(story: &Story<'_>) -> Result<()> {
    let screen = story.screen;
    screen.heading("The demo keeps running. In another terminal:");
    screen.gap();
    let (mut kubectl, mut target) = ("kubectl".to_owned(), String::new());
    match (story.cluster.admin_kubeconfig(), story.cluster.context()) {
        (Some(path), _) => {
            screen.say(&format!("  export KUBECONFIG={}", path.display()));
            if let Some(folder) = story.kubectl.program().parent().filter(|_| !on_path("kubectl")) {
                screen.say(&format!("  export PATH=\"$PATH:{}\"", folder.display()));
            }
        }
        (None, Some(context)) => {
            target = format!(" --context {context} -n {}", story.cluster.namespace);
            kubectl.push_str(&target);
        }
        (None, None) => {}
    }
    let plugin = beside("kubectl-boxsync")?;
    if let Some(folder) = plugin.parent().filter(|_| !on_path("kubectl-boxsync")) {
        screen.say(&format!("  export PATH=\"$PATH:{}\"", folder.display()));
    }
    screen.say(&format!("  export BOX={}", story.boxes.url()));
    screen.say(&format!("  cd {}", story.folder.display()));
    screen.gap();
    screen.say(&format!("  {kubectl} describe boxconnection acme"));
    screen.say(&format!("  {kubectl} explain boxconnection.spec"));
    screen.say(&format!("  {kubectl} create -f request-acme.yaml"));
    screen.say(&format!("  kubectl boxsync status --all{target}"));
    screen.say(&format!("  kubectl boxsync users acme --search a{target}"));
    screen.say(&format!("  kubectl boxsync sync acme --wait{target}"));
    screen.gap();
    screen.say("  curl -X POST $BOX/admin/enterprises/1001/users \\");
    screen.say("    --json '{\"name\": \"Ada Lovelace\", \"login\": \"ada@acme.example\"}'");
    screen.say("  curl -X POST $BOX/admin/enterprises/1001/withdraw    # and then a request");
    screen.say("  curl -X POST $BOX/admin/enterprises/1001/grant       # found within a minute");
    screen.say("  curl $BOX/admin/behaviours                           # what else Box may do");
    screen.gap();
    if let Some(operator) = &story.cluster.operator {
        screen.say(&format!("The operator's log: {}", operator.log_path().display()));
    }
    screen.say("Tables follow here as they change. Ctrl-C takes everything down.");
    Ok(())
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

async fn client(kubeconfig: &std::path::Path) -> Result<Client> {
    let failed = |e: &dyn std::fmt::Display| Error::new(format!("cannot watch the cluster: {e}"));
    let parsed = Kubeconfig::read_from(kubeconfig).map_err(|e| failed(&e))?;
    let config = Config::from_custom_kubeconfig(parsed, &Default::default()).await.map_err(|e| failed(&e))?;
    Client::try_from(config).map_err(|e| failed(&e))
}
