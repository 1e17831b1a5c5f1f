//! Every failure that a person can meet, one of each, for the page of all messages.

use std::time::Duration;

use jiff::SignedDuration;

use super::{
    failure::{Failure, Names},
    fixture::held,
};
use crate::{
    api::AuthType,
    boxapi::{Cap, Error, Nonsense, Refusal, Rejected, Said, Unkept, Unusable},
    cluster::Trouble,
    roster::{self, Conflict},
};

pub(super) fn failures() -> Vec<Failure> {
    let names = Names {
        connection: "acme".to_owned(),
        namespace: "backup".to_owned(),
        secret: "acme-box".to_owned(),
        uid: "2f1d9c1e-0000-4000-8000-000000000001".to_owned(),
        enterprise: "1001".to_owned(),
        method: Some(AuthType::ClientCredentials),
        client_id: Some("client-acme".to_owned()),
    };
    let mut all = vec![
        Failure::no_secret(&names),
        Failure::no_key(&names, "clientSecret"),
        Failure::mismatch(&names, Some(("2002", "Globex"))),
        Failure::mismatch(&names, None),
        Failure::secret_forbidden(&names),
        Failure::secret_unreadable(&names, 500),
        Failure::no_method(&names),
        Failure::panicked(),
        Failure::oauth_disabled(&names),
    ];
    let unusable = [
        Unusable::Empty("client id"),
        Unusable::NotJson { line: 3, column: 7 },
        Unusable::Missing("boxAppSettings.clientID"),
        Unusable::WrongPassphrase,
        Unusable::TraditionalPem,
        Unusable::KeyUnreadable,
    ];
    all.extend(unusable.iter().map(|why| Failure::unusable(&names, why)));
    all.extend(errors().iter().filter_map(|error| Failure::of_box(&names, error)));
    let by_user = Names { method: Some(AuthType::Oauth2), ..names.clone() };
    all.extend(user_errors().iter().filter_map(|error| Failure::of_box(&by_user, error)));
    all.extend(roster_errors().iter().map(|error| Failure::of_roster(&names, error)));
    all
}

/// What only the authorization of a user meets.
fn user_errors() -> Vec<Error> {
    let said = Said::sample("invalid_grant", "Refresh token has expired");
    let mut all = vec![Error::Refused { refusal: Refusal::AuthorizationExpired, said }];
    let unkept = [Unkept::Elsewhere, Unkept::InTheWay, Unkept::Denied, Unkept::Unreachable, Unkept::Lost];
    all.extend(unkept.map(Error::from));
    all
}

fn roster_errors() -> Vec<roster::Error> {
    vec![
        Conflict::OtherOwner.into(),
        Conflict::OtherEnterprise("2002".to_owned()).into(),
        Conflict::NewerFormat(2).into(),
        roster::Error::TooLarge { users: 2_100_000, slices: 4_200 },
        roster::Error::Unknown(held()),
        Trouble::Forbidden(String::new()).into(),
        Trouble::Refused { code: 500, message: String::new() }.into(),
        Trouble::Unreachable(String::new()).into(),
    ]
}

fn errors() -> Vec<Error> {
    let refused = |refusal, code, text| Error::Refused { refusal, said: Said::sample(code, text) };
    let rejected = |why, code, text| refused(Refusal::CredentialsRejected(why), code, text);
    let nobody = || Said::default();
    vec![
        refused(Refusal::AppNotAuthorized, "unauthorized_client", "This app is not authorized by the enterprise"),
        refused(Refusal::AuthorizationExpired, "unauthorized", "Unauthorized"),
        refused(
            Refusal::AccessBlocked,
            "access_from_location_blocked",
            "You're attempting to log in to Box from a location that has not been approved",
        ),
        refused(
            Refusal::PermissionDenied,
            "insufficient_scope",
            "The request requires higher privileges than provided by the access token.",
        ),
        rejected(Rejected::ClientInvalid, "invalid_client", "The client credentials are invalid"),
        rejected(Rejected::GrantInvalid, "invalid_grant", "Grant credentials are invalid"),
        rejected(Rejected::KeyReplaced, "invalid_grant", "The 'kid' is invalid"),
        rejected(Rejected::SubjectWrong, "invalid_grant", "Please check the 'sub' claim"),
        rejected(Rejected::GrantTypeNotAllowed, "invalid_request", "The grant type is unauthorized for this client_id"),
        rejected(Rejected::Unknown, "invalid_grant", "Something new"),
        Error::Limited {
            wait: Some(Duration::from_secs(3600)),
            said: Said::sample("rate_limit_exceeded", "Request rate limit exceeded, please try again later"),
        },
        Error::Unavailable { wait: None, what: "Box answered 503 (request id abc123)".to_owned() },
        Error::Unavailable { wait: None, what: "could not connect to api.box.com: connection refused".to_owned() },
        Error::Invalid { what: Nonsense::NotJson, said: nobody() },
        Error::Invalid { what: Nonsense::NoUsers, said: nobody() },
        Error::Invalid { what: Nonsense::OffsetReply, said: nobody() },
        Error::ClockSkew {
            said: Said::sample("invalid_grant", "Please check the 'exp' claim"),
            skew: Some(SignedDuration::from_secs(754)),
        },
        Error::TooLarge(Cap::Users(2_000_000)),
    ]
}
