//! The subcommands, one file or folder each.

pub(crate) mod approve;
pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod connect;
pub(crate) mod handover;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod users;
pub(crate) mod why;
