//! Merges the watches of several namespaces into one: a store has a single initial list, and drops what a new list does
//! not contain.

use std::{collections::HashSet, fmt::Debug, hash::Hash, mem, sync::Arc};

use kube::{
    Resource,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};

/// Objects that the namespaces have listed and the store does not have yet.
pub(super) struct WatchMerger<K>
where
    K: Resource<DynamicType: Eq + Hash + Clone> + Clone + 'static,
{
    lists: Vec<NamespaceList<K>>,
    /// No initial list is awaited any more. Nothing is passed on before, since objects missing from the store would look
    /// deleted.
    complete: bool,
    store: Store<K>,
}

struct NamespaceList<K> {
    /// `None`: all namespaces.
    namespace: Option<String>,
    objects: Vec<K>,
    /// The objects are a whole list.
    done: bool,
    /// The list is not awaited.
    skipped: bool,
}

impl<K> WatchMerger<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    /// Without namespaces, the merger of one watch of all of them.
    pub(super) fn new(namespaces: &[String], store: Store<K>) -> Self {
        let list =
            |namespace: Option<String>| NamespaceList { namespace, objects: Vec::new(), done: false, skipped: false };
        let lists = match namespaces {
            [] => vec![list(None)],
            some => some.iter().cloned().map(Some).map(list).collect(),
        };
        Self { lists, complete: false, store }
    }

    /// What follows for the store from an event of the namespace at this place of the list.
    pub(super) fn merge(&mut self, index: usize, event: Event<K>) -> Vec<Event<K>> {
        let list = &mut self.lists[index];
        match event {
            Event::Init => {
                list.objects.clear();
                list.done = false;
            }
            Event::InitApply(object) => list.objects.push(object),
            Event::InitDone if self.complete => return list.relist_events(&self.store),
            Event::InitDone => {
                list.done = true;
                return self.first_list();
            }
            Event::Apply(_) | Event::Delete(_) if self.complete => return vec![event],
            Event::Apply(object) => {
                list.remove_object(&object);
                list.objects.push(object);
            }
            Event::Delete(object) => list.remove_object(&object),
        }
        Vec::new()
    }

    /// The first list of this namespace is not awaited any more. Once it comes, it is merged like a later one.
    pub(super) fn skip_first_list(&mut self, index: usize) -> Vec<Event<K>> {
        if self.complete || mem::replace(&mut self.lists[index].skipped, true) {
            return Vec::new();
        }
        self.first_list()
    }

    /// Removes from the store what was read of this namespace.
    pub(super) fn forget_objects(&mut self, index: usize) -> Vec<Event<K>> {
        let known = self.lists[index].known_objects(&self.store);
        known.iter().map(|object| Event::Delete(object.as_ref().clone())).collect()
    }

    /// The first list of all namespaces, once the last of them is complete.
    fn first_list(&mut self) -> Vec<Event<K>> {
        self.complete = self.lists.iter().all(|list| list.done || list.skipped);
        if !self.complete {
            return Vec::new();
        }
        let listed = self.lists.iter_mut().filter(|list| list.done);
        let all = listed.flat_map(|list| mem::take(&mut list.objects)).map(Event::InitApply);
        [Event::Init].into_iter().chain(all).chain([Event::InitDone]).collect()
    }
}

