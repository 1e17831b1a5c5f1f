//! What a query in PromQL names: metrics, the labels that it selects by, and those that it groups by. Whether it is a
//! query at all is promtool's to say; this reads only what promtool has accepted.

use std::collections::BTreeSet;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) selectors: Vec<Selector>,
    /// Of `by`, `on` and the like.
    pub(crate) groups: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Each with the text that it is compared with.
    pub(crate) labels: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

const GROUPINGS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset", "atan2"];

impl Query {
    pub(crate) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let mut query = Self::default();
        let mut rest = tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let (Token::Word(word), next) = (first, after.first()) else { continue };
            let aggregates = matches!(next, Some(Token::Word(w)) if GROUPINGS.contains(&w.as_str()));
            if GROUPINGS.contains(&word.as_str()) {
                let (inside, after) = upto(after, ')');
                query.groups.extend(words(inside));
                rest = after;
            } else if next == Some(&Token::Sign('{')) {
                let (inside, after) = upto(after, '}');
                query
                    .selectors
                    .push(Selector { metric: word.clone(), labels: words(inside).zip(texts(inside)).collect() });
                rest = after;
            } else if next != Some(&Token::Sign('(')) && !aggregates && !OPERATORS.contains(&word.as_str()) {
                query.selectors.push(Selector { metric: word.clone(), labels: Vec::new() });
            }
        }
        query
    }
}

/// What stands before this sign, and what comes after it.
fn upto(tokens: &[Token], sign: char) -> (&[Token], &[Token]) {
    let end = tokens.iter().position(|token| *token == Token::Sign(sign)).expect("closed");
    (&tokens[..end], &tokens[end + 1..])
}

fn words(tokens: &[Token]) -> impl Iterator<Item = String> + '_ {
    tokens.iter().filter_map(|token| if let Token::Word(word) = token { Some(word.clone()) } else { None })
}

fn texts(tokens: &[Token]) -> impl Iterator<Item = String> + '_ {
    tokens.iter().filter_map(|token| if let Token::Text(text) = token { Some(text.clone()) } else { None })
}

/// Without numbers and times.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (inside, after) = rest[1..].split_once('"').expect("closed");
            tokens.push(Token::Text(inside.to_owned()));
            rest = after;
            continue;
        }
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
        let (word, after) = rest.split_at(rest.find(|c| !part(c)).unwrap_or(rest.len()));
        if word.is_empty() {
            tokens.push(Token::Sign(first));
            rest = &rest[first.len_utf8()..];
        } else {
            if !first.is_ascii_digit() {
                tokens.push(Token::Word(word.to_owned()));
            }
            rest = after;
        }
    }
    tokens.retain(|token| !matches!(token, Token::Sign(sign) if sign.is_whitespace()));
    tokens
}

#[test]
fn a_query_is_read_for_the_names_in_it() {
    let text = r#"sum by (le, kind) (rate(a_bucket{job=~"$job", to!="x, {y}"}[5m])) / on (kind) group_left () b > 0.5
        unless on () c offset 1h == 1 or vector(0)"#;
    let select = |metric: &str, labels: &[(&str, &str)]| Selector {
        metric: metric.to_owned(),
        labels: labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
    };
    let selectors = vec![select("a_bucket", &[("job", "$job"), ("to", "x, {y}")]), select("b", &[]), select("c", &[])];
    assert_eq!(Query::read(text), Query { selectors, groups: ["kind", "le"].map(str::to_owned).into() });
}
