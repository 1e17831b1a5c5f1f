//! GET /2.0/users: by marker and by offset.

use crate::{
    ask::Ask,
    behaviour::Behaviour,
    fields::{Belongs, FieldSet, Writer},
    list::{List, Rendered},
    marker::Marker,
    reply::Reply,
    state::State,
};
use http::StatusCode;
use serde_json::{Value, json};
use std::{io::Write, sync::Arc};

const LIMIT: usize = 100;
const LARGEST_LIMIT: usize = 1000;
const LARGEST_OFFSET: usize = 10_000;

/// What is wrong with a parameter.
struct Wrong(&'static str, String);

pub(crate) fn answer(ask: &Ask, state: &mut State, request_id: &str) -> Reply {
    match page(ask, state) {
        Ok(body) => Reply::new(StatusCode::OK, "application/json", body),
        Err(Wrong(name, message)) => {
            let context = json!({"errors": [{"reason": "invalid_parameter", "name": name, "message": message}]});
            Reply::error(StatusCode::BAD_REQUEST, "bad_request", "Bad Request", &context, request_id)
        }
    }
}

fn page(ask: &Ask, state: &mut State) -> Result<Vec<u8>, Wrong> {
    let limit = number(ask, "limit")?.unwrap_or(LIMIT).min(LARGEST_LIMIT);
    if limit == 0 {
        return Err(Wrong("limit", "Invalid value '0'. The limit must be positive".to_owned()));
    }
    let offset = number(ask, "offset")?.unwrap_or(0);
    // Box reads "True" as well, which is what Python writes.
    let by_marker = ask.param("usemarker").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let everybody = match ask.param("user_type") {
        None | Some("managed" | "all") => true,
        // External users are only ever found by their whole login, and nobody has any here.
        Some("external") => false,
        Some(other) => return Err(Wrong("user_type", format!("Invalid value '{other}'"))),
    };
    let on = |behaviour| state.behaviours.has(behaviour);
    let (ignored, hidden, nobody) =
        (on(Behaviour::IgnoresUsemarker), on(Behaviour::EntriesMissing), on(Behaviour::EmptyList));
    let term = ask.param("filter_term");

    let writer = Writer {
        fields: FieldSet::asked(ask.param("fields")),
        behaviours: state.behaviours.of_users(),
        belongs: Belongs::To { id: &state.id, name: &state.name },
    };
    let users = match term {
        _ if !everybody || nobody => Arc::new(Rendered::default()),
        Some(term) => Arc::new(List::filtered(&state.list, &writer, term)),
        None => state.list.everybody(&writer),
    };

    let page = if by_marker && !ignored {
        let walk = Walk { users: &users, limit, state, endless: term.is_some() && users.len() > 0 };
        walk.page(ask.param("marker"))?
    } else {
        if offset > LARGEST_OFFSET {
            return Err(Wrong(
                "offset",
                format!("Invalid value '{offset}'. The offset must not exceed {LARGEST_OFFSET}"),
            ));
        }
        offset_page(&users, limit, offset)
    };
    Ok(page.body(hidden))
}

fn number(ask: &Ask, name: &'static str) -> Result<Option<usize>, Wrong> {
    let Some(value) = ask.param(name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| Wrong(name, format!("Invalid value '{value}'")))
}

/// A page: its users as JSON, and the members around them.
struct Page<'a> {
    entries: &'a [u8],
    /// One more user, if the page has one that does not belong there.
    more: Option<Vec<u8>>,
    around: Value,
}

impl Page<'_> {
    fn body(self, hide_entries: bool) -> Vec<u8> {
        let around = self.around.to_string();
        let mut body = Vec::with_capacity(self.entries.len() + around.len() + 64);
        if hide_entries {
            return around.into_bytes();
        }
        body.extend_from_slice(br#"{"entries":["#);
        body.extend_from_slice(self.entries);
        if let Some(more) = self.more {
            body.extend_from_slice(if self.entries.is_empty() { b"" } else { b"," });
            body.extend_from_slice(&more);
        }
        body.extend_from_slice(b"],");
        // Without its opening brace: both halves are one object.
        body.write_all(&around.as_bytes()[1..]).expect("memory takes every byte");
        body
    }
}

fn offset_page(users: &Rendered, limit: usize, offset: usize) -> Page<'_> {
    let from = offset.min(users.len());
    Page {
        entries: users.stretch(from, users.len().min(from + limit)),
        more: None,
        around: json!({
            "limit": limit,
            "offset": offset,
            "order": [{"by": "id", "direction": "ASC"}],
            "total_count": users.len(),
        }),
    }
}

struct Walk<'a> {
    users: &'a Rendered,
    limit: usize,
    state: &'a State,
    /// With `filter_term` a walk by marker is known never to end.
    endless: bool,
}

impl<'a> Walk<'a> {
    fn page(&self, marker: Option<&str>) -> Result<Page<'a>, Wrong> {
        let on = |behaviour| self.state.behaviours.has(behaviour);
        let asked = match marker.filter(|marker| !marker.is_empty()) {
            Some(text) if !on(Behaviour::MarkerRefused) => Some(Marker::read(text)),
            Some(_) => Some(None),
            None => None,
        };
        let Some(asked) = asked.map_or(Some(None), |read| read.map(Some)) else {
            return Err(Wrong("marker", "Invalid marker".to_owned()));
        };
        let hop = asked.as_ref().map_or(0, |marker| marker.hop);
        let from = asked.as_ref().and_then(Marker::tail).map_or(0, |tail| self.users.behind(tail));
        let size = if on(Behaviour::ShortPages) { self.limit.div_ceil(3) } else { self.limit };
        let empty = (on(Behaviour::EmptyPageInTheMiddle) && hop == 1) || (on(Behaviour::EndlessEmptyPages) && hop > 0);
        let to = if empty { from } else { self.users.len().min(from + size) };

        let tail = if to == 0 { 0 } else { self.users.key(to - 1) };
        let ended = to >= self.users.len();
        let next = if on(Behaviour::RepeatedMarker) {
            Some(asked.unwrap_or_else(|| Marker::behind(tail, 0)))
        } else if on(Behaviour::EndlessEmptyPages) {
            Some(Marker::behind(tail, hop + 1))
        } else if ended && (self.endless || on(Behaviour::EndlessMarkers)) {
            Some(Marker::behind(0, hop + 1))
        } else if on(Behaviour::EmptyPageInTheMiddle) && (!ended || hop == 0) {
            Some(Marker::behind(tail, hop + 1))
        } else if ended {
            None
        } else {
            Some(Marker::behind(tail, hop))
        };

        let mut around = json!({"limit": self.limit, "next_marker": next.as_ref().map(Marker::text)});
        if next.is_none() && on(Behaviour::NextMarkerEmptyString) {
            around["next_marker"] = "".into();
        }
        if next.is_none() && on(Behaviour::NextMarkerMissing) {
            around = json!({"limit": self.limit});
        }
        let more = (on(Behaviour::DuplicateAcrossPages) && !ended).then(|| old_copy(self.users.stretch(to, to + 1)));
        Ok(Page { entries: self.users.stretch(from, to), more, around })
    }
}

/// The user as they were before they changed their name.
fn old_copy(entry: &[u8]) -> Vec<u8> {
    let mut user: Value = serde_json::from_slice(entry).expect("what was rendered here is JSON");
    user["name"] = format!("{} (old name)", user["name"].as_str().unwrap_or_default()).into();
    user.to_string().into_bytes()
}
