//! `docs/reasons.md`: what each reason means, what is retained, and who must do what.

use std::fmt::Write;

use boxsync::api::{
    ConditionStatus::{self, False, True, Unknown},
    FailureClass, Reason,
};

/// The documentation of a reason. Whole sentences without names of objects: those are in the condition's message.
struct ReasonDoc {
    meaning: &'static str,
    /// Who must do what and where, or that nobody must.
    remediation: &'static str,
    /// Conditions with this reason, of connections first: a request has `Complete`, `Failed`, `Reconciling` and `Stalled`.
    conditions: &'static [(&'static str, ConditionStatus)],
}

type ConditionStatuses = &'static [(&'static str, ConditionStatus)];

const DISCONNECTED: ConditionStatuses =
    &[("Connected", False), ("Ready", False), ("Synced", False), ("Stalled", True), ("Failed", True)];
const TRANSIENT: ConditionStatuses =
    &[("Synced", False), ("Ready", False), ("Reconciling", True), ("Failed", True), ("Stalled", True)];
const STALLED: ConditionStatuses = &[("Synced", False), ("Ready", False), ("Stalled", True), ("Failed", True)];
const WAITING: ConditionStatuses = &[("Reconciling", True)];
const REJECTED: ConditionStatuses = &[("Failed", True), ("Stalled", True)];

const NO_ACTION: &str = "Nobody has to do anything.";

