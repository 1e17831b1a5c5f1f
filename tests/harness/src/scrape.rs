//! A strict parser of OpenMetrics pages.

use std::collections::{BTreeMap, HashSet};

/// A valid page.
#[derive(Clone, Debug, Default)]
pub struct MetricsPage {
    families: BTreeMap<String, MetricFamily>,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, Default)]
struct MetricFamily {
    kind: String,
    help: String,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// The suffixes of sample names by the type of the family.
fn sample_suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        _ => &[],
    }
}

impl MetricsPage {
    /// Parses a page; the error names the violated rule and the line.
    pub fn parse(page: &str) -> Result<Self, String> {
        let text = page.strip_suffix("# EOF\n").ok_or("the page does not end with # EOF")?;
        let (mut metrics, mut family) = (Self::default(), String::new());
        let mut seen = HashSet::new();
        for line in text.lines() {
            if let Some(metadata) = line.strip_prefix("# ") {
                family = metrics
                    .parse_metadata(metadata)
                    .ok_or_else(|| format!("invalid HELP, TYPE or UNIT line: {line}"))?;
                if metrics.samples.iter().any(|s| metrics.is_in_family(s, &family)) {
                    return Err(format!("metadata after samples: {line}"));
                }
                continue;
            }
            let sample = Sample::parse(line).ok_or_else(|| format!("invalid sample: {line}"))?;
            if !metrics.is_in_family(&sample, &family) {
                return Err(format!("sample does not belong to family {family}: {line}"));
            }
            let MetricFamily { help, .. } = &metrics.families[&family];
            if help.is_empty() {
                return Err(format!("metric family without HELP: {line}"));
            }
            if !seen.insert((sample.name.clone(), sample.sorted_labels())) {
                return Err(format!("duplicate sample: {line}"));
            }
            metrics.samples.push(sample);
        }
        Ok(metrics)
    }

    /// The sum of the samples with this name and at least these labels; `None` if there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found =
            self.samples.iter().filter(|s| s.name == name && s.has_labels(labels)).map(|s| s.value).peekable();
        found.peek()?;
        Some(found.sum())
    }

    /// The names of the samples, with the names of their labels.
    pub fn label_names_by_sample(&self) -> BTreeMap<&str, Vec<&str>> {
        self.samples.iter().map(|s| (s.name.as_str(), s.labels.iter().map(|(n, _)| n.as_str()).collect())).collect()
    }

    /// A family's type and help text.
    pub fn family(&self, name: &str) -> Option<(&str, &str)> {
        self.families.get(name).map(|family| (family.kind.as_str(), family.help.as_str()))
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    fn parse_metadata(&mut self, line: &str) -> Option<String> {
        let (what, rest) = line.split_once(' ')?;
        let (name, text) = rest.split_once(' ')?;
        let family = self.families.entry(name.to_owned()).or_default();
        match what {
            "HELP" if family.help.is_empty() => family.help = text.to_owned(),
            "TYPE" if family.kind.is_empty() && !sample_suffixes(text).is_empty() => family.kind = text.to_owned(),
            "UNIT" if name.ends_with(&format!("_{text}")) => {}
            _ => return None,
        }
        Some(name.to_owned())
    }

    fn is_in_family(&self, sample: &Sample, family: &str) -> bool {
        let kind = self.families.get(family).map_or("", |f| f.kind.as_str());
        sample_suffixes(kind).iter().any(|ending| sample.name == format!("{family}{ending}"))
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, mut rest) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let mut labels = Vec::new();
        while !rest.is_empty() {
            let (label, quoted) = rest.split_once("=\"")?;
            let end = find_closing_quote(quoted)?;
            labels.push((label.to_owned(), quoted[..end].to_owned()));
            rest = &quoted[end + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().ok()? };
        let named = plain(name) && labels.iter().all(|(label, _)| plain(label));
        named.then(|| Self { name: name.to_owned(), labels, value })
    }

    fn has_labels(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.iter().any(|(n, v)| n == name && v == value))
    }

    fn sorted_labels(&self) -> Vec<(String, String)> {
        let mut labels = self.labels.clone();
        labels.sort();
        labels
    }
}

/// The position of the closing quote; escaped quotes are skipped.
fn find_closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID_PAGE: &str = "# HELP a_calls Calls.\n# TYPE a_calls counter\na_calls_total{to=\"x, \\\"y\\\"\"} 3\na_calls_total{to=\"z\"} 4\n# EOF\n";

    #[test]
    fn a_page_is_parsed() {
        let scrape = MetricsPage::parse(VALID_PAGE).expect("a good page");
        assert_eq!(scrape.value("a_calls_total", &[]), Some(7.0));
        assert_eq!(scrape.value("a_calls_total", &[("to", "z")]), Some(4.0));
        assert_eq!(scrape.value("a_calls_total", &[("to", "unknown")]), None);
        assert_eq!(scrape.family("a_calls"), Some(("counter", "Calls.")));
    }

    #[test]
    fn invalid_pages_are_rejected() {
        for (change, to) in [
            ("# EOF\n", ""),
            ("# HELP a_calls Calls.\n", ""),
            ("# TYPE a_calls counter\n", ""),
            ("# TYPE a_calls counter", "# TYPE a_calls count"),
            ("a_calls_total{to=\"z\"}", "a_calls{to=\"z\"}"),
            ("to=\"z\"", "to=\"x, \\\"y\\\"\""),
            (" 4\n", " four\n"),
            ("to=\"z\"", "to=z"),
            ("# EOF", "# HELP a_calls Again.\n# EOF"),
            ("# EOF", "# UNIT a_calls seconds\n# EOF"),
        ] {
            assert!(VALID_PAGE.contains(change), "{change:?}");
            let page = VALID_PAGE.replacen(change, to, 1);
            assert!(MetricsPage::parse(&page).is_err(), "{change:?} to {to:?}:\n{page}");
        }
    }
}
