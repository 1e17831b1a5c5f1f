//! What Argo CD, Flux and kubectl say of each object, in every state that the operator leaves it in.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    judges::{Flux, Health, Standing, argo, check, full, kstatus, kubectl_wait, repository},
    states::{self, Album, State},
    testing::assert_generated,
};

const KINDS: [&str; 3] = ["BoxConnection", "UserRoster", "UserSyncRequest"];

/// The states of a kind, gone through once.
async fn of(kind: &str) -> &'static Album {
    static CONNECTIONS: OnceCell<Album> = OnceCell::const_new();
    static REQUESTS: OnceCell<Album> = OnceCell::const_new();
    static ROSTERS: OnceCell<Album> = OnceCell::const_new();
    match kind {
        "BoxConnection" => CONNECTIONS.get_or_init(states::connections).await,
        "UserRoster" => ROSTERS.get_or_init(states::rosters).await,
        "UserSyncRequest" => REQUESTS.get_or_init(states::requests).await,
        other => unreachable!("{other} has no states"),
    }
}

/// What is true of all three, whatever the state.
fn contradictions(object: &Value, flux: &Flux) -> Vec<&'static str> {
    let (kstatus, flux, argo) = (kstatus(object), flux.standing(object), argo(object).status);
    let deleted = kstatus == Standing::Terminating;
    let suspended = object["spec"]["suspend"] == true && argo == "Suspended";
    let ready = kubectl_wait(object, "Ready") || kubectl_wait(object, "Complete");
    let rules = [
        ("what Argo CD calls healthy is current in Flux", argo != "Healthy" || flux == Standing::Current),
        ("what is degraded in Argo CD has failed in Flux", (argo == "Degraded") == (flux == Standing::Failed)),
        ("what is current in Flux is healthy in Argo CD", flux != Standing::Current || argo == "Healthy" || suspended),
        ("what Git suspends is current in Flux", !suspended || flux == Standing::Current),
        ("what goes away is current for nobody", !deleted || (flux, &*argo) == (Standing::InProgress, "Progressing")),
        ("what kstatus calls current Flux does too", kstatus != Standing::Current || flux == Standing::Current),
        (
            "what kstatus calls failed Flux does too",
            kstatus != Standing::Failed || flux == Standing::Failed || suspended,
        ),
        ("nothing is healthy for which kubectl waits", argo != "Healthy" || ready || object["kind"] == "UserRoster"),
    ];
    rules.into_iter().filter(|(_, holds)| !holds).map(|(rule, _)| rule).collect()
}

