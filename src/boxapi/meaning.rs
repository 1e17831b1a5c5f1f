//! What an answer of Box means: the one table of its errors.

use http::StatusCode;

use super::error::{Refusal, Rejected};
use super::said::Said;

/// Who was asked: the token endpoint or the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Token,
    Api,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// 200: there is something to read.
    Answer,
    Refused(Refusal),
    /// The assertion's time or id was refused.
    Clock,
    Limited,
    Unavailable,
    Redirect,
    /// Any other status; the body has nothing for us.
    Nonsense,
}

/// A row of the table: an error code, and words that its text must hold (in this order, not as parts of other words). The first row that fits counts.
struct Row(Place, &'static str, &'static str, Meaning);

const fn rejected(how: Rejected) -> Meaning {
    Meaning::Refused(Refusal::CredentialsRejected(how))
}

/// Box's codes say little without their texts: `invalid_grant` alone stands for six different things.
const ROWS: &[Row] = &[
    Row(Place::Token, "invalid_grant", "refresh token", Meaning::Refused(Refusal::AuthorizationExpired)),
    Row(Place::Token, "invalid_grant", "authorization code", rejected(Rejected::CodeInvalid)),
    Row(Place::Token, "invalid_grant", "auth code", rejected(Rejected::CodeInvalid)),
    Row(Place::Token, "invalid_grant", "grant credentials are invalid", rejected(Rejected::GrantInvalid)),
    Row(Place::Token, "invalid_grant", "kid", rejected(Rejected::KeyReplaced)),
    Row(Place::Token, "invalid_grant", "sub", rejected(Rejected::SubjectWrong)),
    Row(Place::Token, "invalid_grant", "exp", Meaning::Clock),
    Row(Place::Token, "invalid_grant", "jti", Meaning::Clock),
    Row(Place::Token, "invalid_grant", "", rejected(Rejected::Unknown)),
    Row(Place::Token, "unauthorized_client", "for this client_id", rejected(Rejected::GrantTypeNotAllowed)),
    Row(Place::Token, "unauthorized_client", "", Meaning::Refused(Refusal::AppNotAuthorized)),
    Row(Place::Token, "invalid_client", "", rejected(Rejected::ClientInvalid)),
    Row(Place::Token, "invalid_request", "grant type is unauthorized", rejected(Rejected::GrantTypeNotAllowed)),
    Row(Place::Token, "unsupported_grant_type", "", rejected(Rejected::GrantTypeNotAllowed)),
    Row(Place::Token, "access_from_location_blocked", "", Meaning::Refused(Refusal::AccessBlocked)),
    Row(Place::Token, "forbidden_by_policy", "", Meaning::Refused(Refusal::AccessBlocked)),
    Row(Place::Api, "access_from_location_blocked", "", Meaning::Refused(Refusal::AccessBlocked)),
    Row(Place::Api, "forbidden_by_policy", "", Meaning::Refused(Refusal::AccessBlocked)),
    Row(Place::Api, "insufficient_scope", "", Meaning::Refused(Refusal::PermissionDenied)),
    Row(Place::Api, "access_denied_insufficient_permissions", "", Meaning::Refused(Refusal::PermissionDenied)),
];

/// `said` is `None` where the body was no JSON: then nobody knows whether it was Box who spoke.
pub(super) fn meaning(place: Place, status: StatusCode, said: Option<&Said>) -> Meaning {
    match (place, status.as_u16()) {
        (_, 200) => Meaning::Answer,
        (_, 429) => Meaning::Limited,
        (_, 202 | 500..) => Meaning::Unavailable,
        (_, 300..=399) => Meaning::Redirect,
        // A body is not needed to understand this one, and Box does not always send one.
        (Place::Api, 401) => Meaning::Refused(Refusal::AuthorizationExpired),
        (Place::Api, 403) => match said {
            Some(said) => by_words(place, said).unwrap_or(Meaning::Refused(Refusal::PermissionDenied)),
            None => Meaning::Nonsense,
        },
        (Place::Token, 400 | 401 | 403) => said.and_then(|said| by_words(place, said)).unwrap_or(Meaning::Nonsense),
        (Place::Api | Place::Token, _) => Meaning::Nonsense,
    }
}

fn by_words(place: Place, said: &Said) -> Option<Meaning> {
    let text = words(said.text().unwrap_or_default());
    ROWS.iter()
        .find(|Row(at, code, phrase, _)| *at == place && said.code() == Some(*code) && text.contains(&words(phrase)))
        .map(|Row(_, _, _, meaning)| *meaning)
}

