//! Extracts the metrics, selected labels and grouped labels of a PromQL query that promtool has accepted.

use std::collections::BTreeSet;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct PromqlQuery {
    pub(crate) selectors: Vec<PromqlSelector>,
    /// The labels of `by`, `on` and similar clauses.
    pub(crate) groups: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct PromqlSelector {
    pub(crate) metric: String,
    /// Each label with the text that it is compared with.
    pub(crate) labels: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum PromqlToken {
    Identifier(String),
    StringLiteral(String),
    Punctuation(char),
}

const GROUPINGS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset", "atan2"];

impl PromqlQuery {
    pub(crate) fn parse(text: &str) -> Self {
        let tokens = tokenize(text);
        let mut query = Self::default();
        let mut rest = tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let (PromqlToken::Identifier(word), next) = (first, after.first()) else { continue };
            let aggregates = matches!(next, Some(PromqlToken::Identifier(w)) if GROUPINGS.contains(&w.as_str()));
            if GROUPINGS.contains(&word.as_str()) {
                let (inside, after) = split_at_sign(after, ')');
                query.groups.extend(identifiers(inside));
                rest = after;
            } else if next == Some(&PromqlToken::Punctuation('{')) {
                let (inside, after) = split_at_sign(after, '}');
                query.selectors.push(PromqlSelector {
                    metric: word.clone(),
                    labels: identifiers(inside).zip(string_literals(inside)).collect(),
                });
                rest = after;
            } else if next != Some(&PromqlToken::Punctuation('(')) && !aggregates && !OPERATORS.contains(&word.as_str())
            {
                query.selectors.push(PromqlSelector { metric: word.clone(), labels: Vec::new() });
            }
        }
        query
    }
}

/// The tokens before and after this sign.
fn split_at_sign(tokens: &[PromqlToken], sign: char) -> (&[PromqlToken], &[PromqlToken]) {
    let end = tokens.iter().position(|token| *token == PromqlToken::Punctuation(sign)).expect("closed");
    (&tokens[..end], &tokens[end + 1..])
}

fn identifiers(tokens: &[PromqlToken]) -> impl Iterator<Item = String> + '_ {
    tokens.iter().filter_map(|token| if let PromqlToken::Identifier(word) = token { Some(word.clone()) } else { None })
}

fn string_literals(tokens: &[PromqlToken]) -> impl Iterator<Item = String> + '_ {
    tokens
        .iter()
        .filter_map(|token| if let PromqlToken::StringLiteral(text) = token { Some(text.clone()) } else { None })
}

/// Splits a query into tokens; numbers and durations are dropped.
fn tokenize(text: &str) -> Vec<PromqlToken> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (inside, after) = rest[1..].split_once('"').expect("closed");
            tokens.push(PromqlToken::StringLiteral(inside.to_owned()));
            rest = after;
            continue;
        }
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
        let (word, after) = rest.split_at(rest.find(|c| !part(c)).unwrap_or(rest.len()));
        if word.is_empty() {
            tokens.push(PromqlToken::Punctuation(first));
            rest = &rest[first.len_utf8()..];
        } else {
            if !first.is_ascii_digit() {
                tokens.push(PromqlToken::Identifier(word.to_owned()));
            }
            rest = after;
        }
    }
    tokens.retain(|token| !matches!(token, PromqlToken::Punctuation(sign) if sign.is_whitespace()));
    tokens
}

#[test]
fn the_names_in_a_query_are_parsed() {
    let text = r#"sum by (le, kind) (rate(a_bucket{job=~"$job", to!="x, {y}"}[5m])) / on (kind) group_left () b > 0.5
        unless on () c offset 1h == 1 or vector(0)"#;
    let select = |metric: &str, labels: &[(&str, &str)]| PromqlSelector {
        metric: metric.to_owned(),
        labels: labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
    };
    let selectors = vec![select("a_bucket", &[("job", "$job"), ("to", "x, {y}")]), select("b", &[]), select("c", &[])];
    assert_eq!(PromqlQuery::parse(text), PromqlQuery { selectors, groups: ["kind", "le"].map(str::to_owned).into() });
}
