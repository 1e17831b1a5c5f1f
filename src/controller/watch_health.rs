//! Decides which scopes of a kind cannot be read, from the successes and errors of their watches. Pure: the time is an
//! argument.

use std::time::Duration;

use tokio::time::Instant;

use super::watch_scopes::ScopeState;

/// A scope that fails this long while another one of its kind works is isolated. A denied one is at once.
const ISOLATE_AFTER: Duration = Duration::from_secs(60);
/// A list alone does not show that watching is allowed: without an error for this long, it is.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);
/// What was read of a scope that has been denied for this long is forgotten. A namespace that was deleted with the
/// rights in it looks like that.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The scopes of one kind, in the order of the namespaces.
pub(super) struct WatchHealth(Vec<ScopeHealth>);

struct ScopeHealth {
    listed: bool,
    /// The trouble since the last recovery; at first, that nothing was listed.
    failure: Option<ScopeFailure>,
    healthy_since: Instant,
    /// When something was last read.
    last_read: Option<Instant>,
    isolated: bool,
    forgotten: bool,
}

struct ScopeFailure {
    since: Instant,
    /// Errors so far; none: the first list is late.
    errors: u64,
    last_error: Instant,
    denied: bool,
}

impl WatchHealth {
    pub(super) fn new(scopes: usize, now: Instant) -> Self {
        let waiting = || ScopeHealth {
            listed: false,
            failure: Some(ScopeFailure { since: now, errors: 0, last_error: now, denied: false }),
            healthy_since: now,
            last_read: None,
            isolated: false,
            forgotten: false,
        };
        Self((0..scopes).map(|_| waiting()).collect())
    }

    /// The watch delivered a complete list or a change.
    pub(super) fn record_read(&mut self, index: usize, complete_list: bool, now: Instant) {
        let scope = &mut self.0[index];
        scope.last_read = Some(now);
        if complete_list {
            scope.listed = true;
            scope.forgotten = false;
        }
        if scope.listed && scope.failure.as_ref().is_some_and(|f| f.errors == 0) {
            scope.recover(now);
        }
    }

    /// The watch failed. Returns the number of errors since it last worked.
    pub(super) fn record_error(&mut self, index: usize, denied: bool, now: Instant) -> u64 {
        let new = || ScopeFailure { since: now, errors: 0, last_error: now, denied: false };
        let failure = self.0[index].failure.get_or_insert_with(new);
        failure.errors = failure.errors.saturating_add(1);
        failure.last_error = now;
        failure.denied |= denied;
        failure.errors
    }

    /// The states at this time.
    pub(super) fn states_at(&mut self, now: Instant) -> Vec<ScopeState> {
        for scope in &mut self.0 {
            if scope.recovery_time().is_some_and(|time| time <= now) {
                scope.recover(now);
            }
        }
        for index in 0..self.0.len() {
            let isolated = self.isolation_time(index).is_some_and(|time| time <= now);
            self.0[index].isolated |= isolated;
        }
        self.0.iter().map(ScopeHealth::state).collect()
    }

    /// The scopes whose objects are to be forgotten now; each is returned once.
    pub(super) fn take_forgotten(&mut self, now: Instant) -> Vec<usize> {
        let due = |scope: &ScopeHealth| !scope.forgotten && scope.forget_time().is_some_and(|time| time <= now);
        let due: Vec<usize> =
            self.0.iter().enumerate().filter(|(_, scope)| due(scope)).map(|(index, _)| index).collect();
        due.iter().for_each(|index| self.0[*index].forgotten = true);
        due
    }

    /// When a state changes next if nothing happens before.
    pub(super) fn next_change(&self) -> Option<Instant> {
        let of_scope = |(index, scope): (usize, &ScopeHealth)| {
            let isolation = self.isolation_time(index).filter(|_| !scope.isolated);
            let forget = scope.forget_time().filter(|_| !scope.forgotten);
            [isolation, scope.recovery_time(), forget].into_iter().flatten().min()
        };
        self.0.iter().enumerate().filter_map(of_scope).min()
    }

    /// When this scope counts as one that cannot be read; `None`: it works, or none does.
    fn isolation_time(&self, index: usize) -> Option<Instant> {
        let failure = self.0[index].failure.as_ref()?;
        if failure.denied {
            return Some(failure.since);
        }
        let healthy = self.0.iter().filter(|scope| scope.failure.is_none()).map(|scope| scope.healthy_since).min()?;
        Some(failure.since.max(healthy) + ISOLATE_AFTER)
    }
}

