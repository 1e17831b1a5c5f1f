//! Simulation tests: the real controllers against an in-memory API server and the simulated Box, on paused time: days
//! pass in milliseconds.

mod env;
mod invariant_tests;
mod invariants;
mod log;
mod network;
mod operator;
mod publish_request;
mod reader;
mod sign_in;

mod clocks;
mod cluster_trouble;
mod crashes;
mod crd_check;
mod cron_schedule;
mod disconnected;
mod failure_reasons;
mod fair_permits;
mod format_upgrade;
mod history;
mod hostile_input;
mod interval_schedule;
mod lasting_trouble;
mod leader_election;
mod mass_changes;
mod memory;
mod metrics;
mod namespaces;
mod newer_version;
mod oauth;
mod oauth_crashes;
mod pause;
mod proptest_history;
mod publishing;
mod random_walk;
mod rate_limits;
mod refusals;
mod removal_check;
mod removal_guard;
mod request_end;
mod requests;
mod restarts;
mod split_brain;
mod staleness;
mod unusual_responses;
