//! Merges the watches of several namespaces into one: a store has a single initial list, and drops what a new list does
//! not contain.

use std::{collections::HashSet, fmt::Debug, hash::Hash, mem};

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
    /// All initial lists are complete. Nothing is passed on before, since objects missing from the store would look deleted.
    complete: bool,
    store: Store<K>,
}

struct NamespaceList<K> {
    namespace: String,
    objects: Vec<K>,
    done: bool,
}

impl<K> WatchMerger<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    pub(super) fn new(namespaces: &[String], store: Store<K>) -> Self {
        let list =
            |namespace: &String| NamespaceList { namespace: namespace.clone(), objects: Vec::new(), done: false };
        Self { lists: namespaces.iter().map(list).collect(), complete: false, store }
    }

    /// What follows for the store from an event of the namespace at this place of the list. One watch has nothing to merge.
    pub(super) fn merge(&mut self, index: usize, event: Event<K>) -> Vec<Event<K>> {
        if self.lists.len() < 2 {
            return vec![event];
        }
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

    /// The first list of all namespaces, once the last of them is complete.
    fn first_list(&mut self) -> Vec<Event<K>> {
        self.complete = self.lists.iter().all(|list| list.done);
        if !self.complete {
            return Vec::new();
        }
        let all = self.lists.iter_mut().flat_map(|list| mem::take(&mut list.objects)).map(Event::InitApply);
        [Event::Init].into_iter().chain(all).chain([Event::InitDone]).collect()
    }
}

impl<K> NamespaceList<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    fn remove_object(&mut self, deleted: &K) {
        self.objects.retain(|object| object.meta().name != deleted.meta().name);
    }

    /// A list that was begun anew: what is in it, and the end of what is not.
    fn relist_events(&mut self, store: &Store<K>) -> Vec<Event<K>> {
        let objects = mem::take(&mut self.objects);
        let names: HashSet<_> = objects.iter().map(ObjectRef::from_obj).collect();
        let known = store.state_filter(|object| object.meta().namespace.as_ref() == Some(&self.namespace));
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
                word => unreachable!("{word}"),
            };
            for event in merger.merge(index, event) {
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
    fn a_single_watch_is_passed_on_as_it_is() {
        let story = ["a begins", "a lists x", "a ends", "a begins", "a ends"];
        assert_eq!(store_after_each(&["a"], &story), ["-", "-", "x", "x", ""]);
    }
}
