//! roster — the list of an enterprise's users, and its publication.
//!
//! | file | holds |
//! | --- | --- |
//! | `user_counts` | the counts of a list |
//! | `records` | the JSON records in slices |
//! | `chunking` | slice boundaries and slice names |
//! | `diff`, `removals` | the differences, and the decision on removed, held and returned users |
//! | `removal_check`, `removal_guard` | which missing users Box is asked about one by one; how many removals are held |
//! | `visibility` | how long a new user waited for the list |
//! | `own_slices` | the slices of a publisher that are not committed yet |
//! | `completeness` | whether all slices of the published list exist |
//! | `ownership` | which rosters may be replaced |
//! | `next_revision` | the next roster |
//! | `diff_published` | the comparison with the published list, reading only slices that differ |
//! | `publish`, `publication`, `garbage_collection` | the protocol: slices first, then the roster; unreferenced slices are deleted later |
//! | `store`, `reader` | reads and writes of rosters and slices; a reader as any other program could implement it |
//!
//! Invariants:
//! * No dependency on Box. Only `diff_published`, `publish`, `publication`, `garbage_collection`, `completeness`, `store`
//!   and `reader` do IO.
//! * A slice is immutable.
//! * A roster references only slices that existed when it was written. Only garbage collection deletes slices, and it
//!   writes the roster first, so that a concurrent publisher with an older version of the roster gets a conflict.
//! * A list is published only over the roster that existed before its first page was fetched. So an older answer of Box
//!   never replaces a newer one, provided that the newer one was written: the first sync of each process writes the
//!   roster even if the list is unchanged.

mod chunking;
mod completeness;
mod diff;
mod diff_published;
mod garbage_collection;
mod next_revision;
mod own_slices;
mod ownership;
mod publication;
mod publish;
mod reader;
mod records;
mod removal_check;
mod removal_guard;
mod removals;
mod store;
mod user_counts;
mod visibility;

pub use chunking::{MAX_SLICE_BYTES, sha256_hex};
pub use completeness::{confirm_missing_slices, count_missing_slices};
pub use diff::MAX_CHANGE_RECORDS;
pub use garbage_collection::{GcResult, GcScope, collect_garbage, unreferenced_slices};
pub use ownership::{Ownership, OwnershipConflict, check_ownership};
pub use publish::{Error, Fence, PublishOutcome, PublishRequest, PublishResult, PublishStep, publish_list};
pub use reader::{LIST_STATES, ReadError, RosterSnapshot, read_snapshot};
pub use records::{ChangeOp, ChangeRecord, PublishedUser, RemovedUser};
pub use removal_check::RemovalAnswers;
pub use removals::Undecided;
pub use store::{RosterVersion, SliceMeta, Store, list_all_slices};
pub use visibility::{MAX_VISIBILITY_DELAY, visibility_delay};
