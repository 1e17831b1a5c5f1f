//! Health of each object in Argo CD, Flux and kubectl, in every state that the operator can leave it in.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use gitops::{
    ArgoHealth, FluxHealthChecks, Kstatus, argo_health, compute_kstatus, kubectl_wait_ends, read_repository_file,
    repository_path, run_health_script,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    connection_states::{self, ObjectState, RecordedStates},
    test_support::assert_generated,
};

const KINDS: [&str; 3] = ["BoxConnection", "UserRoster", "UserSyncRequest"];

/// The states of a kind, recorded once.
async fn recorded_states(kind: &str) -> &'static RecordedStates {
    static CONNECTIONS: OnceCell<RecordedStates> = OnceCell::const_new();
    static REQUESTS: OnceCell<RecordedStates> = OnceCell::const_new();
    static ROSTERS: OnceCell<RecordedStates> = OnceCell::const_new();
    match kind {
        "BoxConnection" => CONNECTIONS.get_or_init(connection_states::record_connection_states).await,
        "UserRoster" => ROSTERS.get_or_init(connection_states::record_roster_states).await,
        "UserSyncRequest" => REQUESTS.get_or_init(connection_states::record_request_states).await,
        other => unreachable!("{other} has no states"),
    }
}

/// Rules that hold in every state.
fn contradictions(object: &Value, flux: &FluxHealthChecks) -> Vec<&'static str> {
    let (kstatus, flux, argo) = (compute_kstatus(object), flux.evaluate_status(object), argo_health(object).status);
    let deleted = kstatus == Kstatus::Terminating;
    let suspended = object["spec"]["suspend"] == true && argo == "Suspended";
    let ready = kubectl_wait_ends(object, "Ready") || kubectl_wait_ends(object, "Complete");
    let rules = [
        ("healthy in Argo CD is current in Flux", argo != "Healthy" || flux == Kstatus::Current),
        ("degraded in Argo CD is failed in Flux", (argo == "Degraded") == (flux == Kstatus::Failed)),
        ("current in Flux is healthy in Argo CD", flux != Kstatus::Current || argo == "Healthy" || suspended),
        ("suspended is current in Flux", !suspended || flux == Kstatus::Current),
        ("a deleted object is current for no tool", !deleted || (flux, &*argo) == (Kstatus::InProgress, "Progressing")),
        ("current in kstatus is current in Flux", kstatus != Kstatus::Current || flux == Kstatus::Current),
        ("failed in kstatus is failed in Flux", kstatus != Kstatus::Failed || flux == Kstatus::Failed || suspended),
        (
            "an object that kubectl waits for is not healthy",
            argo != "Healthy" || ready || object["kind"] == "UserRoster",
        ),
    ];
    rules.into_iter().filter(|(_, holds)| !holds).map(|(rule, _)| rule).collect()
}

