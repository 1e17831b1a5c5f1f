//! Layers, circles between files, pure files, file lengths.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use architecture::{Reference, crate_graph, find_files, lines, read_file, relative, root};

/// Top-level modules of `src`, and the others that each may refer to. `*` is all.
const LAYERS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("remote_clock", &[]),
    ("text", &[]),
    ("user_list", &[]),
    ("box_client", &["remote_clock", "text", "user_list"]),
    ("kube_client", &["remote_clock", "text"]),
    ("runtime", &["text"]),
    ("leader_election", &["api", "runtime"]),
    ("roster", &["api", "kube_client", "user_list"]),
    ("sync", &["api", "box_client", "roster", "user_list"]),
    ("auth", &["api", "box_client"]),
    ("metrics", &["api", "box_client"]),
    ("controller", &["api", "auth", "box_client", "kube_client", "metrics", "roster", "runtime", "sync", "text"]),
    ("health", &["controller", "leader_election", "runtime"]),
    ("cli", &["api", "auth", "box_client", "kube_client", "roster", "runtime", "text", "user_list"]),
    ("config", &["*"]),
    ("operator", &["*"]),
];

/// Circles between files that are there, each with its reason. A part of one is allowed as well; new ones are not.
const ALLOWED_CIRCLES: &[(&[&str], &str)] = &[
    (&["api/connection.rs", "api/schedule.rs"], "the schedule is validated with the spec that holds it"),
    (
        &["cli/commands/users/filter.rs", "cli/commands/users/mod.rs", "cli/commands/users/output.rs"],
        "the command and its flags",
    ),
    (&["cli/commands/status/mod.rs", "cli/commands/status/watch.rs"], "the command and its `--watch`"),
    (&["cli/commands/sync/expect_logins.rs", "cli/commands/sync/mod.rs"], "the command and its `--expect-login`"),
    (
        &["controller/connection/progress.rs", "controller/connection/sync_run.rs"],
        "the run and the objects that show its progress",
    ),
    (&["leader_election/lease_client.rs", "leader_election/mod.rs"], "the configuration is the module's interface"),
    (
        &["roster/diff_published.rs", "roster/publication.rs", "roster/publish.rs"],
        "the steps of a publish share its request and its result",
    ),
];

/// Files that decide on values alone.
const PURE_FILES: &[&str] = &[
    "auth/failure.rs",
    "auth/failure_context.rs",
    "auth/reconnect_backoff.rs",
    "auth/secret.rs",
    "box_client/auth/credential_text.rs",
    "box_client/auth/key_derivation.rs",
    "box_client/auth/private_key.rs",
    "cli/commands/changes/change_log.rs",
    "cli/commands/check/last_status.rs",
    "cli/commands/check/result.rs",
    "cli/commands/connect/managed_by.rs",
    "cli/commands/coverage/backup_time.rs",
    "cli/commands/coverage/columns.rs",
    "cli/commands/coverage/compare.rs",
    "cli/commands/coverage/decode.rs",
    "cli/commands/coverage/export.rs",
    "cli/commands/coverage/finding.rs",
    "cli/commands/coverage/known_users.rs",
    "cli/commands/coverage/output.rs",
    "cli/commands/coverage/report.rs",
    "cli/commands/coverage/rows.rs",
    "cli/commands/handover/email.rs",
    "cli/commands/status/health.rs",
    "cli/commands/status/summary.rs",
    "cli/commands/sync/progress.rs",
    "cli/commands/users/filter.rs",
    "cli/commands/users/output.rs",
    "cli/errors.rs",
    "cli/exit_code.rs",
    "cli/output/format.rs",
    "cli/output/table.rs",
    "controller/connection/backoff.rs",
    "controller/connection/clock_check.rs",
    "controller/connection/conditions.rs",
    "controller/connection/cron.rs",
    "controller/connection/failure_messages.rs",
    "controller/connection/messages.rs",
    "controller/connection/plan.rs",
    "controller/connection/status.rs",
    "controller/connection/sync_schedule.rs",
    "controller/merged_watch.rs",
    "controller/oauth/expiry.rs",
    "controller/oauth/token_secret.rs",
    "controller/permit_queue.rs",
    "controller/request/requested_by.rs",
    "text.rs",
    "controller/request/status.rs",
    "health.rs",
    "kube_client/proxy.rs",
    "kube_client/server_certificate.rs",
    "leader_election/election.rs",
    "metrics/connections.rs",
    "metrics/labels.rs",
    "metrics/registry.rs",
    "roster/chunking.rs",
    "roster/diff.rs",
    "roster/next_revision.rs",
    "roster/records.rs",
    "roster/removal_guard.rs",
    "roster/removals.rs",
    "roster/user_counts.rs",
    "user_list/list.rs",
    "user_list/page.rs",
    "user_list/user.rs",
];

