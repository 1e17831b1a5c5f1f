//! Conditions as `metav1.Condition` has them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;

/// A condition's three-valued status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }
}

/// A condition that began now. [`Conditions::since`] gives it its true beginning.
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

/// How conditions are looked up and renewed.
pub trait ConditionsExt {
    fn find_condition(&self, kind: &str) -> Option<&Condition>;

    fn has_status(&self, kind: &str, status: ConditionStatus) -> bool {
        self.find_condition(kind).is_some_and(|c| c.status == status.as_str())
    }

    fn reason(&self, kind: &str) -> Option<Reason> {
        self.find_condition(kind).and_then(|c| Reason::parse(&c.reason))
    }

    /// `new` with the transition times of those that had the same status before. What the CRD's default said before
    /// anybody looked has no time of its own.
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
