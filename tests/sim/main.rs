//! The real controllers against an in-memory API server and the simulator of Box, under paused time: days pass in
//! milliseconds. One module a story.

mod reader;
mod world;

mod bad_answers;
mod cluster_trouble;
mod crashes;
mod days;
mod held;
mod histories;
mod leading;

mod lost;
mod metrics;
mod published;
mod requests;
mod restarts;
mod served;
mod two_operators;
