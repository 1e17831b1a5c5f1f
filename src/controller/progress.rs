//! While a run takes long, the status tells how far it is.

use kube::core::object::HasStatus;

use super::{
    answer,
    cluster::{Told, Trouble},
    context::Context,
    events::{self, reference},
    memory::named,
    observe::status_of,
    report::{Access, News, report},
    run::Job,
};
use crate::api::{BoxConnection, CurrentSync, Progress, UserSyncRequest};

/// The objects that a run speaks of, as they were last written or read.
pub(super) struct Objects {
    pub(super) connection: BoxConnection,
    /// The requests that it answers.
    pub(super) requests: Vec<UserSyncRequest>,
}

impl Objects {
    pub(super) fn of(job: &Job) -> Self {
        Self { connection: job.observed.connection.as_ref().clone(), requests: job.requests().cloned().collect() }
    }

    /// Tells how far the run is that Box has let in.
    pub(super) async fn tell(&mut self, context: &Context, current: &CurrentSync, access: &Access) {
        let now = context.now();
        let progress = Progress { pages: current.pages, users: current.users };
        let start = current.start_time.0;
        let news = News::Running(current.clone(), access);
        let before = status_of(&self.connection).clone();
        renew(context, &mut self.connection, |c| report(c, context.list(c), &news, &context.rules, now)).await;
        for note in events::of_connection(&before, status_of(&self.connection), &news) {
            context.events.publish(&reference(&self.connection), &note).await;
        }
        for request in &mut self.requests {
            renew(context, request, |r| answer::running(r, Some(progress), start, now)).await;
        }
    }
}

/// Writes a status, once more where somebody else wrote first. What is not written now is told the next time.
async fn renew<K: Told>(context: &Context, object: &mut K, status: impl Fn(&K) -> <K as HasStatus>::Status) {
    let mut written = context.cluster.write(object, status(object)).await;
    if matches!(written, Err(Trouble::Conflict)) {
        written = match context.cluster.reread(object).await {
            Ok(fresh) => context.cluster.write(&fresh, status(&fresh)).await,
            gone => gone,
        };
    }
    match written {
        Ok(fresh) => *object = fresh,
        Err(trouble) => tracing::warn!(object = named(object), %trouble, "progress was not written"),
    }
}
