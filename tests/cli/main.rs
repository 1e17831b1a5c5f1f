//! kubectl boxsync, run in this process against an API server in memory.

mod approve;
mod changes;
mod check;
mod connect;
mod grant;
mod handover;
mod look;
mod reading;
mod status;
mod sync;
mod town;
mod users;
mod why;
