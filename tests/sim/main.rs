//! The real controllers against an in-memory API server and the simulator of Box, under paused time: days pass in
//! milliseconds. One module a story.

mod reader;
mod world;

mod bad_answers;
mod by_the_clock;
mod cluster_trouble;
mod crashes;
mod days;
mod held;
mod histories;
mod leading;

mod lost;
mod pause;
mod published;
mod requests;
mod restarts;
mod two_operators;
