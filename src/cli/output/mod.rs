//! Text output: tables, numbers, times and YAML.

pub(crate) mod format;
pub(crate) mod table;
pub(crate) mod yaml;
