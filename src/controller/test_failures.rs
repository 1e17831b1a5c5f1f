//! One example of every failure, for the generated page of all messages.

use std::time::Duration;

use jiff::SignedDuration;

use super::{
    connection::failure_messages::{Failure, FailureContext},
    test_support::held_removals,
};
use crate::{
    api::{AuthType, BoxEnterprise},
    box_client::{
        CredentialRejection, Denial, Error, ErrorBody, InvalidResponse, LimitExceeded, MalformedCredentials,
        TokenStoreError,
    },
    kube_client::{KubeError, Refusal, RefusedBy},
    roster::{self, OwnershipConflict},
};

pub(super) fn sample_failures() -> Vec<Failure> {
    let failure_context = FailureContext {
        connection: "acme".to_owned(),
        namespace: "backup".to_owned(),
        secret: "acme-box".to_owned(),
        uid: "2f1d9c1e-0000-4000-8000-000000000001".to_owned(),
        enterprise: "1001".to_owned(),
        method: Some(AuthType::ClientCredentials),
        user_id: None,
        client_id: Some("client-acme".to_owned()),
    };
    let globex = BoxEnterprise { id: "2002".to_owned(), name: "Globex".to_owned() };
    let mut all = vec![
        Failure::missing_secret(&failure_context),
        Failure::missing_key(&failure_context, "clientSecret"),
        Failure::enterprise_mismatch(&failure_context, Some(&globex)),
        Failure::enterprise_mismatch(&failure_context, None),
        Failure::secret_forbidden(
            &failure_context,
            "User \"system:serviceaccount:boxsync:boxsync-operator\" cannot get resource \"secrets\" in API group \"\" in the namespace \"backup\"",
        ),
        Failure::unauthenticated("Unauthorized"),
        Failure::secret_unreadable(&failure_context, 500, "Internal error occurred: decryption failed"),
        Failure::invalid_auth_method(&failure_context),
        Failure::panicked(),
        Failure::oauth_disabled(&failure_context),
    ];
    let malformed = [
        MalformedCredentials::Empty("client id"),
        MalformedCredentials::NotJson { line: 3, column: 7 },
        MalformedCredentials::MissingField("boxAppSettings.clientID"),
        MalformedCredentials::WrongPassphrase,
        MalformedCredentials::LegacyEncryptedPem,
        MalformedCredentials::MalformedKey,
    ];
    all.extend(malformed.iter().map(|why| Failure::malformed_credentials(&failure_context, why)));
    all.extend(box_errors().iter().filter_map(|error| Failure::from_box_error(&failure_context, error)));
    let oauth_context = FailureContext { method: Some(AuthType::Oauth2), ..failure_context.clone() };
    all.push(Failure::enterprise_mismatch(&oauth_context, Some(&globex)));
    all.extend(oauth_errors().iter().filter_map(|error| Failure::from_box_error(&oauth_context, error)));
    all.extend(publish_errors().iter().map(|error| Failure::from_roster_error(&failure_context, error)));
    all
}

/// What only the authorization of a user meets.
fn oauth_errors() -> Vec<Error> {
    let error_body = ErrorBody::for_test("invalid_grant", "Refresh token has expired");
    let mut all = vec![Error::Denied { denial: Denial::AuthorizationExpired, body: error_body }];
    let store_errors = [
        TokenStoreError::OwnedByOther,
        TokenStoreError::ForeignSecret,
        TokenStoreError::Forbidden("User \"operator\" cannot create resource \"secrets\"".to_owned()),
        TokenStoreError::Refused {
            why: "A quota of namespace backup does not allow Secret acme-oauth2: exceeded quota: few.".to_owned(),
            remediation: "A cluster admin must raise the quota count/secrets in namespace backup.".to_owned(),
        },
        TokenStoreError::Unreachable,
        TokenStoreError::NotPersisted(String::new()),
        TokenStoreError::NotPersisted(
            "Admission webhook w.example.com denied Secret acme-oauth2: no Secrets.".to_owned(),
        ),
    ];
    all.extend(store_errors.map(Error::from));
    all
}

