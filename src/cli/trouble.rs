//! What is said when the cluster does not do it: one sentence, with the next step. Pure.

use super::{
    exit::{Exit, Stop},
    words::number,
};
use crate::{cluster::Trouble, roster::ReadError};

/// The right that would have been needed.
pub(super) struct Right {
    what: String,
    place: String,
}

impl Right {
    pub(super) fn to(verb: &str, resource: &str, namespace: &str) -> Self {
        Self { what: format!("{verb} {resource}"), place: format!("in namespace {namespace}") }
    }

    pub(super) fn everywhere(verb: &str, resource: &str) -> Self {
        Self { what: format!("{verb} {resource}"), place: "in all namespaces".to_owned() }
    }

    fn lacking(&self) -> String {
        let Self { what, place } = self;
        let ask = if what.ends_with("userrosters") || what.ends_with("userslices") {
            "ask a cluster admin for the ClusterRole boxsync-roster-reader there".to_owned()
        } else if place.ends_with("all namespaces") {
            "ask a cluster admin for it, or name one namespace with -n".to_owned()
        } else {
            "ask a cluster admin for it".to_owned()
        };
        format!("you lack the right to {what} {place}: {ask}.")
    }
}

pub(super) fn told(trouble: &Trouble, right: &Right) -> Stop {
    Stop::trouble(sentence(trouble, right))
}

pub(super) fn sentence(trouble: &Trouble, right: &Right) -> String {
    match trouble {
        Trouble::NotServed => NOT_INSTALLED.to_owned(),
        Trouble::NotFound => "it is gone. Look again with kubectl boxsync status.".to_owned(),
        Trouble::Conflict => "somebody else changed it in this moment. Try it again.".to_owned(),
        Trouble::Forbidden(said) if let Some((_, why)) = said.split_once(" denied request: ") => {
            format!("a policy of this cluster refuses it: {}.", unended(why))
        }
        Trouble::Forbidden(said) if said.contains("forbidden") => right.lacking(),
        Trouble::Forbidden(_) => {
            "the cluster does not know you (any more): sign in again, and check kubectl auth whoami.".to_owned()
        }
        Trouble::Refused { code, message } => {
            format!(
                "the API server answered {code}: {}. Try it again; if it lasts, ask a cluster admin.",
                unended(message)
            )
        }
        Trouble::Unreachable(why) => {
            format!("the API server cannot be reached: {}. Check the context with kubectl cluster-info.", unended(why))
        }
    }
}

const NOT_INSTALLED: &str = "this cluster has no BoxConnections: boxsync is not installed. Install its CRDs and the operator (kubectl apply --server-side -f crds/, then the chart boxsync-operator), or choose another --context.";

pub(super) fn not_installed() -> Stop {
    Stop::trouble(NOT_INSTALLED)
}

/// `there`: the names of those that are, where they may be known.
pub(super) fn no_connection(name: &str, namespace: &str, there: Option<&[String]>) -> Stop {
    let near = |names: &[String]| names.iter().find(|other| strsim::osa_distance(name, other) <= 2).cloned();
    let next = match there.map(|names| (names.is_empty(), near(names))) {
        Some((_, Some(other))) => format!("Did you mean {other}?"),
        Some((true, None)) => {
            "There is none at all here: see kubectl boxsync status -A --all, or choose another -n.".to_owned()
        }
        Some((false, None)) => format!("See kubectl boxsync status -n {namespace} --all."),
        None => "Check the name and -n.".to_owned(),
    };
    Stop::trouble(format!("there is no BoxConnection {name} in namespace {namespace}. {next}"))
}

/// Why the list of a connection that is there cannot be read.
pub(super) fn unread(error: &ReadError, connection: &str, namespace: &str) -> Stop {
    match error {
        ReadError::NoRoster => Stop::Told(
            Exit::NoList,
            format!(
                "no list of {connection} has been published (that is not an empty list). See kubectl boxsync status {connection} -n {namespace}."
            ),
        ),
        ReadError::Broken { revision } => Stop::trouble(format!(
            "the list of {connection} cannot be read whole: slices of revision {} are missing or damaged. The next sync mends it: kubectl boxsync sync {connection} -n {namespace} --wait.",
            number(*revision)
        )),
        ReadError::NewerFormat { format } => Stop::trouble(format!(
            "the list of {connection} is in format {format}, which this plugin does not know. Install a newer one: kubectl krew upgrade boxsync."
        )),
        ReadError::Trouble(trouble @ Trouble::Forbidden(said)) => {
            let resource = if said.contains("userslices") { "userslices" } else { "userrosters" };
            told(trouble, &Right::to("get", resource, namespace))
        }
        ReadError::Trouble(other) => told(other, &Right::to("get", "userrosters", namespace)),
    }
}

/// A foreign sentence, to be ended by us, without the type that some begin with.
fn unended(text: &str) -> &str {
    text.trim().trim_start_matches("ServiceError: ").trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_says_is_told_and_not_taken_for_a_missing_right() {
        let right = Right::to("create", "usersyncrequests", "backup");
        let said = |message: &str| sentence(&Trouble::Forbidden(message.to_owned()), &right);
        assert_eq!(
            said(
                "usersyncrequests.boxsync.dev \"acme-x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: Ask Jane."
            ),
            "a policy of this cluster refuses it: Ask Jane."
        );
        assert_eq!(
            said("usersyncrequests.boxsync.dev is forbidden: User \"somebody\" cannot create resource"),
            "you lack the right to create usersyncrequests in namespace backup: ask a cluster admin for it."
        );
    }
}
