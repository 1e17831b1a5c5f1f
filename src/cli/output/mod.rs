//! Text output: tables, numbers and times.

pub(crate) mod format;
pub(crate) mod table;