fn publish_errors() -> Vec<roster::Error> {
    vec![
        OwnershipConflict::OtherOwner.into(),
        OwnershipConflict::OtherEnterprise("2002".to_owned()).into(),
        OwnershipConflict::NewerFormat(2).into(),
        roster::Error::TooLarge { users: 2_100_000, slices: 4_200 },
        roster::Error::BaselineLost(held_removals()),
        KubeError::Forbidden("User \"operator\" cannot create resource \"userslices\"".to_owned()).into(),
        KubeError::TooManyRequests { retry_after: None, message: String::new() }.into(),
        KubeError::Unavailable { code: 504, message: "Timeout: request did not complete".to_owned() }.into(),
        KubeError::Rejected { code: 500, message: "Internal error occurred: disk full".to_owned() }.into(),
        KubeError::Unreachable(String::new()).into(),
    ]
    .into_iter()
    .chain(refusals().into_iter().map(|refusal| KubeError::Refused(refusal).into()))
    .collect()
}

fn refusals() -> Vec<Refusal> {
    [
        (
            RefusedBy::Quota,
            "exceeded quota: few-slices, requested: count/userslices.boxsync.dev=1, used: count/userslices.boxsync.dev=1, limited: count/userslices.boxsync.dev=1",
        ),
        (RefusedBy::Webhook("validation.gatekeeper.sh".to_owned()), "[owner] you must provide labels: {\"owner\"}"),
        (RefusedBy::Policy("must-have-owner".to_owned()), "you must provide the label owner"),
        (RefusedBy::Webhook("validate.kyverno.svc-fail".to_owned()), "only on weekdays"),
        (RefusedBy::UnavailableWebhook("validate.kyverno.svc-fail".to_owned()), "context deadline exceeded"),
        (RefusedBy::Admission, "maximum size is 1Ki"),
        (RefusedBy::TerminatingNamespace, ""),
        (RefusedBy::MissingNamespace, ""),
        (RefusedBy::Validation, "format: must be 1"),
        (RefusedBy::SizeLimit, "etcdserver: request is too large"),
    ]
    .into_iter()
    .map(|(by, sentence)| Refusal { by, sentence: sentence.to_owned() })
    .collect()
}

fn box_errors() -> Vec<Error> {
    let refused = |refusal, code, text| Error::Denied { denial: refusal, body: ErrorBody::for_test(code, text) };
    let rejected = |why, code, text| refused(Denial::CredentialsRejected(why), code, text);
    let no_body = || ErrorBody::default();
    vec![
        refused(Denial::AppNotAuthorized, "unauthorized_client", "This app is not authorized by the enterprise"),
        refused(Denial::AuthorizationExpired, "unauthorized", "Unauthorized"),
        refused(
            Denial::AccessBlocked,
            "access_from_location_blocked",
            "You're attempting to log in to Box from a location that has not been approved",
        ),
        refused(
            Denial::PermissionDenied,
            "insufficient_scope",
            "The request requires higher privileges than provided by the access token.",
        ),
        rejected(CredentialRejection::InvalidClient, "invalid_client", "The client credentials are invalid"),
        rejected(CredentialRejection::GrantCredentialsInvalid, "invalid_grant", "Grant credentials are invalid"),
        rejected(CredentialRejection::UnknownKeyId, "invalid_grant", "The 'kid' is invalid"),
        rejected(CredentialRejection::InvalidSubject, "invalid_grant", "Please check the 'sub' claim"),
        rejected(
            CredentialRejection::GrantTypeNotAllowed,
            "invalid_request",
            "The grant type is unauthorized for this client_id",
        ),
        rejected(CredentialRejection::Unknown, "invalid_grant", "Something new"),
        Error::RateLimited {
            retry_after: Some(Duration::from_secs(3600)),
            body: ErrorBody::for_test("rate_limit_exceeded", "Request rate limit exceeded, please try again later"),
        },
        Error::Unavailable { retry_after: None, detail: "Box returned 503 (request id abc123)".to_owned() },
        Error::Unavailable {
            retry_after: None,
            detail: "could not connect to api.box.com: connection refused".to_owned(),
        },
        Error::InvalidResponse { problem: InvalidResponse::NotJson, body: no_body() },
        Error::InvalidResponse { problem: InvalidResponse::EmptyUserList, body: no_body() },
        Error::InvalidResponse { problem: InvalidResponse::OffsetPagination, body: no_body() },
        Error::ClockSkew {
            body: ErrorBody::for_test("invalid_grant", "Please check the 'exp' claim"),
            skew: Some(SignedDuration::from_secs(754)),
        },
        Error::LimitExceeded(LimitExceeded::Users(2_000_000)),
    ]
}
