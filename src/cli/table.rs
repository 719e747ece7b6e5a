//! Tables for people: columns as wide as their widest cell, cut to no terminal width, cells cleaned. Pure.

use super::text::{Style, one_line};

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style.
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: one_line(text.as_ref()), style }
    }

    /// A state's word in its colour.
    pub fn state(state: &str) -> Self {
        Self::styled(state, Style::of_state(state))
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text.to_string(), Style::Plain)
    }
}

/// A table under construction.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rows: vec![headings.into_iter().map(|heading| Cell::styled(heading, Style::Strong)).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, each row on a line.
    pub fn render(&self, colour: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|c| c.text.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                line.push_str(&cell.style.paint(&cell.text, colour));
                let rest_is_empty = row[at + 1..].iter().all(|cell| cell.text.is_empty());
                if !rest_is_empty {
                    let gap = widths[at] - cell.text.chars().count() + 2;
                    line.extend(std::iter::repeat_n(' ', gap));
                }
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["NAME", "STATE", "NOTE"]);
        table.row(["store".into(), Cell::state("running"), "".into()]);
        table.row(["a-long-name".into(), Cell::state("failed"), "gave\nup\u{1b}[2J".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        assert_eq!(
            table().render(false),
            "NAME         STATE    NOTE\nstore        running\na-long-name  failed   gave up[2J\n"
        );
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let plain: String = table()
            .render(true)
            .split('\u{1b}')
            .map(|part| {
                part.split_once('m').map_or(part, |(code, rest)| if code.starts_with('[') { rest } else { part })
            })
            .collect();
        assert_eq!(plain, table().render(false));
    }
}