/// Lower-case words between single blanks, a blank at both ends: so "exp" is found in "the 'exp' claim" and not in "has expired".
fn words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.fold(String::from(" "), |line, word| line + word + " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Meaning::{Answer, Clock, Limited, Nonsense, Redirect, Refused, Unavailable};
    use Place::{Api, Token};
    use Refusal::{AccessBlocked, AppNotAuthorized, AuthorizationExpired, PermissionDenied};
    use Rejected::{ClientInvalid, CodeInvalid, GrantInvalid, GrantTypeNotAllowed, KeyReplaced, SubjectWrong, Unknown};

    #[test]
    fn every_error_of_box_has_its_meaning() {
        for (place, status, code, text, expected) in [
            (Token, 400, "invalid_grant", "Refresh token has expired", Refused(AuthorizationExpired)),
            (Token, 400, "invalid_grant", "Invalid refresh token", Refused(AuthorizationExpired)),
            (
                Token,
                400,
                "unauthorized_client",
                "This app is not authorized by the enterprise. Ask an admin",
                Refused(AppNotAuthorized),
            ),
            (
                Token,
                403,
                "unauthorized_client",
                "Cannot obtain token based on the enterprise configuration for your app",
                Refused(AppNotAuthorized),
            ),
            (
                Token,
                400,
                "unauthorized_client",
                r#"The "box_subject_type" value is unauthorized for this client_id"#,
                rejected(GrantTypeNotAllowed),
            ),
            (Token, 400, "invalid_client", "The client credentials are invalid", rejected(ClientInvalid)),
            (Token, 401, "invalid_client", "", rejected(ClientInvalid)),
            (Token, 400, "invalid_grant", "Grant credentials are invalid", rejected(GrantInvalid)),
            (Token, 400, "invalid_grant", "OAuth JWT 'kid' is not known", rejected(KeyReplaced)),
            (
                Token,
                400,
                "invalid_grant",
                "Please check the 'sub' claim. The 'sub' specified is invalid.",
                rejected(SubjectWrong),
            ),
            (
                Token,
                400,
                "invalid_request",
                "The grant type is unauthorized for this client_id",
                rejected(GrantTypeNotAllowed),
            ),
            (Token, 400, "unsupported_grant_type", "", rejected(GrantTypeNotAllowed)),
            (Token, 400, "invalid_grant", "Please check the 'exp' claim.", Clock),
            (Token, 400, "invalid_grant", "Please check the 'jti' claim. A unique value is required.", Clock),
            (Token, 400, "invalid_grant", "The authorization code has expired", rejected(CodeInvalid)),
            (
                Token,
                400,
                "invalid_grant",
                "Auth code doesn't exist or is invalid for the client",
                rejected(CodeInvalid),
            ),
            (Token, 400, "invalid_grant", "The moon is full", rejected(Unknown)),
            (Token, 400, "invalid_grant", "Something expired in the subway", rejected(Unknown)),
            (Token, 400, "invalid_request", "Something else", Nonsense),
            (Token, 400, "", "", Nonsense),
            (Token, 403, "access_from_location_blocked", "", Refused(AccessBlocked)),
            (Token, 404, "invalid_client", "", Nonsense),
            (Token, 429, "", "", Limited),
            (Token, 500, "invalid_grant", "", Unavailable),
            (Api, 200, "", "", Answer),
            (Api, 202, "", "", Unavailable),
            (Api, 204, "", "", Nonsense),
            (Api, 302, "", "", Redirect),
            (Api, 400, "bad_request", "", Nonsense),
            (Api, 401, "", "", Refused(AuthorizationExpired)),
            (Api, 403, "insufficient_scope", "", Refused(PermissionDenied)),
            (Api, 403, "access_denied_insufficient_permissions", "", Refused(PermissionDenied)),
            (Api, 403, "access_from_location_blocked", "", Refused(AccessBlocked)),
            (Api, 403, "forbidden_by_policy", "", Refused(AccessBlocked)),
            (Api, 403, "forbidden", "", Refused(PermissionDenied)),
            (Api, 404, "not_found", "", Nonsense),
            (Api, 429, "rate_limit_exceeded", "", Limited),
            (Api, 500, "", "", Unavailable),
            (Api, 503, "unavailable", "", Unavailable),
        ] {
            let body = serde_json::json!({ "error": code, "error_description": text }).to_string();
            let said = Said::read(body.as_bytes(), &[]).expect("JSON");
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(meaning(place, status, Some(&said)), expected, "{place:?} {status} {code} {text}");
        }
    }

    #[test]
    fn a_403_that_is_not_json_is_not_the_word_of_box() {
        assert_eq!(meaning(Api, StatusCode::FORBIDDEN, None), Nonsense);
        assert_eq!(meaning(Token, StatusCode::BAD_REQUEST, None), Nonsense);
        assert_eq!(meaning(Api, StatusCode::UNAUTHORIZED, None), Refused(AuthorizationExpired));
    }
}
