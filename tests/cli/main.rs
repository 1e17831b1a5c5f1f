//! kubectl boxsync, run in this process against an API server in memory.

mod approve;
mod changes;
mod check;
mod check_verdict;
mod connect;
mod connect_as_user;
mod coverage;
mod env;
mod handover;
mod hostile_text;
mod json_schemas;
mod oauth_env;
mod output_format;
#[path = "../sim/publish_request.rs"]
mod publish_request;
mod release;
mod status;
mod status_views;
mod streams;
mod sync;
#[path = "../../src/test_support.rs"]
mod test_support;
mod torn_reads;
mod tracking_codes;
mod users;
mod users_file;
mod views;
mod why;