/// A file that is longer probably holds two ideas.
const MAX_LINES: usize = 400;

/// The code of a file, without comments and without its tests.
fn code_without_tests(path: &Path) -> String {
    let whole = read_file(path);
    let ends = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\n#[path"].iter().filter_map(|s| whole.find(s)).min();
    let lines = whole[..ends.unwrap_or(whole.len())].lines();
    lines.filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The top-level module of a file below `src`.
fn layer_of(file: &Path) -> String {
    let first = file.iter().next().expect("a file").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn layers_refer_only_to_allowed_layers() {
    let mut violations = BTreeSet::new();
    for Reference { from, to, path } in crate_graph().references() {
        let (layer, other) = (layer_of(&from), layer_of(&to));
        if layer == "lib" || other == layer {
            continue;
        }
        let allowed = LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, allowed)| *allowed);
        let allowed = allowed.unwrap_or_else(|| panic!("{layer} is in no layer"));
        if !allowed.iter().any(|name| *name == other || *name == "*") {
            violations.insert(format!("{} refers to {other}: {path}", from.display()));
        }
    }
    assert!(violations.is_empty(), "{}", lines(violations));
}

/// The files that can be reached from each file along references.
fn reachable_files(references: &BTreeSet<Reference>) -> BTreeMap<&Path, BTreeSet<&Path>> {
    let mut next: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for reference in references {
        next.entry(&reference.from).or_default().insert(&reference.to);
    }
    let mut reachable = BTreeMap::new();
    for start in next.keys() {
        let (mut reached, mut open) = (BTreeSet::new(), vec![*start]);
        while let Some(file) = open.pop() {
            open.extend(next.get(file).into_iter().flatten().filter(|to| reached.insert(**to)));
        }
        reachable.insert(*start, reached);
    }
    reachable
}

#[test]
fn files_do_not_refer_to_each_other_in_circles() {
    let references = crate_graph().references();
    let reachable = reachable_files(&references);
    let reaches = |from: &Path, to: &Path| reachable.get(from).is_some_and(|reached| reached.contains(to));
    let circles: BTreeSet<BTreeSet<&Path>> = reachable
        .keys()
        .filter(|file| reaches(file, file))
        .map(|file| reachable[file].iter().copied().filter(|other| reaches(other, file)).collect())
        .collect();
    let mut violations = Vec::new();
    for circle in circles {
        let allowed = |files: &[&str]| circle.iter().all(|file| files.iter().any(|name| *file == Path::new(name)));
        if ALLOWED_CIRCLES.iter().any(|(files, _)| allowed(files)) {
            continue;
        }
        violations.push(format!("a circle of {} files:", circle.len()));
        let inside = references.iter().filter(|r| circle.contains(&*r.from) && circle.contains(&*r.to));
        // One path for each pair of files.
        let pairs: BTreeMap<_, _> = inside.map(|r| ((&r.from, &r.to), &r.path)).collect();
        violations
            .extend(pairs.iter().map(|((from, to), path)| format!("  {} -> {}: {path}", from.display(), to.display())));
    }
    assert!(violations.is_empty(), "{}", lines(violations));
}

#[test]
fn pure_files_do_no_io_and_read_no_clock() {
    for file in PURE_FILES {
        let code = code_without_tests(&root().join("src").join(file));
        for word in ["async ", ".await", "kube::Client", "now()", "Instant", "std::env", "std::fs"] {
            assert!(!code.contains(word), "{file} holds {word:?}");
        }
    }
}

#[test]
fn every_file_starts_with_a_description_and_is_short_enough() {
    let mut violations = Vec::new();
    for path in ["src", "tests"].iter().flat_map(|folder| find_files(&root().join(folder), "rs")) {
        if !read_file(&path).starts_with("//!") {
            violations.push(format!("{} does not begin with //!", relative(&path)));
        }
        let lines = read_file(&path).lines().count();
        if lines > MAX_LINES {
            violations.push(format!("{} has {lines} lines", relative(&path)));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
