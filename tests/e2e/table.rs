//! Parses the table that `kubectl get` prints.

/// Header and rows of a table. Columns start where the header's words start, because cells can be empty.
#[derive(Debug)]
pub(crate) struct KubectlTable {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl KubectlTable {
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let top = lines.next().unwrap_or_default();
        let starts: Vec<usize> = top
            .char_indices()
            .filter(|(at, c)| *c != ' ' && (*at == 0 || top[..*at].ends_with("  ")))
            .map(|(at, _)| at)
            .collect();
        let cells = |line: &str| -> Vec<String> {
            let chars: Vec<char> = line.chars().collect();
            let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
            let cell = |(from, to): (&usize, usize)| -> String {
                chars.iter().take(to).skip(*from).collect::<String>().trim().to_owned()
            };
            starts.iter().zip(ends).map(cell).collect()
        };
        Self { header: cells(top), rows: lines.map(cells).collect() }
    }

    /// The cells of the row with this name.
    pub(crate) fn row(&self, name: &str) -> &[String] {
        let row = self.rows.iter().find(|row| row.first().is_some_and(|first| first == name));
        row.unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}