const fn reason_doc(reason: Reason) -> ReasonDoc {
    let (conditions, meaning, remediation): (ConditionStatuses, _, _) = match reason {
        Reason::WaitingForOperator => (
            &[("Ready", Unknown)],
            "The connection is new, and no operator has processed it yet.",
            "If it stays so for more than some seconds, a cluster admin checks that the operator runs (`kubectl get pods -A -l app.kubernetes.io/name=boxsync-operator`), that one of its replicas leads (`kubectl boxsync status`), and that it watches this namespace (`--watch-namespace`).",
        ),
        Reason::NotChecked => (
            &[("Connected", Unknown)],
            "The credentials have not been checked yet: the connection is new, was suspended before its first sync, or its first attempt failed for a transient reason.",
            NO_ACTION,
        ),
        Reason::Connected => (
            &[("Connected", True)],
            "Box accepts the credentials, and they belong to the enterprise of `spec.enterpriseId`.",
            NO_ACTION,
        ),
        Reason::Syncing => (
            &[("Ready", Unknown), ("Synced", Unknown), ("Ready", False), ("Reconciling", True)],
            "The first list is being fetched, a changed spec is about to be tried, or a deleted list is being published again.",
            NO_ACTION,
        ),
        Reason::Synced => (
            &[("Ready", True), ("Synced", True), ("Complete", True)],
            "The last sync read the whole user list from Box, and that list is published.",
            NO_ACTION,
        ),
        Reason::LastAttemptFailed => (
            &[("Ready", True)],
            "The last attempt failed, and the list is fresh all the same: one failed night makes no list unusable.",
            "What failed, and who has to do something if anybody has to, is in the condition `Synced`.",
        ),
        Reason::Stale => (
            &[("Ready", False)],
            "The list is older than `spec.staleAfter` allows.",
            "What made it so is in the condition `Synced`; of a suspended connection it is `spec.suspend`.",
        ),
        Reason::Suspended => (
            &[("Ready", Unknown), ("Synced", Unknown), ("Failed", True), ("Stalled", True)],
            "`spec.suspend` is true: there are no automatic syncs and no checks, and requests are refused.",
            "To resume, the connection's owner sets `spec.suspend` to false.",
        ),
        Reason::CredentialsMissing => (
            DISCONNECTED,
            "There is no Secret of the name in `spec.auth`, or it lacks a key that the sign-in method needs.",
            "The connection's owner creates the Secret in the connection's namespace, with the keys that the message names: `clientId` and `clientSecret`, `config.json` for JWT, or `clientId`, `clientSecret` and `refreshToken` for OAuth 2.0.",
        ),
        Reason::CredentialsInvalid => (
            DISCONNECTED,
            "What the Secret holds cannot even be tried: it is not JSON, not complete, longer than credentials are, or its key cannot be decrypted or would take too much time or memory. Or `spec.auth` names no sign-in method, or several.",
            "The connection's owner puts the file that Box's developer console provides (Configuration, \"App Settings\", Download as JSON) into the Secret, or corrects `spec.auth`; the message says what is wrong. `kubectl boxsync check --file config.json` checks a file beforehand.",
        ),
        Reason::CredentialsRejected => (
            DISCONNECTED,
            "Box does not accept the client id, the client secret, the key pair or the enterprise id.",
            "The app's owner compares them with the app's page in Box's developer console (Configuration) and puts the current ones into the Secret. If Box says \"Grant credentials are invalid\" there are four causes: a wrong secret, a wrong enterprise id, an app without \"App + Enterprise Access\", and an app that no Box admin has authorized.",
        ),
        Reason::AuthorizationExpired => (
            DISCONNECTED,
            "Box no longer accepts what it accepted before: the authorization was withdrawn or has run out. Box may also reject every token that it has just issued: this is `BoxUnavailable` for ten minutes, because it passes as a rule, and only then this reason.",
            "A Box admin authorizes the app again (Admin Console > Integrations > Platform Apps Manager). With OAuth 2.0 a Box admin or co-admin signs in again, through the link that `kubectl boxsync connect NAME` prints. `kubectl boxsync handover NAME` writes the email to the admin.",
        ),
        Reason::AppNotAuthorized => (
            DISCONNECTED,
            "No Box admin has authorized the app for the enterprise, or its scopes or access level were changed since.",
            "A Box admin authorizes the app by its client id (Admin Console > Integrations > Platform Apps Manager > Server Authentication Apps), and again after every change of its scopes. `kubectl boxsync handover NAME` writes the email to the admin.",
        ),
        Reason::EnterpriseMismatch => (
            DISCONNECTED,
            "The credentials work, and belong to another enterprise than `spec.enterpriseId`.",
            "The connection's owner puts the credentials of the right enterprise into the Secret, or creates another BoxConnection for the other enterprise: `spec.enterpriseId` cannot be changed.",
        ),
        Reason::AccessBlocked => (
            DISCONNECTED,
            "A policy of the enterprise blocks the app or its network.",
            "A Box admin allows the app and the addresses that the operator calls from (Admin Console > Enterprise Settings > Security). `kubectl boxsync handover NAME` writes the email to the admin.",
        ),
        Reason::AuthorizationEndsSoon => (
            &[],
            "The authorization of a user (OAuth 2.0) ends within two weeks because the operator has not been able to renew it. It is valid for 60 days from each renewal; the operator renews it at every use, and for a suspended connection a month before its end.",
            "A cluster admin finds out why: the operator did not run or was paused, or it could not reach Box or the Secret. After the end, a Box admin or co-admin must sign in again (`kubectl boxsync connect NAME`).",
        ),
        Reason::MassChange => (
            &[],
            "In one sync more users than `spec.maxRemovalPercent` of the list, and more than 10, left the status active, got another login, lost a tracking code, or vanished while new users have their logins. The list shows what Box says.",
            "The connection's owner asks the Box admin whether that is intended, and checks what follows for the backups: `kubectl boxsync changes NAME` shows who it is. The roster's `journal` and the connection's `status.history` keep it (`massChanges`).",
        ),
        Reason::OAuthDisabled => (
            DISCONNECTED,
            "The connection signs in with a user's authorization (OAuth 2.0), and this operator runs without `--oauth`.",
            "A cluster admin runs the operator with `--oauth` and gives it the right to create and update Secrets (the chart's value `oauth.enabled`), or the connection's owner chooses another method in `spec.auth`.",
        ),
        Reason::RestoredTokens => (
            DISCONNECTED,
            "The tokens in the operator's own Secret (`NAME-oauth2`) belong to a BoxConnection of another cluster, or to one that was deleted: they came back from a backup. Each works once only, and to use them here would cut the other one off.",
            "An admin or co-admin of Box signs in again for this connection, through the link that `kubectl boxsync connect NAME` prints. If the other connection is permanently deleted, its tokens can be handed over: the annotation `boxsync.dev/connection-uid` of the Secret gets the UID of this connection, as the message shows.",
        ),
        Reason::PermissionDenied => (
            STALLED,
            "Box accepts the credentials but does not allow the app to list users.",
            "The app's owner gives it the scope \"Manage users\" and the access level \"App + Enterprise Access\" in Box's developer console; then a Box admin authorizes it again (Admin Console > Integrations > Platform Apps Manager), without which Box applies no change.",
        ),
        Reason::Paused => (
            &[("Paused", True), ("Ready", Unknown), ("Synced", Unknown), ("Reconciling", True)],
            "The whole operator runs with `--paused`: It makes no calls to Box. Statuses are still updated, and requests wait.",
            "To resume, a cluster admin runs the operator without `--paused`; nothing else is needed.",
        ),
        Reason::ScheduleInvalid => (
            &[("Stalled", True)],
            "`spec.schedule` cannot be followed: the cron expression or the time zone cannot be read, never names a time, or names times less than 15 minutes apart. There are no scheduled syncs; requests are answered.",
            "The connection's owner corrects `spec.schedule`; the message says what is wrong.",
        ),
        Reason::ListTooLarge => (
            STALLED,
            "The enterprise has more users than this version can take, or an answer of Box is larger than any should be.",
            "A cluster admin reports the size of the enterprise to the project.",
        ),
        Reason::RemovalsHeld => (
            &[("Ready", True), ("Ready", False), ("Synced", False), ("Stalled", True), ("Failed", True)],
            "More users vanished from Box at once than `spec.maxRemovalPercent` allows: an app that lost some of its rights has the same effect.",
            "Somebody who knows the enterprise reviews them (`kubectl boxsync users NAME --held`) and approves their removal (`kubectl boxsync approve NAME`), or asks a Box admin why Box no longer lists them.",
        ),
        Reason::RosterConflict => (
            TRANSIENT,
            "A UserRoster with the connection's name exists that belongs to another owner or another enterprise.",
            "A cluster admin checks the owner that the message names, and deletes the UserRoster if nobody needs it; or the connection is created under another name.",
        ),
        Reason::RateLimited => (
            TRANSIENT,
            "Box limits the rate of calls and asks for fewer.",
            "Nobody has to act at first. If it lasts, a Box admin checks which apps use up the enterprise's allowance of API calls.",
        ),
        Reason::BoxUnavailable => (
            TRANSIENT,
            "Box cannot be reached, gives no answer, or answers that it does not work at the moment.",
            "Nobody has to act at first. If it lasts while Box says that it works (https://status.box.com), a cluster admin checks the network path: proxy, firewall, DNS. `kubectl boxsync check NAME` tries it from the terminal.",
        ),
        Reason::Internal => (
            TRANSIENT,
            "The operator could not do its part: the API server did not let it read the Secret or write the list (a missing right, a quota, an admission policy or webhook, a namespace that is being deleted), or it failed itself. Box is not the cause.",
            "A cluster admin does what the message says; it has the API server's own sentence. See [what the API server refuses](refused.md).",
        ),
        Reason::BoxResponseInvalid => (
            TRANSIENT,
            "Box's response is invalid: it is not JSON, is cut off, repeats itself, or lists no users at all. Nothing of it is used.",
            "Nobody has to act at first. If it lasts, a cluster admin checks what is between the operator and Box (a proxy?), and gives Box's support the request id in the message. If no users are listed, the app lacks scopes: see [PermissionDenied](#permissiondenied).",
        ),
        Reason::ClockSkew => (
            TRANSIENT,
            "The operator's clock and Box's differ by so much that Box takes no signed assertion, not even one dated by its own clock.",
            "A cluster admin sets the clock of the node that the operator runs on.",
        ),
        Reason::Pending => (WAITING, "The request waits for its turn.", NO_ACTION),
        Reason::CoolingDown => (
            WAITING,
            "A sync of the connection ended a moment ago; the next one begins when the gap (`--min-sync-gap`) is over.",
            NO_ACTION,
        ),
        Reason::Running => (WAITING, "The sync that answers the request is under way.", NO_ACTION),
        Reason::TooManyRequests => (
            REJECTED,
            "Fifty older requests for the connection are unfinished.",
            "Create fewer requests: one sync completes all that wait.",
        ),
        Reason::ConnectionNotFound => (
            REJECTED,
            "For a minute there has been no BoxConnection of the name that the request gives.",
            "The request's creator corrects `spec.connectionRef.name`, or creates the connection first, and then creates a new request.",
        ),
        Reason::DeadlineExceeded => (
            REJECTED,
            "`spec.activeDeadlineSeconds` after its start the request had waited for a permit or a sync that was still running, or the operator could not read its connection. A request that failed in another way before has that reason.",
            "If the request's BoxConnection has no error, create a new request with a longer deadline. Otherwise see its status, and /readyz of the operator.",
        ),
        Reason::HeldListChanged => (
            REJECTED,
            "The request approves removals that are not, or no longer, exactly those that are held.",
            "The approver reviews the held removals again (`kubectl boxsync users NAME --held`) and approves them (`kubectl boxsync approve NAME`).",
        ),
        Reason::VersionSkew => (
            &[("Ready", False), ("Stalled", True)],
            "The connection was written by a newer version of the operator, or for newer CustomResourceDefinitions, and this version cannot read it, or does not know the reason that it gives.",
            "A cluster admin runs the newer version of the operator again, or removes the new fields.",
        ),
    };
    ReasonDoc { meaning, remediation, conditions }
}

