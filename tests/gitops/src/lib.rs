//! The health of an object as kubectl, kstatus, Flux with our expressions and Argo CD with our checks compute it. Each
//! follows the published rules of its original.

use std::path::{Path, PathBuf};

use cel::{Context, Program};
use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib, serde::SerializeOptions};
use serde::Deserialize;
use serde_json::Value;

pub fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository").join(path)
}

/// What a file of this repository holds.
pub fn read_repository_file(path: &str) -> String {
    std::fs::read_to_string(repository_path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The results of kstatus, which Flux uses too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    InProgress,
    Failed,
    Current,
    Terminating,
}

fn integer_at(object: &Value, path: &str) -> Option<i64> {
    object.pointer(path).and_then(Value::as_i64)
}

fn status_conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

fn is_unobserved(object: &Value) -> bool {
    let observed = integer_at(object, "/status/observedGeneration");
    observed.is_some() && observed != integer_at(object, "/metadata/generation")
}

fn is_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// kstatus has no rules of its own for our kinds: these are those for all.
pub fn compute_kstatus(object: &Value) -> Kstatus {
    if is_deleted(object) {
        return Kstatus::Terminating;
    }
    if is_unobserved(object) {
        return Kstatus::InProgress;
    }
    for condition in status_conditions(object).filter(|c| c["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Kstatus::InProgress,
            Some("Stalled") => return Kstatus::Failed,
            _ => {}
        }
    }
    match status_conditions(object).find(|c| c["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Kstatus::InProgress,
        Some(_) | None => Kstatus::Current,
    }
}

/// Whether `kubectl wait --for=condition=KIND` ends.
pub fn kubectl_wait_ends(object: &Value, kind: &str) -> bool {
    let Some(condition) = status_conditions(object).find(|c| c["type"] == kind) else { return false };
    let observed =
        integer_at(condition, "/observedGeneration").or_else(|| integer_at(object, "/status/observedGeneration"));
    let behind = observed.is_some_and(|o| integer_at(object, "/metadata/generation").is_some_and(|g| o < g));
    condition["status"] == "True" && !behind
}

/// `spec.healthCheckExprs` of a Kustomization.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HealthCheckExprs {
    api_version: String,
    kind: String,
    in_progress: Option<String>,
    failed: Option<String>,
    current: String,
}

/// The expressions that we publish.
pub struct FluxHealthChecks(Vec<HealthCheckExprs>);

impl FluxHealthChecks {
    pub fn from_repository() -> Self {
        let file: Value =
            serde_saphyr::from_str(&read_repository_file("config/flux/health-checks.yaml")).expect("YAML");
        Self(serde_json::from_value(file["spec"]["healthCheckExprs"].clone()).expect("expressions"))
    }

    /// First the generation; then the first of the expressions, in Flux's order, that holds.
    pub fn evaluate_status(&self, object: &Value) -> Kstatus {
        if is_unobserved(object) {
            return Kstatus::InProgress;
        }
        let matches_kind = |e: &&HealthCheckExprs| object["apiVersion"] == *e.api_version && object["kind"] == *e.kind;
        let exprs = self.0.iter().find(matches_kind).unwrap_or_else(|| panic!("no expressions for {}", object["kind"]));
        [
            (exprs.in_progress.as_ref(), Kstatus::InProgress),
            (exprs.failed.as_ref(), Kstatus::Failed),
            (Some(&exprs.current), Kstatus::Current),
        ]
        .into_iter()
        .find(|(expression, _)| expression.is_some_and(|e| evaluate_cel(e, object)))
        .map_or(Kstatus::InProgress, |(_, status)| status)
    }
}

/// Evaluates an expression with the fields of the object as variables.
fn evaluate_cel(expression: &str, object: &Value) -> bool {
    let mut context = Context::default();
    for (name, value) in object.as_object().into_iter().flatten() {
        context.add_variable_from_value(name, cel::to_value(value).expect("JSON"));
    }
    let program = Program::compile(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    match program.execute(&context) {
        Ok(cel::Value::Bool(holds)) => holds,
        other => panic!("{expression}: {other:?} of {object:#}"),
    }
}

/// Health in Argo CD.
#[derive(Debug, Deserialize)]
pub struct ArgoHealth {
    pub status: String,
    #[serde(default)]
    pub message: String,
}

pub fn argo_health(object: &Value) -> ArgoHealth {
    // Before any check.
    if is_deleted(object) {
        return ArgoHealth { status: "Progressing".to_owned(), message: "Pending deletion".to_owned() };
    }
    let kind = object["kind"].as_str().expect("a kind");
    let health =
        run_health_script(&read_repository_file(&format!("config/argocd/boxsync.dev/{kind}/health.lua")), object);
    assert!(["Healthy", "Progressing", "Degraded", "Suspended"].contains(&health.status.as_str()), "{health:?}");
    assert!(!health.message.is_empty(), "{object:#}");
    health
}

/// Lua 5.1 with nothing but what Argo CD opens for checks in its ConfigMap; its `os`, which tells the time, is not
/// needed.
pub fn run_health_script(script: &str, object: &Value) -> ArgoHealth {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).expect("Lua");
    // Absent values are nil in Argo CD.
    let options = SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false);
    let object = lua.to_value_with(object, options).expect("JSON");
    lua.globals().set("obj", object).expect("set");
    let health = lua.load(script).eval().unwrap_or_else(|e| panic!("{e}"));
    lua.from_value(health).expect("a health")
}
