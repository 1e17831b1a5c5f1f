//! What the watches have read: each kind in each namespace is a scope of its own, so that one which cannot be read holds
//! up no other.

use std::collections::{BTreeMap, BTreeSet};

use super::telemetry::ResourceKind;

/// The state of one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeState {
    /// The first list is not complete.
    Waiting,
    /// Listed and watched.
    Current,
    /// It cannot be read. What was read before is kept, and what is absent may exist.
    Isolated,
}

/// The scopes by namespace (empty: all namespaces) and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchScopes(BTreeMap<String, BTreeMap<ResourceKind, ScopeState>>);

impl WatchScopes {
    /// Every kind in these namespaces; none: in all.
    pub fn new(namespaces: &[String]) -> Self {
        let all = [String::new()];
        let namespaces = if namespaces.is_empty() { &all[..] } else { namespaces };
        let waiting = || ResourceKind::WATCHED.map(|kind| (kind, ScopeState::Waiting)).into();
        Self(namespaces.iter().map(|namespace| (namespace.clone(), waiting())).collect())
    }

    /// Records the state of a kind in a namespace (empty: all).
    pub fn set_state(&mut self, kind: ResourceKind, namespace: &str, state: ScopeState) {
        self.0.entry(namespace.to_owned()).or_default().insert(kind, state);
    }

    /// Whether an object of this kind that is not in the cache does not exist, up to the watch's lag.
    pub(super) fn is_current(&self, kind: ResourceKind, namespace: &str) -> bool {
        let kinds = self.0.get(namespace).or_else(|| self.0.get(""));
        kinds.and_then(|kinds| kinds.get(&kind)) == Some(&ScopeState::Current)
    }

    pub(super) fn states(&self) -> impl Iterator<Item = (&str, ResourceKind, ScopeState)> {
        self.0
            .iter()
            .flat_map(|(namespace, kinds)| kinds.iter().map(move |(kind, state)| (&**namespace, *kind, *state)))
    }

    /// The namespaces (empty: all) in which a kind is current that was not.
    pub(super) fn recovered_since(&self, before: &Self) -> BTreeSet<String> {
        let was_current = |namespace: &str, kind| {
            let kinds = before.0.get(namespace);
            kinds.and_then(|kinds| kinds.get(&kind)) == Some(&ScopeState::Current)
        };
        let current = self.states().filter(|(.., state)| *state == ScopeState::Current);
        let recovered = current.filter(|(namespace, kind, _)| !was_current(namespace, *kind));
        recovered.map(|(namespace, ..)| namespace.to_owned()).collect()
    }

    /// The kinds whose first list is not complete, though nothing is known to be against it.
    pub fn waiting(&self) -> BTreeSet<ResourceKind> {
        let waiting = self.states().filter(|(.., state)| *state == ScopeState::Waiting);
        waiting.map(|(_, kind, _)| kind).collect()
    }

    /// Whether there is a namespace in which every kind is read.
    pub fn works_somewhere(&self) -> bool {
        self.0.values().any(|kinds| kinds.values().all(|state| *state == ScopeState::Current))
    }

    /// What cannot be read, as a message for the user; `None`: everything can.
    pub fn problem(&self) -> Option<String> {
        let isolated = |kinds: &BTreeMap<ResourceKind, ScopeState>| {
            let kinds = kinds.iter().filter(|(_, state)| **state == ScopeState::Isolated);
            kinds.map(|(kind, _)| kind.as_str()).collect::<Vec<_>>().join(", ")
        };
        let isolated = self.0.iter().map(|(namespace, kinds)| (namespace, isolated(kinds)));
        let named: Vec<String> = isolated
            .filter(|(_, kinds)| !kinds.is_empty())
            .map(|(namespace, kinds)| match namespace.as_str() {
                "" => kinds,
                namespace => format!("{kinds} in namespace {namespace}"),
            })
            .collect();
        (!named.is_empty()).then(|| {
            format!("The operator cannot read {}; see its log. It continues there when it can.", named.join("; "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(namespaces: &[&str], states: &[(&str, ResourceKind, ScopeState)]) -> WatchScopes {
        let namespaces: Vec<String> = namespaces.iter().map(|&n| n.to_owned()).collect();
        let mut scopes = WatchScopes::new(&namespaces);
        for namespace in scopes.0.keys().cloned().collect::<Vec<_>>() {
            ResourceKind::WATCHED.iter().for_each(|kind| scopes.set_state(*kind, &namespace, ScopeState::Current));
        }
        states.iter().for_each(|(namespace, kind, state)| scopes.set_state(*kind, namespace, *state));
        scopes
    }

    #[test]
    fn isolated_scopes_are_named_and_the_others_work() {
        use ResourceKind::{Connections, Requests, Rosters};
        let all = scopes(&["a", "b"], &[]);
        assert_eq!((all.problem(), all.works_somewhere(), all.waiting().len()), (None, true, 0));
        let isolated = [("b", Connections, ScopeState::Isolated), ("b", Requests, ScopeState::Isolated)];
        let one = scopes(&["a", "b"], &isolated);
        let problem = one.problem().expect("a problem");
        assert!(problem.contains("boxconnections, usersyncrequests in namespace b;"), "{problem}");
        assert!(one.works_somewhere() && one.is_current(Rosters, "b") && !one.is_current(Connections, "b"));
        let other = scopes(&["a", "b"], &[isolated[0], ("a", Rosters, ScopeState::Waiting)]);
        assert!(!other.works_somewhere());
        assert_eq!(other.waiting(), BTreeSet::from([Rosters]));
    }

    #[test]
    fn without_namespaces_one_scope_stands_for_all() {
        let all = scopes(&[], &[("", ResourceKind::Rosters, ScopeState::Isolated)]);
        assert!(all.is_current(ResourceKind::Connections, "any") && !all.is_current(ResourceKind::Rosters, "any"));
        assert!(all.problem().expect("a problem").contains("cannot read userrosters;"));
    }
}
