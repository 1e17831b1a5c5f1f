//! Tables and words for terminals.

pub(crate) mod format;
pub(crate) mod table;
