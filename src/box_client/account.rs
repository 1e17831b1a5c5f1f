//! The account that the credentials act as (`users/me`).

use serde::Deserialize;

use super::{
    call_observer::Endpoint,
    client::Client,
    error::{Error, InvalidResponse},
    lenient_value::LenientValue,
};

const CURRENT_USER_PATH: &str = "/2.0/users/me?fields=id,type,name,login,role,status,enterprise";

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
        parse_account(&self.get_authorized(Endpoint::Me, CURRENT_USER_PATH).await?)
    }
}

fn parse_account(body: &[u8]) -> Result<Account, Error> {
    let CurrentUserResponse { id, login, name, enterprise } =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Error::invalid_response(InvalidResponse::MissingAccount),
            _ => Error::invalid_response(InvalidResponse::NotJson),
        })?;
    let text = |value: LenientValue<'_>| value.into_text().into_owned();
    let id = id.into_non_empty_text().ok_or(Error::invalid_response(InvalidResponse::MissingAccount))?;
    let enterprise = enterprise.and_then(|EnterpriseResponse { id, name }| {
        Some(Enterprise { id: id.into_non_empty_text()?, name: text(name) })
    });
    Ok(Account { id, login: text(login), name: text(name), enterprise })
}