/// What differs from the kind of the reason, as the page describes that.
const fn exception(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::WaitingForOperator => "Nothing happens until an operator works here; requests wait.",
        Reason::Syncing => "Where the list was deleted, nothing is there until it is published again.",
        Reason::LastAttemptFailed => "The operator retries as the reason of `Synced` says.",
        Reason::Stale => {
            "The list can still be read, but nobody should rely on it without knowing its age. The operator retries as the reason of `Synced` says; suspended or paused, it does not."
        }
        Reason::Suspended => {
            "The operator does nothing for the connection (but renews a user's authorization a month before its end). A request fails at once, without a call to Box."
        }
        Reason::Paused => {
            "Nothing is scheduled, and `status.nextSyncTime` is absent. Requests wait, and their deadline does not run."
        }
        Reason::CredentialsMissing | Reason::CredentialsInvalid | Reason::OAuthDisabled | Reason::RestoredTokens => {
            "Box is not asked: there is nothing to sign in with. A request fails at once for the same reason."
        }
        Reason::EnterpriseMismatch => "Nothing of another enterprise is ever written into the list.",
        Reason::ScheduleInvalid => {
            "There is no next scheduled sync, and `status.nextSyncTime` is absent unless a retry is due. A first sync, retries and requests run as always."
        }
        Reason::RemovalsHeld => {
            "The vanished users stay in the list; all others are kept in sync, and syncs and requests succeed. Only if the published list was deleted, with `Ready=False`, they fail until somebody approves a new list."
        }
        Reason::RosterConflict => "Nothing that the operator did not create is overwritten.",
        Reason::TooManyRequests => "The request fails at once, without a call to Box.",
        Reason::ConnectionNotFound => "The request fails after this minute, without a call to Box.",
        Reason::DeadlineExceeded => "The request fails half a minute after its deadline.",
        Reason::HeldListChanged => "Nobody is removed on the request's account.",
        Reason::VersionSkew => {
            "The object is left alone, and its list is not updated. A request waits, and fails with `DeadlineExceeded`."
        }
        _ => return None,
    })
}

