//! Tables in Markdown, for documents and the terminal.

use comfy_table::{CellAlignment, Table, presets};

/// A table without rows.
pub fn empty(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 0));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
