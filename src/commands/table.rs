//! Rows with a heading, each column as wide as its widest cell; nothing is ever cut.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

/// Between two columns.
const GAP: &str = "  ";

/// One cell; numbers stand at its right side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub style: Style,
    pub right: bool,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn number(text: impl Into<String>) -> Self {
        Self { text: text.into(), right: true, ..Self::default() }
    }

    pub fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Every line of the table, without spaces at its end.
pub fn lines(rows: &[Vec<Cell>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let cell = |(cell, width): (&Cell, &usize)| {
        let space = " ".repeat(width - cell.text.width());
        let style = cell.style;
        let text = format!("{style}{}{style:#}", cell.text);
        if cell.right { space + &text } else { text + &space }
    };
    let cells: Vec<String> = row.iter().zip(widths).map(cell).collect();
    cells.join(GAP).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let row = |number: &str, name: &str, last: &str| vec![Cell::number(number), Cell::text(name), Cell::text(last)];
        let drawn = lines(&[row("P", "NAME", "URL"), row("1", "主节点", "x"), row("-10", "a", "")]);
        assert_eq!(drawn, ["  P  NAME    URL", "  1  主节点  x", "-10  a"]);
    }
}
