//! The subcommands, one file or folder each, and what several of them share.

pub(crate) mod approve;
pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod connect;
pub(crate) mod coverage;
pub(crate) mod handover;
pub(crate) mod held_removals;
pub(crate) mod similar_logins;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod users;
pub(crate) mod why;

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, generate::SchemaSettings};

    use super::{
        changes::{RevisionJson, latency::NewUser},
        check::runner::CheckReport,
        coverage::report::CoverageReport,
        status::summary::StatusReport,
    };
    use crate::test_support::assert_generated;

    fn schema_json<T: JsonSchema>() -> String {
        let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
        format!("{}\n", serde_json::to_string_pretty(&schema).expect("JSON"))
    }

    #[test]
    fn the_json_output_schemas_are_up_to_date() {
        assert_generated("docs/schemas/status.json", &schema_json::<StatusReport>());
        assert_generated("docs/schemas/check.json", &schema_json::<CheckReport<'_>>());
        assert_generated("docs/schemas/changes.json", &schema_json::<Vec<RevisionJson<'_>>>());
        assert_generated("docs/schemas/latency.json", &schema_json::<Vec<NewUser>>());
        assert_generated("docs/schemas/coverage.json", &schema_json::<CoverageReport<'_>>());
    }
}
