//! No permit is held while its holder waits for anything but Box.

use tokio::time::Instant;

use super::{Duration, World};

/// How often it is looked again while more permits are in use than callers wait for Box.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Far longer than a permit waits for the API server; each other connection may wait as long as that once, one by one.
const MAX_IDLE_TIME: Duration = Duration::from_secs(90);
const MAX_IDLE_TIME_PER_CONNECTION: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct PermitCheck {
    /// Since when more permits are in use than callers wait for Box.
    idle_since: Option<Instant>,
}

impl PermitCheck {
    pub(super) fn is_suspicious(&self) -> bool {
        self.idle_since.is_some()
    }

    pub(super) fn check(&mut self, world: &World) -> Vec<String> {
        let in_use = usize::try_from(world.metrics.permits.get()).expect("as many as were taken");
        // The tokens of a user that Box has renewed are stored before anything else is done; the permit waits for that.
        let busy = world.network.waiting_for_box() + world.processes.background_tasks();
        if in_use <= busy {
            self.idle_since = None;
            return Vec::new();
        }
        let idle = self.idle_since.get_or_insert_with(Instant::now).elapsed();
        let mut limit = MAX_IDLE_TIME;
        world.kube.visit("BoxConnection", |_| limit += MAX_IDLE_TIME_PER_CONNECTION);
        if idle <= limit {
            return Vec::new();
        }
        self.idle_since = None;
        vec![format!("{in_use} permits in use for {idle:?}, but {busy} callers wait for Box")]
    }
}
