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

mod baseline;
mod compare;
mod cut;
mod guard;
mod line;
mod list;
mod publish;
mod read;
mod resolve;
mod revision;
mod store;
mod sweep;

pub use cut::{MOST_BYTES, digest_of};
pub use line::{Changed, Gone, Op, User};
pub use list::{Builder, Entry, List, Role, Status, by_id};
pub use publish::{Conflict, Error, Order, Published, publish, standing};
pub use read::{LIST, ReadError, Snapshot, read};
pub use store::{Present, Store, all_slices};
pub use sweep::{Swept, sweep, unnamed};