/// Who must act, in few words.
const fn acting_person(reason: Reason) -> &'static str {
    match reason {
        Reason::WaitingForOperator
        | Reason::Paused
        | Reason::AuthorizationEndsSoon
        | Reason::OAuthDisabled
        | Reason::ListTooLarge
        | Reason::RosterConflict
        | Reason::Internal
        | Reason::ClockSkew
        | Reason::VersionSkew => "cluster admin",
        Reason::LastAttemptFailed | Reason::Stale => "see `Synced`",
        Reason::Suspended
        | Reason::CredentialsMissing
        | Reason::CredentialsInvalid
        | Reason::EnterpriseMismatch
        | Reason::ScheduleInvalid
        | Reason::MassChange => "connection's owner",
        Reason::CredentialsRejected => "app's owner",
        Reason::PermissionDenied => "app's owner, then Box admin",
        Reason::AuthorizationExpired | Reason::AppNotAuthorized | Reason::AccessBlocked | Reason::RestoredTokens => {
            "Box admin"
        }
        Reason::RemovalsHeld | Reason::HeldListChanged => "who knows the enterprise",
        Reason::RateLimited | Reason::BoxUnavailable | Reason::BoxResponseInvalid => "nobody at first",
        Reason::TooManyRequests | Reason::ConnectionNotFound | Reason::DeadlineExceeded => "request's creator",
        Reason::NotChecked
        | Reason::Connected
        | Reason::Syncing
        | Reason::Synced
        | Reason::Pending
        | Reason::CoolingDown
        | Reason::Running => "nobody",
    }
}

