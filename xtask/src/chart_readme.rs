//! `charts/boxsync-operator/README.md`: every value of the chart, from the comments of `values.yaml` and its schema.

use std::{collections::BTreeSet, fmt::Write, fs};

use serde_json::Value;

use crate::generated::repository_path;

const CHART: &str = "charts/boxsync-operator";

const INTRO: &str = "\
# boxsync-operator

Keeps the user lists of connected [Box](https://www.box.com) enterprises in sync. Needs Kubernetes 1.33 or newer, and Helm 3 or 4.

```console
$ helm install boxsync-operator charts/boxsync-operator --namespace boxsync --create-namespace \\
    --set image.repository=REGISTRY/boxsync-operator
$ kubectl --namespace boxsync rollout status deployment/boxsync-operator
$ helm test boxsync-operator --namespace boxsync
```

The notes that Helm prints show how to connect the first enterprise. The CustomResourceDefinitions are installed and upgraded with the chart, and stay when it is uninstalled. The documentation is in the folder `docs` of the repository; `docs/installing.md` describes other ways of installing.

## Values

This page is generated from `values.yaml`. The chart refuses a value that it does not know, and values that contradict each other.

| value | default | |
| --- | --- | --- |
";

/// A key of `values.yaml`, with the comment above it.
struct ValueEntry {
    path: Vec<String>,
    comment: String,
}

pub(crate) fn render_chart_readme() -> String {
    let (text, defaults, schema) = read_values();
    let mut page = INTRO.to_owned();
    for ValueEntry { path, comment } in documented_entries(&text, &defaults, &schema) {
        let default = match lookup(&defaults, &path) {
            _ if is_group(&defaults, &schema, &path) && comment.is_empty() => continue,
            _ if is_group(&defaults, &schema, &path) => String::new(),
            Value::String(text) if !text.is_empty() => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let _ = writeln!(page, "| `{}` | {default} | {} |", path.join("."), comment.replace('|', "\\|"));
    }
    page
}

/// Values that the schema or `values.yaml` has alone, and values without a description.
pub(crate) fn find_undocumented() -> Vec<String> {
    let (text, defaults, schema) = read_values();
    let entries = documented_entries(&text, &defaults, &schema);
    let comment_of =
        |path: &[String]| entries.iter().find(|entry| entry.path == path).map_or("", |entry| entry.comment.as_str());
    let mut problems = Vec::new();
    for ValueEntry { path, comment } in &entries {
        let group = path.split_last().map_or(&[][..], |(_, group)| group);
        if !is_group(&defaults, &schema, path) && comment.is_empty() && comment_of(group).is_empty() {
            problems.push(format!("{} has no comment in values.yaml", path.join(".")));
        }
    }
    let in_file: BTreeSet<&[String]> = entries.iter().map(|entry| entry.path.as_slice()).collect();
    let mut in_schema = Vec::new();
    collect_paths(&defaults, &schema, &mut Vec::new(), &mut in_schema);
    let in_schema: BTreeSet<&[String]> = in_schema.iter().map(Vec::as_slice).collect();
    for path in in_file.symmetric_difference(&in_schema) {
        problems.push(format!("{} is in one of values.yaml and values.schema.json alone", path.join(".")));
    }
    problems
}

fn read_values() -> (String, Value, Value) {
    let read = |name: &str| {
        let path = repository_path(&format!("{CHART}/{name}"));
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let text = read("values.yaml");
    let defaults = serde_saphyr::from_str(&text).expect("values.yaml is YAML");
    let schema = serde_json::from_str(&read("values.schema.json")).expect("the schema is JSON");
    (text, defaults, schema)
}

/// The keys of `values.yaml` in its order, without what is below a value that is documented as a whole.
fn documented_entries(text: &str, defaults: &Value, schema: &Value) -> Vec<ValueEntry> {
    let mut entries = Vec::new();
    let (mut comment, mut parents) = (String::new(), Vec::<(usize, String)>::new());
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(words) = content.strip_prefix('#') {
            let space = if comment.is_empty() { "" } else { " " };
            let _ = write!(comment, "{space}{}", words.trim());
            continue;
        }
        let above = std::mem::take(&mut comment);
        let Some((key, _)) = content.split_once(':').filter(|(key, _)| key.chars().all(char::is_alphanumeric)) else {
            continue;
        };
        let indent = line.len() - content.len();
        parents.retain(|(of_parent, _)| *of_parent < indent);
        parents.push((indent, key.to_owned()));
        let path: Vec<String> = parents.iter().map(|(_, key)| key.clone()).collect();
        if (1..path.len()).all(|depth| is_group(defaults, schema, &path[..depth])) {
            entries.push(ValueEntry { path, comment: above });
        }
    }
    entries
}

/// Whether each member has an entry of its own: the schema names all members, and each has a default.
fn is_group(defaults: &Value, schema: &Value, path: &[String]) -> bool {
    let node = path.iter().fold(schema, |node, key| resolve(schema, &resolve(schema, node)["properties"][key]));
    let members = resolve(schema, node)["properties"].as_object();
    members.is_some_and(|members| members.keys().all(|key| lookup(defaults, path).get(key).is_some()))
}

fn collect_paths(defaults: &Value, schema: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let node = path.iter().fold(schema, |node, key| resolve(schema, &resolve(schema, node)["properties"][key]));
    for key in resolve(schema, node)["properties"].as_object().into_iter().flat_map(|members| members.keys()) {
        path.push(key.clone());
        found.push(path.clone());
        if is_group(defaults, schema, path) {
            collect_paths(defaults, schema, path, found);
        }
        path.pop();
    }
}

/// What a `$ref` into the schema's definitions stands for.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let reference = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(node, |pointer| schema.pointer(pointer).unwrap_or(&Value::Null))
}

fn lookup<'a>(values: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(values, |value, key| &value[key])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_the_key_below_and_free_maps_are_one_entry() {
        let text = "# One.\n# Two.\na: 1\n\nb:\n  # Inside.\n  c: {}\n  d:\n    any: 2\n";
        let schema = serde_json::json!({"properties": {
            "a": {"type": "integer"},
            "b": {"$ref": "#/definitions/b"},
        }, "definitions": {"b": {"properties": {"c": {}, "d": {"properties": {"any": {}, "other": {}}}}}}});
        let defaults: Value = serde_saphyr::from_str(text).expect("YAML");
        let entries = documented_entries(text, &defaults, &schema);
        let found: Vec<_> = entries.iter().map(|e| (e.path.join("."), e.comment.as_str())).collect();
        let expected = [("a", "One. Two."), ("b", ""), ("b.c", "Inside."), ("b.d", "")];
        assert_eq!(found, expected.map(|(path, comment)| (path.to_owned(), comment)));
    }

    /// Artifact Hub shows what this annotation names.
    #[test]
    fn the_chart_announces_each_kind() {
        let chart = fs::read_to_string(repository_path(&format!("{CHART}/Chart.yaml"))).expect("readable");
        let chart: Value = serde_saphyr::from_str(&chart).expect("YAML");
        let announced = chart["annotations"]["artifacthub.io/crds"].as_str().expect("an annotation");
        let announced: Vec<Value> = serde_saphyr::from_str(announced).expect("YAML");
        let field = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let announced: BTreeSet<_> =
            announced.iter().map(|crd| ["name", "kind", "version"].map(|name| field(crd, name))).collect();
        let crds = boxsync::api::crds();
        let served = crds.iter().map(|crd| {
            let version = crd.spec.versions[0].name.clone();
            [crd.metadata.name.clone().unwrap_or_default(), crd.spec.names.kind.clone(), version]
        });
        assert_eq!(announced, served.collect());
    }
}
