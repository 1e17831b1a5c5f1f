//! Output: the sink, styled text, tables, numbers, times, YAML and CSV.

pub(crate) mod csv_cell;
pub(crate) mod format;
pub(crate) mod sink;
pub(crate) mod styled;
pub(crate) mod table;
pub(crate) mod wrap;
pub(crate) mod yaml;
