//! health — whether this process does its part, and what is missing where it does not.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    controller::{Kind, Served},
    runtime::lease::Standing,
};

/// What readiness follows from, as it is told by those who know.
pub struct Health {
    pub served: watch::Receiver<Served>,
    pub standing: watch::Receiver<Standing>,
    /// The kinds whose first list is complete.
    pub listed: watch::Receiver<Vec<Kind>>,
    pub stop: CancellationToken,
}

impl Health {
    /// What this process does, or why it does not.
    ///
    /// # Errors
    /// What is missing, and who mends it, in sentences for a person.
    pub fn readiness(&self) -> Result<String, String> {
        if self.stop.is_cancelled() {
            return Err("The process was told to stop.".to_owned());
        }
        readiness(&self.served.borrow(), &self.standing.borrow(), &self.listed.borrow())
    }
}

fn readiness(served: &Served, standing: &Standing, listed: &[Kind]) -> Result<String, String> {
    if let Some(problem) = served.problem() {
        return Err(problem);
    }
    match standing {
        Standing::Unknown => Err(
            "It is not known yet which replica leads: the Lease boxsync-operator was not read or written. If it lasts, the operator's log says why."
                .to_owned(),
        ),
        Standing::Lost => Err("This replica leads no longer, and ends.".to_owned()),
        Standing::StandsBy { holder } => Ok(format!("This replica stands by: {holder} holds the Lease.")),
        Standing::Leads => {
            let awaited: Vec<&str> =
                Kind::WATCHED.iter().filter(|kind| !listed.contains(kind)).map(|kind| kind.as_str()).collect();
            if awaited.is_empty() {
                Ok("This replica does the work.".to_owned())
            } else {
                Err(format!("This replica leads; the first list of {} is still to come.", awaited.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Trouble;

    fn lacking(trouble: Trouble) -> Served {
        Served::Lacking(vec![("userslices.boxsync.dev".to_owned(), trouble)])
    }

    fn standby() -> Standing {
        Standing::StandsBy { holder: "one".to_owned() }
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_else_is_asked_for() {
        let (all, two) = (Kind::WATCHED.as_slice(), &Kind::WATCHED[..2]);
        for (sentence, served, standing, listed, expected) in [
            ("a leader that has seen all works", Served::All, Standing::Leads, all, Ok("does the work")),
            ("a standby is ready: it stands by", Served::All, standby(), &[], Ok("stands by: one holds the Lease")),
            ("a leader waits for its lists", Served::All, Standing::Leads, two, Err("first list of userrosters")),
            ("nobody has asked yet", Served::NotAskedYet, Standing::Unknown, &[], Err("not reached yet")),
            ("nobody knows who leads", Served::All, Standing::Unknown, &[], Err("which replica leads")),
            ("leadership is lost", Served::All, Standing::Lost, all, Err("leads no longer")),
            (
                "a kind is missing",
                lacking(Trouble::NotServed),
                Standing::Unknown,
                &[],
                Err("does not serve userslices.boxsync.dev: the CustomResourceDefinitions are not installed"),
            ),
            (
                "a kind is gone while it works",
                lacking(Trouble::NotServed),
                Standing::Leads,
                all,
                Err("kubectl apply --server-side"),
            ),
            (
                "a right is missing",
                lacking(Trouble::Forbidden("no".to_owned())),
                standby(),
                &[],
                Err("list userslices.boxsync.dev"),
            ),
            (
                "the API server is away",
                lacking(Trouble::Unreachable("reset".to_owned())),
                Standing::Leads,
                all,
                Err("cannot be reached"),
            ),
        ] {
            let told = readiness(&served, &standing, listed);
            assert_eq!(told.is_ok(), expected.is_ok(), "{sentence}: {told:?}");
            let words = expected.unwrap_or_else(|words| words);
            let text = told.unwrap_or_else(|text| text);
            assert!(text.contains(words), "{sentence}: {text}");
        }
    }
}
