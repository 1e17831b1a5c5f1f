//! Simulation tests: the real controllers against an in-memory API server and the simulated Box, on paused time: days
//! pass in milliseconds.

mod env;
mod network;
mod publish_request;
mod reader;
mod sign_in;

mod cluster_trouble;
mod crashes;
mod crd_check;
mod cron_schedule;
mod disconnected;
mod failure_reasons;
mod fair_permits;
mod format_upgrade;
mod hostile_input;
mod interval_schedule;
mod lasting_trouble;
mod leader_election;
mod metrics;
mod oauth;
mod oauth_crashes;
mod pause;
mod proptest_history;
mod publishing;
mod rate_limits;
mod removal_guard;
mod requests;
mod restarts;
mod split_brain;
mod unusual_responses;
