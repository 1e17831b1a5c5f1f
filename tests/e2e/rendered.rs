//! The objects that the chart renders.

use harness::Helm;
use serde_json::Value;

use crate::env::chart_path;

#[derive(PartialEq)]
pub(crate) struct RenderedChart(Vec<Value>);

impl RenderedChart {
    /// The release `boxsync-operator` in the namespace `boxsync`, with the pod of `helm test`.
    pub(crate) async fn new(values: &Value) -> Self {
        let helm = Helm::new().await.expect("helm");
        let chart = chart_path().display().to_string();
        let args = ["template", "boxsync-operator", &chart, "--namespace", "boxsync", "--values", "-"];
        Self::parse(&helm.run(&args, values).await.expect("rendered"))
    }

    pub(crate) fn parse(manifests: &str) -> Self {
        let documents = manifests.split("\n---\n").map(|d| d.trim_start_matches("---\n"));
        let parsed = documents
            .map(|document| serde_saphyr::from_str::<Value>(document).unwrap_or_else(|e| panic!("{e}\n{document}")));
        Self(parsed.filter(|object| !object.is_null()).collect())
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only object of this kind.
    pub(crate) fn single(&self, kind: &str) -> &Value {
        let found = self.of_kind(kind);
        let [object] = found.as_slice() else { panic!("{} of {kind}", found.len()) };
        object
    }

    /// The pod of the Deployment and that of `helm test`.
    pub(crate) fn pod_specs(&self) -> [&Value; 2] {
        [&self.single("Deployment")["spec"]["template"]["spec"], &self.single("Pod")["spec"]]
    }
}

/// Whether the selector finds an object with these labels.
pub(crate) fn matches_labels(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("labels");
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}
