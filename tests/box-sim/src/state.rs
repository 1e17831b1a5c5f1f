//! Everything the simulated Box keeps about one enterprise.

use crate::{
    answer::{Answer, On},
    app::App,
    behaviour::{Behaviour, Behaviours},
    calls::{CallLog, Endpoint},
    list::List,
    spec::EnterpriseSpec,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How far the clock is off with `clock-ahead` and `clock-behind`.
const OFF: SignedDuration = SignedDuration::from_mins(10);

/// The lock around the state. It is never held across an await.
pub(crate) struct Cell {
    pub(crate) id: String,
    state: Mutex<State>,
}

impl Cell {
    pub(crate) fn new(spec: &EnterpriseSpec, now: Timestamp) -> Self {
        Self { id: spec.id.clone(), state: Mutex::new(State::new(spec, now)) }
    }

    /// A panic elsewhere must not hide what the log says: the state stays readable.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct State {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) app: App,
    pub(crate) list: List,
    pub(crate) behaviours: Behaviours,
    pub(crate) latency: Duration,
    pub(crate) skew: SignedDuration,
    pub(crate) rate: Rate,
    pub(crate) log: CallLog,
    ordered: VecDeque<Ordered>,
}

struct Ordered {
    left: u32,
    answer: Answer,
    on: On,
}

impl State {
    fn new(spec: &EnterpriseSpec, now: Timestamp) -> Self {
        let name = spec.name.clone().unwrap_or_else(|| format!("Enterprise {}", spec.id));
        let word: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let domain = format!("{}.example", word.to_ascii_lowercase());
        Self {
            id: spec.id.clone(),
            app: App::new(spec, now),
            list: List::new(spec.seed ^ crate::dice::seed_of(&spec.id), domain, spec.users),
            behaviours: Behaviours::default(),
            latency: Duration::ZERO,
            skew: SignedDuration::ZERO,
            rate: Rate { a_minute: Some(1000), since: now, used: 0 },
            log: CallLog::default(),
            ordered: VecDeque::new(),
            name,
        }
    }

    /// What this enterprise's servers take for now.
    pub(crate) fn now(&self, now: Timestamp) -> Timestamp {
        let off = match (self.behaviours.has(Behaviour::ClockAhead), self.behaviours.has(Behaviour::ClockBehind)) {
            (true, false) => OFF,
            (false, true) => -OFF,
            (true, true) | (false, false) => SignedDuration::ZERO,
        };
        now + self.skew + off
    }

    pub(crate) fn order(&mut self, times: u32, answer: Answer, on: On) {
        self.ordered.push_back(Ordered { left: times, answer, on });
    }

    pub(crate) fn normal(&mut self) {
        self.behaviours = Behaviours::default();
        self.ordered.clear();
    }

    /// What is to happen to a call: the first order that is meant for it, otherwise whatever the behaviours say.
    pub(crate) fn take_orders(&mut self, endpoint: Endpoint) -> Vec<Answer> {
        let ordered =
            self.ordered.iter_mut().find(|ordered| ordered.left > 0 && ordered.on.covers(endpoint)).map(|ordered| {
                ordered.left -= 1;
                ordered.answer.clone()
            });
        self.ordered.retain(|ordered| ordered.left > 0);
        match ordered {
            Some(answer) => vec![answer],
            None => self
                .behaviours
                .iter()
                .filter_map(Behaviour::answer)
                .filter(|(on, _)| on.covers(endpoint))
                .map(|(_, answer)| answer)
                .collect(),
        }
    }
}

/// Box's limit of calls a minute and account.
pub(crate) struct Rate {
    pub(crate) a_minute: Option<u32>,
    since: Timestamp,
    used: u32,
}

impl Rate {
    /// Counts a call; too many answer with the seconds until the next minute begins.
    pub(crate) fn count(&mut self, now: Timestamp) -> Result<(), i64> {
        let gone = now.duration_since(self.since).as_secs();
        if !(0..60).contains(&gone) {
            (self.since, self.used) = (now, 0);
        }
        self.used += 1;
        match self.a_minute {
            Some(limit) if self.used > limit => Err((60 - now.duration_since(self.since).as_secs()).max(1)),
            Some(_) | None => Ok(()),
        }
    }
}
