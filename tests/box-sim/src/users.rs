//! GET /2.0/users: marker paging and offset paging.

use crate::{
    behaviour::Behaviour,
    fields::{EnterpriseValue, FieldSet, UserWriter},
    list::{RenderedUsers, UserList},
    marker::Marker,
    request::BoxRequest,
    response::BoxResponse,
    state::EnterpriseState,
};
use http::StatusCode;
use serde_json::{Value, json};
use std::{io::Write, sync::Arc};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;
const MAX_OFFSET: usize = 10_000;

/// An invalid parameter.
struct InvalidParameter(&'static str, String);

pub(crate) fn handle_list_users(request: &BoxRequest, state: &mut EnterpriseState, request_id: &str) -> BoxResponse {
    match list_users(request, state) {
        Ok(body) => BoxResponse::new(StatusCode::OK, "application/json", body),
        Err(InvalidParameter(name, message)) => {
            let context = json!({"errors": [{"reason": "invalid_parameter", "name": name, "message": message}]});
            BoxResponse::api_error(StatusCode::BAD_REQUEST, "bad_request", "Bad Request", &context, request_id)
        }
    }
}

fn list_users(request: &BoxRequest, state: &mut EnterpriseState) -> Result<Vec<u8>, InvalidParameter> {
    let limit = parse_number(request, "limit")?.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    if limit == 0 {
        return Err(InvalidParameter("limit", "Invalid value '0'. The limit must be positive".to_owned()));
    }
    let offset = parse_number(request, "offset")?.unwrap_or(0);
    // Box accepts "True" too, as written by Python.
    let by_marker = request.query_param("usemarker").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let everybody = match request.query_param("user_type") {
        None | Some("managed" | "all") => true,
        // External users are only found by their complete login; there are none here.
        Some("external") => false,
        Some(other) => return Err(InvalidParameter("user_type", format!("Invalid value '{other}'"))),
    };
    let on = |behaviour| state.behaviours.contains(behaviour);
    let one_walk_ends_early = on(Behaviour::OneWalkEndsEarly);
    let (ignore_usemarker, omit_entries, empty_list) =
        (on(Behaviour::IgnoresUsemarker), on(Behaviour::EntriesMissing), on(Behaviour::EmptyList));
    let term = request.query_param("filter_term");

    let writer = UserWriter {
        fields: FieldSet::from_query(request.query_param("fields")),
        behaviours: state.behaviours.affecting_user_json(),
        enterprise: EnterpriseValue::Present { id: &state.id, name: &state.name },
    };
    let users = match term {
        _ if !everybody || empty_list => Arc::new(RenderedUsers::default()),
        Some(term) => Arc::new(UserList::render_filtered(&state.users, &writer, term)),
        None => state.users.render_all(&writer),
    };

    let page = if by_marker && !ignore_usemarker {
        let listed_users = listed_users(&users, state);
        let endless = term.is_some() && users.len() > 0;
        let marker_paging = MarkerPaging { users: &users, listed_users, limit, state, endless };
        marker_paging.marker_page(request.query_param("marker"))?
    } else {
        if offset > MAX_OFFSET {
            return Err(InvalidParameter(
                "offset",
                format!("Invalid value '{offset}'. The offset must not exceed {MAX_OFFSET}"),
            ));
        }
        offset_page(&users, limit, offset)
    };
    let is_last = page.envelope["next_marker"].is_null();
    let body = page.into_bytes(omit_entries);
    if one_walk_ends_early && is_last {
        state.behaviours.remove(Behaviour::OneWalkEndsEarly);
    }
    Ok(body)
}

/// How many users a walk by markers contains, of all.
fn listed_users(users: &RenderedUsers, state: &EnterpriseState) -> usize {
    let on = |behaviour| state.behaviours.contains(behaviour);
    if on(Behaviour::WalkEndsEarly) || on(Behaviour::OneWalkEndsEarly) {
        (users.len() * 85).div_ceil(100)
    } else if on(Behaviour::TwiceAndNever) {
        users.len() - twice_and_never(users)
    } else {
        users.len()
    }
}

/// How many users are listed twice, and how many never.
fn twice_and_never(users: &RenderedUsers) -> usize {
    (users.len() / 3).min(50)
}

fn parse_number(request: &BoxRequest, name: &'static str) -> Result<Option<usize>, InvalidParameter> {
    let Some(value) = request.query_param(name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| InvalidParameter(name, format!("Invalid value '{value}'")))
}

/// A page: its users as JSON, and the surrounding members.
struct UsersPage<'a> {
    entries: &'a [u8],
    /// Additional users that do not belong to the page, if any.
    extra_entry: Option<Vec<u8>>,
    envelope: Value,
}

