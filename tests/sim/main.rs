//! The real controllers against an in-memory API server and the simulator of Box, under paused time: days pass in
//! milliseconds. One module a story.

mod world;

mod bad_answers;
mod cluster_trouble;
mod days;
mod lost;
mod requests;
mod restarts;
