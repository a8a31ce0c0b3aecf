//! The reference of PromQL is made from the table of functions.

use std::path::PathBuf;

use mainstay_promql::function::markdown_table;

fn path() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/promql.md"
    ))
}

fn reference() -> String {
    format!(
        "# PromQL\n\n\
         Made from the table of functions of `mainstay-promql`; do not edit.\n\n\
         Queries have the semantics of Prometheus 3: windows are left-open, the metric's name of a computed value is \
         dropped at the end of a query, and all experimental syntax is on: `smoothed`, `anchored`, `fill`, \
         durations that are expressions, `limitk`, `limit_ratio`, the functions marked so below.\n\n\
         ## Native histograms\n\n\
         A series may hold native histograms, with exponential buckets or with bounds of their own. `+` and `-` bring two \
         of them to a common resolution, a common zero bucket, the bounds that both share; `*` and `/` take a number; \
         `==` and `!=` compare; `</` keeps what was observed below a number, `>/` what was observed above it. `sum` and \
         `avg` join histograms, `count`, `group`, `count_values`, `limitk` and `limit_ratio` take them as they are, every \
         other aggregation leaves them out with a remark. Where numbers and histograms do not go together there is no \
         result, and a warning or a remark with its place in the query.\n\n\
         ## Functions\n\n{}",
        markdown_table()
    )
}

#[test]
fn the_reference_is_up_to_date() {
    let held = std::fs::read_to_string(path()).unwrap_or_default();
    assert!(
        held == reference(),
        "docs/reference/promql.md is not what the table of functions gives: run the ignored test write_the_promql_reference"
    );
}

#[test]
#[ignore = "writes a file into the source tree"]
fn write_the_promql_reference() {
    std::fs::write(path(), reference()).expect("a file");
}
