//! The state of one enterprise.

use crate::{
    app::App,
    behaviour::{Behaviour, BehaviourSet},
    call_log::{CallLog, Endpoint},
    config::EnterpriseConfig,
    list::UserList,
    scripted_responses::{EndpointFilter, ScriptedResponse},
    user::User,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The clock offset of `clock-ahead` and `clock-behind`.
const CLOCK_OFFSET: SignedDuration = SignedDuration::from_mins(10);

/// The state behind a lock, which is never held across an await.
pub(crate) struct EnterpriseCell {
    pub(crate) id: String,
    state: Mutex<EnterpriseState>,
}

impl EnterpriseCell {
    pub(crate) fn new(spec: &EnterpriseConfig, now: Timestamp) -> Self {
        Self { id: spec.id.clone(), state: Mutex::new(EnterpriseState::new(spec, now)) }
    }

    /// The state stays readable after a panic elsewhere, so that the log is available.
    pub(crate) fn lock(&self) -> MutexGuard<'_, EnterpriseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct EnterpriseState {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) app: App,
    pub(crate) users: UserList,
    /// Users who belong to no enterprise any more, or to another one.
    pub(crate) former_users: HashMap<u64, FormerUser>,
    pub(crate) behaviours: BehaviourSet,
    pub(crate) latency: Duration,
    pub(crate) skew: SignedDuration,
    pub(crate) rate_limiter: RateLimiter,
    pub(crate) call_log: CallLog,
    queued: VecDeque<QueuedResponse>,
}

/// A user whom Box still knows outside of the enterprise.
pub(crate) struct FormerUser {
    pub(crate) user: User,
    /// Where the user is now; `None`: in no enterprise.
    pub(crate) enterprise_id: Option<String>,
}

struct QueuedResponse {
    remaining: u32,
    response: ScriptedResponse,
    endpoints: EndpointFilter,
}

impl EnterpriseState {
    fn new(spec: &EnterpriseConfig, now: Timestamp) -> Self {
        let name = spec.name.clone().unwrap_or_else(|| format!("Enterprise {}", spec.id));
        let slug: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let domain = format!("{}.example", slug.to_ascii_lowercase());
        Self {
            id: spec.id.clone(),
            app: App::new(spec, now),
            users: UserList::new(spec.seed ^ crate::rng::hash_seed(&spec.id), domain, spec.tracking_codes, spec.users),
            former_users: HashMap::new(),
            behaviours: BehaviourSet::default(),
            latency: Duration::ZERO,
            skew: SignedDuration::ZERO,
            rate_limiter: RateLimiter { per_minute: Some(1000), window_start: now, used: 0 },
            call_log: CallLog::default(),
            queued: VecDeque::new(),
            name,
        }
    }

    /// The time of this enterprise's servers.
    pub(crate) fn server_time(&self, now: Timestamp) -> Timestamp {
        let offset =
            match (self.behaviours.contains(Behaviour::ClockAhead), self.behaviours.contains(Behaviour::ClockBehind)) {
                (true, false) => CLOCK_OFFSET,
                (false, true) => -CLOCK_OFFSET,
                (true, true) | (false, false) => SignedDuration::ZERO,
            };
        now + self.skew + offset
    }

    pub(crate) fn queue_response(&mut self, times: u32, answer: ScriptedResponse, on: EndpointFilter) {
        self.queued.push_back(QueuedResponse { remaining: times, response: answer, endpoints: on });
    }

    pub(crate) fn reset_behaviours(&mut self) {
        self.behaviours = BehaviourSet::default();
        self.queued.clear();
    }

    /// The scripted responses of a call: the first matching queued one, otherwise those of the behaviours.
    pub(crate) fn take_responses(&mut self, endpoint: Endpoint) -> Vec<ScriptedResponse> {
        let queued =
            self.queued.iter_mut().find(|ordered| ordered.remaining > 0 && ordered.endpoints.matches(endpoint)).map(
                |ordered| {
                    ordered.remaining -= 1;
                    ordered.response.clone()
                },
            );
        self.queued.retain(|ordered| ordered.remaining > 0);
        match queued {
            Some(answer) => vec![answer],
            None => self
                .behaviours
                .iter()
                .filter_map(Behaviour::scripted_response)
                .filter(|(on, _)| on.matches(endpoint))
                .map(|(_, answer)| answer)
                .collect(),
        }
    }
}

/// Box's rate limit per minute and account.
pub(crate) struct RateLimiter {
    pub(crate) per_minute: Option<u32>,
    window_start: Timestamp,
    used: u32,
}

impl RateLimiter {
    /// Counts a call; above the limit, returns the seconds until the next minute.
    pub(crate) fn count_call(&mut self, now: Timestamp) -> Result<(), i64> {
        let elapsed = now.duration_since(self.window_start).as_secs();
        if !(0..60).contains(&elapsed) {
            (self.window_start, self.used) = (now, 0);
        }
        self.used += 1;
        match self.per_minute {
            Some(limit) if self.used > limit => Err((60 - now.duration_since(self.window_start).as_secs()).max(1)),
            Some(_) | None => Ok(()),
        }
    }
}
