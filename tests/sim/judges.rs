//! What those who wait for an object say of it: kubectl, kstatus, Flux with our expressions, Argo CD with our checks.
//! Each follows the published rules of its original.

use std::path::{Path, PathBuf};

use cel::{Context, Program};
use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib, serde::SerializeOptions};
use serde::Deserialize;
use serde_json::Value;

pub(crate) fn full(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a file of this repository holds.
pub(crate) fn repository(path: &str) -> String {
    std::fs::read_to_string(full(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// kstatus, and Flux by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    InProgress,
    Failed,
    Current,
    Terminating,
}

fn number(object: &Value, path: &str) -> Option<i64> {
    object.pointer(path).and_then(Value::as_i64)
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

fn unobserved(object: &Value) -> bool {
    let observed = number(object, "/status/observedGeneration");
    observed.is_some() && observed != number(object, "/metadata/generation")
}

fn deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// kstatus has no rules of its own for our kinds: these are those for all.
pub(crate) fn kstatus(object: &Value) -> Standing {
    if deleted(object) {
        return Standing::Terminating;
    }
    if unobserved(object) {
        return Standing::InProgress;
    }
    for condition in conditions(object).filter(|c| c["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Standing::InProgress,
            Some("Stalled") => return Standing::Failed,
            _ => {}
        }
    }
    match conditions(object).find(|c| c["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Standing::InProgress,
        Some(_) | None => Standing::Current,
    }
}

/// Whether `kubectl wait --for=condition=KIND` ends.
pub(crate) fn kubectl_wait(object: &Value, kind: &str) -> bool {
    let Some(condition) = conditions(object).find(|c| c["type"] == kind) else { return false };
    let observed = number(condition, "/observedGeneration").or_else(|| number(object, "/status/observedGeneration"));
    let behind = observed.is_some_and(|o| number(object, "/metadata/generation").is_some_and(|g| o < g));
    condition["status"] == "True" && !behind
}

/// `spec.healthCheckExprs` of a Kustomization.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expressions {
    api_version: String,
    kind: String,
    in_progress: Option<String>,
    failed: Option<String>,
    current: String,
}

/// The expressions that we publish.
pub(crate) struct Flux(Vec<Expressions>);

impl Flux {
    pub(crate) fn ours() -> Self {
        let file: Value = serde_saphyr::from_str(&repository("config/flux/health-checks.yaml")).expect("YAML");
        Self(serde_json::from_value(file["spec"]["healthCheckExprs"].clone()).expect("expressions"))
    }

    /// First the generation; then the first of the expressions, in Flux's order, that holds.
    pub(crate) fn standing(&self, object: &Value) -> Standing {
        if unobserved(object) {
            return Standing::InProgress;
        }
        let of = |e: &&Expressions| object["apiVersion"] == *e.api_version && object["kind"] == *e.kind;
        let exprs = self.0.iter().find(of).unwrap_or_else(|| panic!("no expressions for {}", object["kind"]));
        [
            (exprs.in_progress.as_ref(), Standing::InProgress),
            (exprs.failed.as_ref(), Standing::Failed),
            (Some(&exprs.current), Standing::Current),
        ]
        .into_iter()
        .find(|(expression, _)| expression.is_some_and(|e| holds(e, object)))
        .map_or(Standing::InProgress, |(_, standing)| standing)
    }
}

/// The fields of the object are the variables.
fn holds(expression: &str, object: &Value) -> bool {
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

/// What Argo CD shows.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) message: String,
}

pub(crate) fn argo(object: &Value) -> Health {
    // Before any check.
    if deleted(object) {
        return Health { status: "Progressing".to_owned(), message: "Pending deletion".to_owned() };
    }
    let kind = object["kind"].as_str().expect("a kind");
    let health = check(&repository(&format!("config/argocd/boxsync.dev/{kind}/health.lua")), object);
    assert!(["Healthy", "Progressing", "Degraded", "Suspended"].contains(&health.status.as_str()), "{health:?}");
    assert!(!health.message.is_empty(), "{object:#}");
    health
}

/// Lua 5.1 with nothing but what Argo CD opens for checks in its ConfigMap; its `os`, which tells the time, is not
/// needed.
pub(crate) fn check(script: &str, object: &Value) -> Health {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).expect("Lua");
    // An absent value is nil there.
    let options = SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false);
    let object = lua.to_value_with(object, options).expect("JSON");
    lua.globals().set("obj", object).expect("set");
    let health = lua.load(script).eval().unwrap_or_else(|e| panic!("{e}"));
    lua.from_value(health).expect("a health")
}
