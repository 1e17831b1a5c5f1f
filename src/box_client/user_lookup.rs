//! What Box says of one user (`users/{id}`).

use serde::Deserialize;

use super::{
    call_observer::Endpoint,
    client::Client,
    error::{Denial, Error, InvalidResponse},
    error_body::ErrorBody,
    lenient_json::parse_leniently,
    lenient_value::LenientValue,
};
use crate::user_list::UserStanding;

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct UserLookupResponse<'a> {
    id: LenientValue<'a>,
    enterprise: Option<UserEnterprise<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct UserEnterprise<'a> {
    id: LenientValue<'a>,
}

impl Client {
    /// Asks Box for this very user. A refusal that concerns this call only is [`UserStanding::Unknown`].
    ///
    /// # Errors
    /// Box is not available, limits the rate, or no longer accepts the authorization; the call was cancelled.
    pub async fn look_up_user(&self, id: &str, enterprise_id: &str) -> Result<UserStanding, Error> {
        let id_in_path: String =
            form_urlencoded::byte_serialize(id.as_bytes()).map(|part| if part == "+" { "%20" } else { part }).collect();
        let path = format!("/2.0/users/{id_in_path}?fields=id,enterprise,status");
        match self.get_authorized(Endpoint::User, &path).await {
            Ok(body) => Ok(parse_standing(&body, id, enterprise_id)),
            Err(error) => standing_from_error(error),
        }
    }
}

fn parse_standing(body: &[u8], id: &str, enterprise_id: &str) -> UserStanding {
    let parsed = parse_leniently(body, |json| {
        let UserLookupResponse { id: found, enterprise } = serde_json::from_str(json)?;
        let enterprise = enterprise.map(|enterprise| enterprise.id.into_text().into_owned());
        Ok((found.into_text() == id, enterprise))
    });
    match parsed {
        Ok((true, Some(enterprise))) if enterprise == enterprise_id => UserStanding::Managed,
        Ok((true, _)) => UserStanding::Gone,
        // An answer about somebody else, or none: not Box's word about this user.
        Ok((false, _)) | Err(_) => UserStanding::Unknown,
    }
}

/// What a failed lookup says. A 404 counts only as Box writes it: one of a proxy must not remove anybody.
fn standing_from_error(error: Error) -> Result<UserStanding, Error> {
    match error {
        Error::InvalidResponse { problem: InvalidResponse::Status(404), body } if is_from_box(&body) => {
            Ok(UserStanding::Gone)
        }
        Error::Denied { denial: Denial::PermissionDenied | Denial::AccessBlocked, .. }
        | Error::InvalidResponse { .. }
        | Error::LimitExceeded(_) => Ok(UserStanding::Unknown),
        other => Err(other),
    }
}

fn is_from_box(not_found: &ErrorBody) -> bool {
    match not_found.code() {
        Some(code) => code == "not_found",
        // Box does not always send a body, but always its request id.
        None => not_found.request_id().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_box_s_own_word_about_this_very_user_counts() {
        for (body, expected) in [
            (r#"{"type":"user","id":"7","enterprise":{"id":"1001"},"status":"inactive"}"#, UserStanding::Managed),
            (r#"{"id":7,"enterprise":{"id":1001}}"#, UserStanding::Managed),
            (r#"{"id":"7","enterprise":{"id":"2002"}}"#, UserStanding::Gone),
            (r#"{"id":"7","enterprise":null,"status":null}"#, UserStanding::Gone),
            (r#"{"id":"7"}"#, UserStanding::Gone),
            (r#"{"id":"8","enterprise":null}"#, UserStanding::Unknown),
            (r#"{"enterprise":null}"#, UserStanding::Unknown),
            ("<html>", UserStanding::Unknown),
            ("[]", UserStanding::Unknown),
        ] {
            assert_eq!(parse_standing(body.as_bytes(), "7", "1001"), expected, "{body}");
        }
    }

    #[test]
    fn a_404_is_believed_only_as_box_writes_it_and_other_refusals_say_nothing() {
        let status = |status, body| Error::InvalidResponse { problem: InvalidResponse::Status(status), body };
        let denied = |denial| Error::Denied { denial, body: ErrorBody::default() };
        let not_found = ErrorBody::for_test("not_found", "Not Found");
        assert_eq!(standing_from_error(status(404, not_found)), Ok(UserStanding::Gone));
        let with_request_id = ErrorBody::default().or_request_id_header(Some("abc123"));
        assert_eq!(standing_from_error(status(404, with_request_id)), Ok(UserStanding::Gone));
        assert_eq!(standing_from_error(status(404, ErrorBody::default())), Ok(UserStanding::Unknown));
        assert_eq!(standing_from_error(status(404, ErrorBody::for_test("no_route", ""))), Ok(UserStanding::Unknown));
        assert_eq!(standing_from_error(denied(Denial::PermissionDenied)), Ok(UserStanding::Unknown));
        assert_eq!(standing_from_error(denied(Denial::AccessBlocked)), Ok(UserStanding::Unknown));
        for ends_the_run in [
            denied(Denial::AuthorizationExpired),
            Error::RateLimited { retry_after: None, body: ErrorBody::default() },
            Error::Unavailable { retry_after: None, detail: String::new() },
            Error::Cancelled,
        ] {
            assert_eq!(standing_from_error(ends_the_run.clone()), Err(ends_the_run));
        }
    }
}
