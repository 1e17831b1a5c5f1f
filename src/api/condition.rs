//! Helpers for `metav1.Condition`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use strum::IntoStaticStr;

use super::Reason;

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(const_into_str)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A condition whose last transition is now. [`ConditionsExt::keeping_transition_times`] corrects that time.
pub fn new_condition(
    kind: &str,
    status: ConditionStatus,
    reason: Reason,
    message: String,
    generation: i64,
    now: jiff::Timestamp,
) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: Time(now),
    }
}

/// Lookup in a list of conditions, and its update.
pub trait ConditionsExt {
    fn find_condition(&self, kind: &str) -> Option<&Condition>;

    fn has_status(&self, kind: &str, status: ConditionStatus) -> bool {
        self.find_condition(kind).is_some_and(|c| c.status == status.as_str())
    }

    fn reason(&self, kind: &str) -> Option<Reason> {
        self.find_condition(kind).and_then(|c| Reason::parse(&c.reason))
    }

    /// `new`, where a condition whose status is unchanged keeps its transition time. The time in the CRD's default status
    /// is not a real one and is not kept.
    fn keeping_transition_times(&self, new: Vec<Condition>) -> Vec<Condition> {
        new.into_iter()
            .map(|mut c| {
                if let Some(old) = self
                    .find_condition(&c.type_)
                    .filter(|old| old.status == c.status && old.reason != Reason::WaitingForOperator.as_str())
                {
                    c.last_transition_time = old.last_transition_time.clone();
                }
                c
            })
            .collect()
    }
}

impl ConditionsExt for [Condition] {
    fn find_condition(&self, kind: &str) -> Option<&Condition> {
        self.iter().find(|c| c.type_ == kind)
    }
}
