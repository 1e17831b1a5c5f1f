//! roster — the list of an enterprise's users, and how it is published.
//!
//! | file | holds |
//! | --- | --- |
//! | `list` | the list in memory, packed |
//! | `line` | the lines that are published |
//! | `cut` | where slices begin and end, and their names |
//! | `compare`, `guard`, `resolve` | what is different, whether removals are held, who is gone and who is back |
//! | `revision` | the next roster |
//! | `baseline` | the published list, read as far as a new one differs from it |
//! | `publish`, `sweep` | the protocol: slices first, then the roster; what nobody names is deleted later |
//! | `store`, `read` | rosters and slices in the cluster; the reader that any other program could be |
//!
//! Invariants:
//! * Nothing here knows Box. Only `baseline`, `publish`, `sweep`, `store` and `read` do IO.
//! * A list, once finished, never changes: sorted by id, every id once. A slice, once written, never changes.
//! * A roster names only slices that were there when it was written. Nothing deletes a slice but the sweep, and it
//!   first writes the roster: whoever published on an older view of it has to begin again.

mod chunking;
mod diff;
mod diff_published;
mod garbage_collection;
mod next_revision;
mod publish;
mod reader;
mod records;
mod removal_guard;
mod removals;
mod store;
mod user_list;

pub use chunking::{MAX_SLICE_BYTES, sha256_hex};
pub use garbage_collection::{GcResult, collect_garbage, unreferenced_slices};
pub use publish::{Error, OwnershipConflict, PublishRequest, PublishResult, check_ownership, publish_list};
pub use reader::{LIST_STATES, ReadError, RosterSnapshot, read_snapshot};
pub use records::{ChangeOp, ChangeRecord, PublishedUser, RemovedUser};
pub use store::{SliceMeta, Store, list_all_slices};
pub use user_list::{UserList, UserListBuilder, UserRecord, UserRole, UserStatus, compare_ids};
