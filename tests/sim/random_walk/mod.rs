//! A random walk over faults: changes in Box, requests, deletions, refused calls, restarts, paused leaders and clock steps
//! in any order. After each minute the invariants must hold, and when the faults are over, everything must be in order.
//!
//! Each seed is one walk. `WALK_SEEDS=100..2100 cargo test --test sim random_walk` runs others than `make test` does.

mod lists;
mod steps;
mod walk;

use std::ops::Range;

use self::{
    steps::{WalkStep, steps_of},
    walk::Walk,
};

const SEEDS: Range<u64> = 0..100;

/// Prints the seed and the steps of a walk that fails.
struct FailedWalk<'a>(u64, &'a [WalkStep], usize);

impl Drop for FailedWalk<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed at step {}:", self.0, self.2);
            for (number, step) in self.1.iter().enumerate() {
                eprintln!("{number:>3} {step:?}");
            }
        }
    }
}

async fn run_walk(seed: u64) -> usize {
    let steps = steps_of(seed);
    let mut report = FailedWalk(seed, &steps, 0);
    let mut walk = Walk::new();
    walk.pass(60).await;
    for (number, step) in steps.iter().enumerate() {
        report.2 = number;
        tracing::info!(seed, number, ?step, "step");
        walk.take_step(step).await;
    }
    report.2 = steps.len();
    walk.end_faults().await;
    walk.world.invariants.most_writes()
}

/// The walks of a part of the seeds: of `WALK_SEEDS`, or of those that `make test` takes.
fn run_walks(part: u64) {
    let seeds = std::env::var("WALK_SEEDS").ok().map_or(SEEDS, |text| {
        let (first, end) = text.split_once("..").expect("WALK_SEEDS=0..100");
        first.parse().expect("a number")..end.parse().expect("a number")
    });
    let mut most_writes = 0;
    for seed in seeds.filter(|seed| seed % PARTS == part) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        most_writes = most_writes.max(runtime.expect("a runtime").block_on(run_walk(seed)));
    }
    println!("at most {most_writes} writes to one object in a minute");
}

/// As many tests as threads of a usual machine.
const PARTS: u64 = 4;

#[test]
fn no_walk_over_faults_breaks_an_invariant_part_1() {
    run_walks(0);
}

#[test]
fn no_walk_over_faults_breaks_an_invariant_part_2() {
    run_walks(1);
}

#[test]
fn no_walk_over_faults_breaks_an_invariant_part_3() {
    run_walks(2);
}

#[test]
fn no_walk_over_faults_breaks_an_invariant_part_4() {
    run_walks(3);
}