#[tokio::test(start_paused = true)]
async fn argo_cd_and_flux_and_kubectl_do_not_contradict_each_other() {
    let flux = Flux::ours();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for kind in KINDS {
        let album = of(kind).await;
        for object in album.states.iter().map(|state| state.object.clone()).chain(album.written()) {
            for rule in contradictions(&object, &flux) {
                let said = (kstatus(&object), flux.standing(&object), argo(&object));
                wrong.push(format!("{rule}: {said:?}: {object:#}"));
            }
            judged += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged > 100, "only {judged} objects");
}

#[test]
fn a_check_takes_an_object_without_a_status_for_one_that_nobody_has_looked_at() {
    for kind in ["BoxConnection", "UserSyncRequest"] {
        let script = repository(&format!("config/argocd/boxsync.dev/{kind}/health.lua"));
        for status in [json!(null), json!({}), json!({ "conditions": [] }), json!({ "observedGeneration": -1 })] {
            let mut object = json!({ "kind": kind, "metadata": { "generation": 1 }, "spec": {}, "status": status });
            if status.is_null() {
                object.as_object_mut().expect("an object").remove("status");
            }
            let Health { status, message } = check(&script, &object);
            assert_eq!(status, "Progressing", "{object}");
            assert!(message.starts_with("No operator has looked"), "{message}");
        }
    }
}

/// An object without its numbers: times, counts and ids of requests to Box differ from run to run.
fn shape(object: &Value) -> String {
    let mut shape = String::new();
    for word in object.to_string().split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (word, end) = word.split_at(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
        shape.push_str(if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
        shape.push_str(end);
    }
    shape
}

/// The committed object, which is one that the operator still makes.
fn committed(path: &str, fresh: &Value) -> Value {
    let known = fs::read_to_string(full(path)).ok().and_then(|yaml| serde_saphyr::from_str::<Value>(&yaml).ok());
    let object = known.filter(|known| shape(known) == shape(fresh)).unwrap_or_else(|| fresh.clone());
    assert_generated(path, &serde_saphyr::to_string(&object).expect("YAML"));
    object
}

/// The folder is laid out as resource_customizations of Argo CD is, and its tests run there as they are.
#[tokio::test(start_paused = true)]
async fn the_checks_for_argo_cd_come_with_real_objects_and_what_they_say_of_them() {
    for kind in KINDS {
        let folder = format!("config/argocd/boxsync.dev/{kind}");
        let mut tests = String::from("tests:\n");
        let mut expected = BTreeSet::new();
        // Of an object that is being deleted no check is asked.
        for state in of(kind).await.states.iter().filter(|s| kstatus(&s.object) != Standing::Terminating) {
            let input = format!("testdata/{}.yaml", state.name);
            let Health { status, message } = argo(&committed(&format!("{folder}/{input}"), &state.object));
            assert_eq!(status, argo(&state.object).status, "{kind} {}", state.name);
            let message = Value::from(message);
            let _ =
                write!(tests, "- healthStatus:\n    status: {status}\n    message: {message}\n  inputPath: {input}\n");
            expected.insert(format!("{}.yaml", state.name));
        }
        assert_generated(&format!("{folder}/health_test.yaml"), &tests);
        let found = fs::read_dir(full(&format!("{folder}/testdata"))).expect("readable");
        let found = found.map(|file| file.expect("readable").file_name().to_string_lossy().into_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{kind}");
    }
}

#[test]
fn the_configuration_of_argo_cd_holds_the_checks_as_they_are() {
    let mut map = String::from(
        "\
# The health checks of boxsync.dev for Argo CD, made from the folder beside this file by `make generate`. To add them to
# an Argo CD that is there:
#
#   kubectl patch configmap argocd-cm --namespace argocd --type merge --patch-file argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
data:
",
    );
    for kind in KINDS {
        let _ = writeln!(map, "  resource.customizations.health.boxsync.dev_{kind}: |");
        for line in repository(&format!("config/argocd/boxsync.dev/{kind}/health.lua")).lines() {
            let _ = writeln!(map, "{}", format!("    {line}").trim_end());
        }
    }
    assert_generated("config/argocd/argocd-cm.yaml", &map);
    let read: Value = serde_saphyr::from_str(&map).expect("YAML");
    for kind in KINDS {
        let script = repository(&format!("config/argocd/boxsync.dev/{kind}/health.lua"));
        assert_eq!(read["data"][format!("resource.customizations.health.boxsync.dev_{kind}")], script);
    }
}

/// What stands between a line `<!-- NAME -->` and the line `<!-- end -->` after it.
fn filled(page: &str, name: &str, content: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no line {begin}"));
    let (_, after) = rest.split_once("<!-- end -->\n").expect("an end");
    format!("{before}{begin}{content}<!-- end -->\n{after}")
}

fn table(kind: &str, condition: &str, states: &[State], flux: &Flux) -> String {
    let mut table = format!(
        "| {kind} | `{condition}` | `kubectl wait` | kstatus, Flux | Flux with our expressions | Argo CD |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for State { what, object, .. } in states {
        let told = object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == condition);
        let word = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
        let told = told.map_or_else(String::new, |c| format!("{} {}", word(c, "status"), word(c, "reason")));
        let ends = if kubectl_wait(object, condition) { "ends" } else { "waits" };
        let (kstatus, flux, argo) = (kstatus(object), flux.standing(object), argo(object).status);
        let _ = writeln!(table, "| {what} | {told} | {ends} | {kstatus:?} | {flux:?} | {argo} |");
    }
    table
}

#[tokio::test(start_paused = true)]
async fn the_page_on_gitops_tells_what_everybody_says_of_every_state() {
    let flux = Flux::ours();
    let mut page = repository("docs/gitops.md");
    for (kind, condition) in [("BoxConnection", "Ready"), ("UserSyncRequest", "Complete")] {
        page = filled(&page, kind, &table(kind, condition, &of(kind).await.states, &flux));
    }
    let file = "config/flux/health-checks.yaml";
    page = filled(&page, file, &format!("```yaml\n{}\n```\n", repository(file).trim_end()));
    assert_generated("docs/gitops.md", &page);
}