impl<K> NamespaceList<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    fn remove_object(&mut self, deleted: &K) {
        let meta = |object: &K| (object.meta().namespace.clone(), object.meta().name.clone());
        let deleted = meta(deleted);
        self.objects.retain(|object| meta(object) != deleted);
    }

    fn known_objects(&self, store: &Store<K>) -> Vec<Arc<K>> {
        store.state_filter(|object| self.namespace.is_none() || object.meta().namespace == self.namespace)
    }

    /// A list that was begun anew: what is in it, and the end of what is not.
    fn relist_events(&mut self, store: &Store<K>) -> Vec<Event<K>> {
        let objects = mem::take(&mut self.objects);
        let names: HashSet<_> = objects.iter().map(ObjectRef::from_obj).collect();
        let known = self.known_objects(store);
        let gone = known.iter().filter(|object| !names.contains(&ObjectRef::from_obj(object.as_ref())));
        let gone: Vec<_> = gone.map(|object| Event::Delete(object.as_ref().clone())).collect();
        objects.into_iter().map(Event::Apply).chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use kube::{ResourceExt, runtime::reflector};
    use serde_json::json;

    use super::*;
    use crate::api::UserSyncRequest;

    fn sample_request(namespace: &str, name: &str) -> UserSyncRequest {
        let metadata = json!({ "namespace": namespace, "name": name });
        serde_json::from_value(json!({ "metadata": metadata, "spec": { "connectionRef": { "name": "acme" } } }))
            .expect("a request")
    }

    /// Runs the words of a story, `NAMESPACE WORD NAME`, and hands back what the store holds after each; `-` before its
    /// first list.
    fn store_after_each(namespaces: &[&str], story: &[&str]) -> Vec<String> {
        let namespaces: Vec<String> = namespaces.iter().map(|&n| n.to_owned()).collect();
        let (store, mut writer) = reflector::store::<UserSyncRequest>();
        let mut merger = WatchMerger::new(&namespaces, store.clone());
        let mut ready = false;
        let mut after = |step: &&str| {
            let words: Vec<&str> = step.split(' ').collect();
            let index = namespaces.iter().position(|n| n == words[0]).expect("a namespace");
            let object = || sample_request(words[0], words[2]);
            let event = match words[1] {
                "begins" => Event::Init,
                "lists" => Event::InitApply(object()),
                "ends" => Event::InitDone,
                "has" => Event::Apply(object()),
                "loses" => Event::Delete(object()),
                "skipped" | "forgotten" => Event::Init,
                word => unreachable!("{word}"),
            };
            let merged = match words[1] {
                "skipped" => merger.skip_first_list(index),
                "forgotten" => merger.forget_objects(index),
                _ => merger.merge(index, event),
            };
            for event in merged {
                writer.apply_watcher_event(&event);
                ready |= matches!(event, Event::InitDone);
            }
            let mut names: Vec<String> = store.state().iter().map(|r| r.name_any()).collect();
            names.sort();
            if ready { names.join(" ") } else { "-".to_owned() }
        };
        story.iter().map(&mut after).collect()
    }

    #[test]
    fn the_first_list_is_complete_when_that_of_every_namespace_is() {
        let story = ["a begins", "a lists x", "a ends", "b begins", "b lists y", "b ends", "b has z", "a loses x"];
        assert_eq!(store_after_each(&["a", "b"], &story), ["-", "-", "-", "-", "-", "x y", "x y z", "y z"]);
    }

    #[test]
    fn what_happens_while_another_namespace_is_awaited_is_in_the_first_list() {
        let story = ["a begins", "a lists x", "a lists y", "a ends", "a loses x", "a has z", "b begins", "b ends"];
        assert_eq!(store_after_each(&["a", "b"], &story).last().expect("the end"), "y z");
    }

    #[test]
    fn a_first_list_that_broke_off_leaves_nothing_behind() {
        let story = ["a begins", "a lists x", "a begins", "a lists y", "b begins", "b ends", "a ends"];
        assert_eq!(store_after_each(&["a", "b"], &story).last().expect("the end"), "y");
    }

    #[test]
    fn a_namespace_that_is_listed_again_loses_what_is_gone_there_and_nothing_of_the_others() {
        let story = [
            "a begins",
            "a lists x",
            "a lists y",
            "a ends",
            "b begins",
            "b lists v",
            "b ends",
            "a begins",
            "a lists y",
            "a lists z",
            "a ends",
        ];
        assert_eq!(store_after_each(&["a", "b"], &story)[6..], ["v x y", "v x y", "v x y", "v x y", "v y z"]);
    }

    #[test]
    fn the_lists_of_a_single_watch_replace_each_other() {
        let story = ["a begins", "a lists x", "a ends", "a begins", "a ends"];
        assert_eq!(store_after_each(&["a"], &story), ["-", "-", "x", "x", ""]);
    }

    #[test]
    fn a_namespace_that_is_skipped_holds_up_no_other_and_is_taken_up_when_it_is_listed() {
        let story = [
            "a begins",
            "a lists x",
            "a ends",
            "b begins",
            "b lists v",
            "b skipped",
            "b begins",
            "b lists w",
            "b ends",
        ];
        assert_eq!(store_after_each(&["a", "b"], &story)[4..], ["-", "x", "x", "x", "w x"]);
    }

    #[test]
    fn a_namespace_that_is_forgotten_leaves_the_others_alone() {
        let story =
            ["a begins", "a lists x", "a ends", "b begins", "b lists v", "b ends", "b forgotten", "b begins", "b ends"];
        assert_eq!(store_after_each(&["a", "b"], &story)[5..], ["v x", "x", "x", "x"]);
    }
}