impl ScopeHealth {
    fn state(&self) -> ScopeState {
        if self.isolated {
            ScopeState::Isolated
        } else if self.listed {
            ScopeState::Current
        } else {
            ScopeState::Waiting
        }
    }

    fn recover(&mut self, now: Instant) {
        self.failure = None;
        self.healthy_since = now;
        self.isolated = false;
    }

    /// After something was read, if no error follows.
    fn recovery_time(&self) -> Option<Instant> {
        let failure = self.failure.as_ref().filter(|_| self.listed)?;
        self.last_read.filter(|read| *read >= failure.last_error).map(|read| read + RECOVERED_AFTER)
    }

    fn forget_time(&self) -> Option<Instant> {
        let failure = self.failure.as_ref().filter(|failure| failure.denied)?;
        Some(self.last_read.unwrap_or(failure.since).max(failure.since) + FORGET_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `SECONDS SCOPE WORD` and returns the states of both scopes after each: W, C or I.
    fn states_after_each(story: &[(u64, usize, &str)]) -> Vec<String> {
        let start = Instant::now();
        let mut health = WatchHealth::new(2, start);
        let mut after = |(seconds, scope, word): &(u64, usize, &str)| {
            let now = start + Duration::from_secs(*seconds);
            match *word {
                "lists" => health.record_read(*scope, true, now),
                "reads" => health.record_read(*scope, false, now),
                "denied" => drop(health.record_error(*scope, true, now)),
                "fails" => drop(health.record_error(*scope, false, now)),
                "passes" => {}
                word => unreachable!("{word}"),
            }
            health.states_at(now).iter().filter_map(|state| format!("{state:?}").chars().next()).collect()
        };
        story.iter().map(&mut after).collect()
    }

    #[test]
    fn a_denied_scope_is_isolated_at_once_and_current_when_it_was_read_without_another_error() {
        let story = [
            (0, 0, "lists"),
            (1, 1, "denied"),
            (30, 1, "denied"),
            (60, 1, "lists"),
            (69, 1, "passes"),
            (70, 1, "passes"),
            (80, 1, "denied"),
            (90, 1, "lists"),
            (91, 1, "denied"),
            (120, 1, "passes"),
        ];
        assert_eq!(states_after_each(&story), ["CW", "CI", "CI", "CI", "CI", "CC", "CI", "CI", "CI", "CI"]);
    }

    #[test]
    fn a_failing_or_late_scope_is_isolated_a_minute_after_another_one_works() {
        let late = [(100, 0, "lists"), (159, 1, "passes"), (160, 1, "passes"), (200, 1, "lists"), (211, 1, "passes")];
        assert_eq!(states_after_each(&late), ["CW", "CW", "CI", "CC", "CC"]);
        let failing = [
            (0, 0, "lists"),
            (0, 1, "lists"),
            (10, 1, "fails"),
            (69, 1, "fails"),
            (70, 1, "fails"),
            (71, 1, "reads"),
            (81, 1, "passes"),
        ];
        assert_eq!(states_after_each(&failing), ["CW", "CC", "CC", "CC", "CI", "CI", "CC"]);
    }

    #[test]
    fn an_outage_of_all_isolates_none_also_when_one_recovers_first() {
        let story = [
            (0, 0, "lists"),
            (0, 1, "lists"),
            (10, 0, "fails"),
            (10, 1, "fails"),
            (900, 0, "fails"),
            (901, 1, "fails"),
            (902, 0, "reads"),
            (905, 1, "fails"),
            (912, 1, "passes"),
            (971, 1, "fails"),
            (972, 1, "fails"),
        ];
        assert_eq!(states_after_each(&story), ["CW", "CC", "CC", "CC", "CC", "CC", "CC", "CC", "CC", "CC", "CI"]);
    }

    #[test]
    fn a_scope_that_was_denied_for_an_hour_is_forgotten_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut health = WatchHealth::new(1, start);
        health.record_read(0, true, at(0));
        health.record_error(0, true, at(10));
        assert_eq!(health.states_at(at(10)), [ScopeState::Isolated]);
        assert_eq!(health.next_change(), Some(at(3610)));
        assert!(health.take_forgotten(at(3609)).is_empty());
        assert_eq!(health.take_forgotten(at(3610)), [0]);
        assert!(health.take_forgotten(at(9999)).is_empty() && health.next_change().is_none());
        health.record_read(0, true, at(10_000));
        assert_eq!(health.next_change(), Some(at(10_010)));
    }
}