/// The kind of a reason, as the page calls it.
const fn kind(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Neutral => "normal",
        FailureClass::Transient => "retried",
        FailureClass::Suspect => "retried thrice",
        FailureClass::Stalled => "blocked",
        FailureClass::Disconnected => "disconnected",
        FailureClass::RequestRejected => "request",
    }
}

const INTRO: &str = "\
# Reasons

Why a connection or a request is as it is, in one word: the `reason` of its conditions and events. The condition's message says it of the case at hand, with Box's own words and request id; `kubectl boxsync check NAME` tries everything anew. Errors of Box that no version knew before are shown in Box's words under the reason nearest to them.

Whatever the reason, a published list stays, can be read, and counts as fresh until `spec.staleAfter` is over.

| kind | the operator by itself | a request |
| --- | --- | --- |
| normal | goes on as planned; `status.nextSyncTime` is the next sync | is not affected |
| retried | tries again: after 30 s, then twice that up to an hour, or when Box says; `status.failures.retryTime` has the time | is tried again, and fails at its deadline |
| retried thrice | the same | is tried again, and fails after three tries or at its deadline |
| blocked | tries again at the next scheduled time (`status.nextSyncTime`), not before | is tried at once, and fails at once if the list cannot be read |
| disconnected | makes no scheduled sync. It checks the Secret every minute and tries new content at once; otherwise it tries to sign in every minute for 15 minutes, then every 5 for an hour, then every 15. Once Box accepts the credentials, it syncs at once | is tried at once with the current Secret, and fails within seconds if nothing has changed |
| request | does nothing: it is the request that failed | has ended; create a new one |

Exceptions are in the section of a reason, after *But*.

";

pub(crate) fn render_reason_docs() -> String {
    let mut page = String::from(INTRO);
    page.push_str("| reason | meaning | kind | who acts |\n| --- | --- | --- | --- |\n");
    for &reason in Reason::ALL {
        let (anchor, kind) = (reason.as_str().to_lowercase(), kind(reason.failure_class()));
        let exception = if exception(reason).is_some() { ", but" } else { "" };
        let (summary, person) = (reason.summary(), acting_person(reason));
        let _ = writeln!(page, "| [{reason}](#{anchor}) | {summary} | {kind}{exception} | {person} |");
    }
    for &reason in Reason::ALL {
        let ReasonDoc { meaning, remediation, conditions } = reason_doc(reason);
        let conditions: Vec<String> =
            conditions.iter().map(|(kind, state)| format!("`{kind}={}`", state.as_str())).collect();
        let shown = if conditions.is_empty() { "an event".to_owned() } else { conditions.join(", ") };
        let _ = write!(page, "\n## {reason}\n\n{meaning}");
        if remediation != NO_ACTION {
            let _ = write!(page, " {remediation}");
        }
        let _ = write!(page, "\n\n* *Shown as* {shown}.\n");
        if let Some(exception) = exception(reason) {
            let _ = writeln!(page, "* *But*: {exception}");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_condition_is_documented_with_its_reason() {
        let written =
            include_str!("../../tests/snapshots/messages.txt").lines().filter(|line| !line.starts_with([' ', '=']));
        for (kind, rest) in written.filter_map(|line| line.split_once('=')) {
            let (state, name) = rest.split_once(' ').expect("a reason");
            let reason = Reason::parse(name).expect("a reason of ours");
            let documented = reason_doc(reason).conditions.iter().any(|(k, s)| *k == kind && s.as_str() == state);
            assert!(documented, "{kind}={state} is written with {name}, and its page does not say so");
        }
    }

    /// A sentence about the kind must be true of each of its reasons, or be named as an exception.
    #[test]
    fn reasons_that_no_schedule_follows_are_exceptions_of_their_kind() {
        for reason in [Reason::Paused, Reason::ScheduleInvalid, Reason::Suspended, Reason::RemovalsHeld] {
            assert!(exception(reason).is_some(), "{reason}");
        }
    }

    #[test]
    fn reason_texts_are_complete_sentences() {
        for &reason in Reason::ALL {
            let ReasonDoc { meaning, remediation, conditions: shown } = reason_doc(reason);
            for text in [meaning, remediation, exception(reason).unwrap_or(NO_ACTION)] {
                assert!(text.ends_with(['.', ')']), "{reason}: {text}");
            }
            let event_only = matches!(reason, Reason::AuthorizationEndsSoon | Reason::MassChange);
            assert_eq!(shown.is_empty(), event_only, "{reason}");
        }
    }
}