#[tokio::test(start_paused = true)]
async fn argo_cd_and_flux_and_kubectl_do_not_contradict_each_other() {
    let flux = FluxHealthChecks::from_repository();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for kind in KINDS {
        let recorded = recorded_states(kind).await;
        for object in recorded.states.iter().map(|state| state.object.clone()).chain(recorded.status_writes()) {
            for rule in contradictions(&object, &flux) {
                let verdicts = (compute_kstatus(&object), flux.evaluate_status(&object), argo_health(&object));
                wrong.push(format!("{rule}: {verdicts:?}: {object:#}"));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 100, "only {checked} objects");
}

#[test]
fn a_health_check_reports_an_object_without_status_as_progressing() {
    for kind in ["BoxConnection", "UserSyncRequest"] {
        let script = read_repository_file(&format!("config/argocd/boxsync.dev/{kind}/health.lua"));
        for status in [json!(null), json!({}), json!({ "conditions": [] }), json!({ "observedGeneration": -1 })] {
            let mut object = json!({ "kind": kind, "metadata": { "generation": 1 }, "spec": {}, "status": status });
            if status.is_null() {
                object.as_object_mut().expect("an object").remove("status");
            }
            let ArgoHealth { status, message } = run_health_script(&script, &object);
            assert_eq!(status, "Progressing", "{object}");
            assert!(message.starts_with("No operator has processed"), "{message}");
        }
    }
}

/// The object with digits removed: times, counts and Box request IDs differ from run to run.
fn without_numbers(object: &Value) -> String {
    let mut shape = String::new();
    for word in object.to_string().split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (word, end) = word.split_at(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
        shape.push_str(if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
        shape.push_str(end);
    }
    shape
}

/// The committed object; updated if the operator's object differs in more than numbers.
fn committed_object(path: &str, fresh: &Value) -> Value {
    let known =
        fs::read_to_string(repository_path(path)).ok().and_then(|yaml| serde_saphyr::from_str::<Value>(&yaml).ok());
    let object =
        known.filter(|known| without_numbers(known) == without_numbers(fresh)).unwrap_or_else(|| fresh.clone());
    assert_generated(path, &serde_saphyr::to_string(&object).expect("YAML"));
    object
}

/// The folder has the layout of Argo CD's resource_customizations, so that its tests also run there.
#[tokio::test(start_paused = true)]
async fn the_argo_cd_checks_have_test_data_from_the_operator_and_expected_results() {
    for kind in KINDS {
        let folder = format!("config/argocd/boxsync.dev/{kind}");
        let mut tests = String::from("tests:\n");
        let mut expected = BTreeSet::new();
        // Argo CD runs no check on an object that is being deleted.
        for state in
            recorded_states(kind).await.states.iter().filter(|s| compute_kstatus(&s.object) != Kstatus::Terminating)
        {
            let input = format!("testdata/{}.yaml", state.name);
            let ArgoHealth { status, message } =
                argo_health(&committed_object(&format!("{folder}/{input}"), &state.object));
            assert_eq!(status, argo_health(&state.object).status, "{kind} {}", state.name);
            let message = Value::from(message);
            let _ =
                write!(tests, "- healthStatus:\n    status: {status}\n    message: {message}\n  inputPath: {input}\n");
            expected.insert(format!("{}.yaml", state.name));
        }
        assert_generated(&format!("{folder}/health_test.yaml"), &tests);
        let found = fs::read_dir(repository_path(&format!("{folder}/testdata"))).expect("readable");
        let found = found.map(|file| file.expect("readable").file_name().to_string_lossy().into_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{kind}");
    }
}

#[test]
fn the_argo_cd_config_map_contains_the_checks_verbatim() {
    let mut map = String::from(
        "\
# The health checks of boxsync.dev for Argo CD, generated from the folder next to this file by `make generate`. To add
# them to an existing Argo CD:
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
        for line in read_repository_file(&format!("config/argocd/boxsync.dev/{kind}/health.lua")).lines() {
            let _ = writeln!(map, "{}", format!("    {line}").trim_end());
        }
    }
    assert_generated("config/argocd/argocd-cm.yaml", &map);
    let read: Value = serde_saphyr::from_str(&map).expect("YAML");
    for kind in KINDS {
        let script = read_repository_file(&format!("config/argocd/boxsync.dev/{kind}/health.lua"));
        assert_eq!(read["data"][format!("resource.customizations.health.boxsync.dev_{kind}")], script);
    }
}

/// Replaces the text between a line `<!-- NAME -->` and the next line `<!-- end -->`.
fn replace_section(page: &str, name: &str, content: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no line {begin}"));
    let (_, after) = rest.split_once("<!-- end -->\n").expect("an end");
    format!("{before}{begin}{content}<!-- end -->\n{after}")
}

fn status_table(kind: &str, condition: &str, states: &[ObjectState], flux: &FluxHealthChecks) -> String {
    let mut table = format!(
        "| {kind} | `{condition}` | `kubectl wait` | kstatus, Flux | Flux with the published expressions | Argo CD |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for ObjectState { description, object, .. } in states {
        let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == condition);
        let text_of = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
        let condition_text =
            found.map_or_else(String::new, |c| format!("{} {}", text_of(c, "status"), text_of(c, "reason")));
        let wait_result = if kubectl_wait_ends(object, condition) { "succeeds" } else { "waits" };
        let (kstatus, flux, argo) = (compute_kstatus(object), flux.evaluate_status(object), argo_health(object).status);
        let _ =
            writeln!(table, "| {description} | {condition_text} | {wait_result} | {kstatus:?} | {flux:?} | {argo} |");
    }
    table
}

#[tokio::test(start_paused = true)]
async fn the_gitops_page_shows_the_result_of_every_tool_for_every_state() {
    let flux = FluxHealthChecks::from_repository();
    let mut page = read_repository_file("docs/gitops.md");
    for (kind, condition) in [("BoxConnection", "Ready"), ("UserSyncRequest", "Complete")] {
        page = replace_section(&page, kind, &status_table(kind, condition, &recorded_states(kind).await.states, &flux));
    }
    assert_generated("docs/gitops.md", &page);
}

#[test]
fn the_flux_page_shows_the_health_checks() {
    let file = "config/flux/health-checks.yaml";
    let checks = format!("```yaml\n{}\n```\n", read_repository_file(file).trim_end());
    assert_generated("docs/flux.md", &replace_section(&read_repository_file("docs/flux.md"), file, &checks));
}
