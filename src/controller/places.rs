//! Who may work with Box now. Places are few; nobody waits in one's stead: a reconcile that finds none ends, and a
//! freed place wakes the next connection, those that somebody asked for first.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc::UnboundedSender;

/// How urgent the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Urgency {
    /// Somebody waits for it.
    Asked,
    /// The schedule, a probe or a retry: takes all places but one.
    Scheduled,
}

/// The places, and who was turned away.
pub(super) struct Places<K> {
    line: Mutex<Line<K>>,
    wake: UnboundedSender<K>,
}

struct Line<K> {
    total: usize,
    asked: usize,
    scheduled: usize,
    turned_away: VecDeque<(K, Urgency)>,
    known: HashSet<K>,
}

/// A place; dropping it frees it and wakes the next.
pub(super) struct Place<K: Clone + Eq + std::hash::Hash> {
    places: Arc<Places<K>>,
    urgency: Urgency,
}

impl<K: Clone + Eq + std::hash::Hash> Places<K> {
    /// `wake` is told whom to reconcile.
    pub(super) fn new(total: usize, wake: UnboundedSender<K>) -> Arc<Self> {
        let line = Line { total, asked: 0, scheduled: 0, turned_away: VecDeque::new(), known: HashSet::new() };
        Arc::new(Self { line: Mutex::new(line), wake })
    }

    /// A place, or a place in the line.
    pub(super) fn take(self: &Arc<Self>, who: &K, urgency: Urgency) -> Option<Place<K>> {
        let mut line = self.line();
        line.forget(who);
        if line.has_room(urgency) {
            *line.taken(urgency) += 1;
            return Some(Place { places: self.clone(), urgency });
        }
        line.known.insert(who.clone());
        line.turned_away.push_back((who.clone(), urgency));
        None
    }

    /// `who` needs no place any more: the one that it may have been woken for goes to the next.
    pub(super) fn leave(&self, who: &K) {
        let mut line = self.line();
        line.forget(who);
        self.wake_next(&mut line);
    }

    fn wake_next(&self, line: &mut Line<K>) {
        let next = [Urgency::Asked, Urgency::Scheduled]
            .into_iter()
            .filter(|urgency| line.has_room(*urgency))
            .find_map(|urgency| line.turned_away.iter().position(|(_, u)| *u == urgency));
        if let Some((who, _)) = next.and_then(|at| line.turned_away.remove(at)) {
            line.known.remove(&who);
            // The receiver lives as long as the controller does; afterwards nobody needs waking.
            let _ = self.wake.send(who);
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<K>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + std::hash::Hash> Line<K> {
    fn has_room(&self, urgency: Urgency) -> bool {
        let free = self.asked + self.scheduled < self.total;
        match urgency {
            Urgency::Asked => free,
            Urgency::Scheduled => free && (self.total == 1 || self.scheduled < self.total - 1),
        }
    }

    fn taken(&mut self, urgency: Urgency) -> &mut usize {
        match urgency {
            Urgency::Asked => &mut self.asked,
            Urgency::Scheduled => &mut self.scheduled,
        }
    }

    fn forget(&mut self, who: &K) {
        if self.known.remove(who) {
            self.turned_away.retain(|(k, _)| k != who);
        }
    }
}

impl<K: Clone + Eq + std::hash::Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut line = self.places.line();
        *line.taken(self.urgency) -= 1;
        self.places.wake_next(&mut line);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn places(total: usize) -> (Arc<Places<&'static str>>, UnboundedReceiver<&'static str>) {
        let (wake, woken) = unbounded_channel();
        (Places::new(total, wake), woken)
    }

    #[test]
    fn scheduled_work_leaves_one_place_to_those_who_ask() {
        let (places, _woken) = places(2);
        let _first = places.take(&"a", Urgency::Scheduled).expect("room");
        assert!(places.take(&"b", Urgency::Scheduled).is_none());
        assert!(places.take(&"c", Urgency::Asked).is_some());
    }

    #[test]
    fn a_single_place_is_for_everybody() {
        let (places, _woken) = places(1);
        assert!(places.take(&"a", Urgency::Scheduled).is_some());
        assert!(places.take(&"b", Urgency::Asked).is_some());
    }

    #[test]
    fn a_freed_place_wakes_one_and_requests_first() {
        let (places, mut woken) = places(1);
        let place = places.take(&"a", Urgency::Scheduled);
        assert!(places.take(&"b", Urgency::Scheduled).is_none());
        assert!(places.take(&"c", Urgency::Asked).is_none());
        drop(place);
        assert_eq!(woken.try_recv(), Ok("c"));
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn one_who_was_woken_and_leaves_wakes_the_next() {
        let (places, mut woken) = places(1);
        let place = places.take(&"a", Urgency::Asked);
        assert!(places.take(&"b", Urgency::Asked).is_none());
        assert!(places.take(&"c", Urgency::Scheduled).is_none());
        drop(place);
        assert_eq!(woken.try_recv(), Ok("b"));
        places.leave(&"b");
        assert_eq!(woken.try_recv(), Ok("c"));
    }

    #[test]
    fn one_who_is_turned_away_twice_stands_in_line_once() {
        let (places, mut woken) = places(1);
        let place = places.take(&"a", Urgency::Asked);
        assert!(places.take(&"b", Urgency::Asked).is_none());
        assert!(places.take(&"b", Urgency::Asked).is_none());
        drop(place);
        assert_eq!(woken.try_recv(), Ok("b"));
        places.leave(&"b");
        assert!(woken.try_recv().is_err());
    }
}