impl UsersPage<'_> {
    fn into_bytes(self, hide_entries: bool) -> Vec<u8> {
        let around = self.envelope.to_string();
        let mut body = Vec::with_capacity(self.entries.len() + around.len() + 64);
        if hide_entries {
            return around.into_bytes();
        }
        body.extend_from_slice(br#"{"entries":["#);
        body.extend_from_slice(self.entries);
        if let Some(more) = self.extra_entry {
            body.extend_from_slice(if self.entries.is_empty() { b"" } else { b"," });
            body.extend_from_slice(&more);
        }
        body.extend_from_slice(b"],");
        // Without its opening brace: both parts form one object.
        body.write_all(&around.as_bytes()[1..]).expect("writing to a Vec cannot fail");
        body
    }
}

fn offset_page(users: &RenderedUsers, limit: usize, offset: usize) -> UsersPage<'_> {
    let from = offset.min(users.len());
    UsersPage {
        entries: users.byte_range(from, users.len().min(from + limit)),
        extra_entry: None,
        envelope: json!({
            "limit": limit,
            "offset": offset,
            "order": [{"by": "id", "direction": "ASC"}],
            "total_count": users.len(),
        }),
    }
}

struct MarkerPaging<'a> {
    users: &'a RenderedUsers,
    /// How many of them are listed.
    listed_users: usize,
    limit: usize,
    state: &'a EnterpriseState,
    /// With `filter_term`, marker paging never ends in Box (known bug).
    endless: bool,
}

impl<'a> MarkerPaging<'a> {
    fn marker_page(&self, marker: Option<&str>) -> Result<UsersPage<'a>, InvalidParameter> {
        let on = |behaviour| self.state.behaviours.contains(behaviour);
        let requested = match marker.filter(|marker| !marker.is_empty()) {
            Some(text) if !on(Behaviour::MarkerRejected) => Some(Marker::decode(text)),
            Some(_) => Some(None),
            None => None,
        };
        let Some(asked) = requested.map_or(Some(None), |read| read.map(Some)) else {
            return Err(InvalidParameter("marker", "Invalid marker".to_owned()));
        };
        let page = asked.as_ref().map_or(0, |marker| marker.page);
        let from = asked.as_ref().and_then(Marker::tail).map_or(0, |tail| self.users.position_after(tail));
        let size = if on(Behaviour::ShortPages) { self.limit.div_ceil(3) } else { self.limit };
        let empty =
            (on(Behaviour::EmptyPageInTheMiddle) && page == 1) || (on(Behaviour::EndlessEmptyPages) && page > 0);
        let to = if empty { from } else { self.listed_users.min(from + size) };

        let tail = if to == 0 { 0 } else { self.users.key_at(to - 1) };
        let ended = to >= self.listed_users;
        let next = if on(Behaviour::RepeatedMarker) {
            Some(asked.unwrap_or_else(|| Marker::after(tail, 0)))
        } else if on(Behaviour::EndlessEmptyPages) {
            Some(Marker::after(tail, page + 1))
        } else if ended && (self.endless || on(Behaviour::EndlessMarkers)) {
            Some(Marker::after(0, page + 1))
        } else if on(Behaviour::EmptyPageInTheMiddle) && (!ended || page == 0) {
            Some(Marker::after(tail, page + 1))
        } else if ended {
            None
        } else {
            Some(Marker::after(tail, page))
        };

        let mut around = json!({"limit": self.limit, "next_marker": next.as_ref().map(Marker::encode)});
        if next.is_none() && on(Behaviour::NextMarkerEmptyString) {
            around["next_marker"] = "".into();
        }
        if next.is_none() && on(Behaviour::NextMarkerMissing) {
            around = json!({"limit": self.limit});
        }
        let more = if on(Behaviour::DuplicateAcrossPages) && !ended {
            Some(outdated_copy(self.users.byte_range(to, to + 1)))
        } else if on(Behaviour::TwiceAndNever) && ended {
            Some(self.users.byte_range(0, twice_and_never(self.users)).to_vec())
        } else {
            None
        };
        Ok(UsersPage { entries: self.users.byte_range(from, to), extra_entry: more, envelope: around })
    }
}

/// The user with an older name.
fn outdated_copy(entry: &[u8]) -> Vec<u8> {
    let mut user: Value = serde_json::from_slice(entry).expect("rendered users are valid JSON");
    user["name"] = format!("{} (old name)", user["name"].as_str().unwrap_or_default()).into();
    user.to_string().into_bytes()
}
