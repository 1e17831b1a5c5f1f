//! Who the credentials act as.

use serde::Deserialize;

use super::error::{Error, Nonsense};
use super::scalar::Scalar;

pub(super) const PATH: &str = "/2.0/users/me?fields=id,type,name,login,role,status,enterprise";

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

#[derive(Deserialize)]
struct Me<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    login: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    enterprise: Option<In<'a>>,
}

#[derive(Deserialize)]
struct In<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
}

pub(super) fn read(body: &[u8]) -> Result<Account, Error> {
    let Me { id, login, name, enterprise } = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Error::invalid(Nonsense::NoAccount),
        _ => Error::invalid(Nonsense::NotJson),
    })?;
    let text = |value: Scalar<'_>| value.into_text().into_owned();
    let id = id.into_word().ok_or(Error::invalid(Nonsense::NoAccount))?;
    let enterprise = enterprise.and_then(|In { id, name }| Some(Enterprise { id: id.into_word()?, name: text(name) }));
    Ok(Account { id, login: text(login), name: text(name), enterprise })
}
