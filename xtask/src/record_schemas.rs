//! `docs/schemas`: the JSON Schemas of the records in slices.

use boxsync::roster::{ChangeRecord, PublishedUser, RemovedUser};
use schemars::{JsonSchema, generate::SchemaSettings};

/// Path and content of each schema.
pub(crate) fn render_schemas() -> [(&'static str, String); 3] {
    [
        ("docs/schemas/user.json", schema_json::<PublishedUser<'_>>()),
        ("docs/schemas/removed.json", schema_json::<RemovedUser>()),
        ("docs/schemas/change.json", schema_json::<ChangeRecord>()),
    ]
}

fn schema_json<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    format!("{}\n", serde_json::to_string_pretty(&schema).expect("a schema is JSON"))
}
