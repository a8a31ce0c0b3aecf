//! The dense table: a caption, headings that are always there, numbers to the right.

use maud::{Markup, html};

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// Whether it holds numbers, which line up to the right.
    pub numeric: bool,
}

/// A column of words.
#[must_use]
pub const fn text(heading: &'static str) -> Column {
    Column {
        heading,
        numeric: false,
    }
}

/// A column of numbers.
#[must_use]
pub const fn numeric(heading: &'static str) -> Column {
    Column {
        heading,
        numeric: true,
    }
}

/// A table. Headings stay when there are no rows, and `empty` says what their absence means. The first cell of a row is
/// its heading. On a narrow screen the table scrolls by itself; the page never does.
#[must_use]
pub fn dense(caption: &str, columns: &[Column], rows: &[Vec<Markup>], empty: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.sr { (caption) }
                thead { tr {
                    @for column in columns {
                        th scope="col" class=[column.numeric.then_some("num")] { (column.heading) }
                    }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
                                @let class = column.numeric.then_some("num");
                                @if index == 0 { th scope="row" class=[class] { (cell) } }
                                @else { td class=[class] { (cell) } }
                            }
                        }
                    }
                    @if rows.is_empty() {
                        tr { td.empty colspan=(columns.len()) { (empty) } }
                    }
                }
            }
        }
    }
}
