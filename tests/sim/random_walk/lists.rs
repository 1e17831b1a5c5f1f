//! What must hold after each minute of a walk beside the invariants of every story.

use boxsync::roster::ReadError;

use super::walk::{CONNECTIONS, Walk};
use crate::reader::read_users;

/// Reading costs the most.
const READ_EVERY: usize = 10;

impl Walk {
    pub(super) async fn check_lists(&mut self) {
        self.world.invariants.assert_hold();
        if self.outage {
            return;
        }
        self.checks += 1;
        if self.checks.is_multiple_of(READ_EVERY) {
            for at in 0..CONNECTIONS.len() {
                self.check_list(at).await;
            }
        }
    }

    /// Readers see only lists that Box had, and never an older one after a newer one.
    async fn check_list(&mut self, at: usize) {
        let name = CONNECTIONS[at];
        match read_users(&self.world.store_as("reader", name)).await {
            Ok(users) => {
                let (lists, last) = &mut self.lists[at];
                let found = lists.iter().skip(*last).position(|list| *list == users);
                let known = lists.iter().position(|list| *list == users);
                assert!(
                    found.is_some(),
                    "{name}: a list of {} users, {known:?} of {}, after {last}",
                    users.len(),
                    lists.len()
                );
                *last += found.unwrap_or_default();
            }
            Err(ReadError::NoRoster) => {}
            Err(error) => assert!(self.deleted[at], "{name}: {error}"),
        }
    }
}
