//! The account that the credentials act as (`users/me`).

use serde::Deserialize;

use super::{
    call_observer::Endpoint,
    client::Client,
    error::{Error, InvalidResponse},
    lenient_json::parse_leniently,
    lenient_value::LenientValue,
};
use crate::text::clamp_text;

const CURRENT_USER_PATH: &str = "/2.0/users/me?fields=id,type,name,login,role,status,enterprise";

/// Box's ids are digits; these become part of statuses and messages.
const MAX_ID_CHARS: usize = 64;
/// A login is an email address of at most 254 characters; names are longer nowhere in Box's documentation.
const MAX_NAME_CHARS: usize = 256;

/// The Box account that the credentials act as: for server credentials the app's service account (`AutomationUser_…@boxdevedition.com`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub login: String,
    pub name: String,
    /// The enterprise that the account belongs to, where Box names one.
    pub enterprise: Option<Enterprise>,
}

/// A Box enterprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enterprise {
    pub id: String,
    pub name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct CurrentUserResponse<'a> {
    id: LenientValue<'a>,
    login: LenientValue<'a>,
    name: LenientValue<'a>,
    enterprise: Option<EnterpriseResponse<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct EnterpriseResponse<'a> {
    id: LenientValue<'a>,
    name: LenientValue<'a>,
}

impl Client {
    /// The account that the credentials act as (`users/me`), with its enterprise.
    pub async fn get_account(&self) -> Result<Account, Error> {
        let body = self.get_authorized(Endpoint::Me, CURRENT_USER_PATH).await?;
        parse_account(&body).map_err(|error| body.explain(error))
    }
}

pub(super) fn parse_account(body: &[u8]) -> Result<Account, Error> {
    let text = |value: LenientValue<'_>| clamp_text(&value.into_text(), MAX_NAME_CHARS);
    let id = |value: LenientValue<'_>| value.into_non_empty_text().map(|id| clamp_text(&id, MAX_ID_CHARS));
    let parsed = parse_leniently(body, |json| {
        let CurrentUserResponse { id: found, login, name, enterprise } = serde_json::from_str(json)?;
        let enterprise = enterprise
            .and_then(|EnterpriseResponse { id: found, name }| Some(Enterprise { id: id(found)?, name: text(name) }));
        Ok(id(found).map(|id| Account { id, login: text(login), name: text(name), enterprise }))
    });
    match parsed {
        Ok(account) => account.ok_or(Error::invalid_response(InvalidResponse::MissingAccount)),
        Err(error) if error.is_data() => Err(Error::invalid_response(InvalidResponse::MissingAccount)),
        Err(_) => Err(Error::invalid_response(InvalidResponse::NotJson)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_any_size_has_bounded_and_printable_texts() {
        let long = "\\u0001ü".repeat(450_000);
        let body = format!(
            r#"{{"id":"{long}","login":"{long}","name":"{long}","enterprise":{{"id":"{long}","name":"{long}"}}}}"#
        );
        let Account { id, login, name, enterprise } = parse_account(body.as_bytes()).expect("an account");
        let enterprise = enterprise.expect("an enterprise");
        for (text, limit) in [
            (&id, MAX_ID_CHARS),
            (&login, MAX_NAME_CHARS),
            (&name, MAX_NAME_CHARS),
            (&enterprise.id, MAX_ID_CHARS),
            (&enterprise.name, MAX_NAME_CHARS),
        ] {
            assert_eq!(text.chars().count(), limit + 1);
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
