//! The real controllers against an in-memory API server and the simulator of Box, under paused time: days pass in
//! milliseconds. One module a story.

#[path = "../../src/testing.rs"]
mod testing;

mod judges;
mod line;
mod reader;
mod sign_in;
mod states;
mod world;

mod by_the_clock;
mod causes;
mod cluster_trouble;
mod crashes;
mod days;
mod gitops;
mod held;
mod histories;
mod leading;
mod lost;
mod metrics;
mod oauth;
mod odd_answers;
mod older_format;
mod pause;
mod published;
mod rate_limits;
mod renewals;
mod requests;
mod restarts;
mod served;
mod two_operators;
