//! The reference of the API, `docs/reference/api.md`, made from the route table.

use std::fmt::Write as _;

use crate::openapi::access_in_words;
use crate::route::{self, Kind, RouteInfo, Takes};

/// The whole document, Markdown.
#[must_use]
pub fn markdown() -> String {
    let routes: Vec<RouteInfo> = route::table().into_iter().map(|route| route.info).collect();
    let mut text = String::from(
        "# HTTP API\n\n\
         Made from the route table of `mainstay-web`; do not edit. `/api/v1/openapi.json` holds the same with every schema.\n\n\
         Answers are `{\"data\": …, \"as_of\": …}`; errors are `{\"error\": {\"code\", \"message\", \"help\"}}`. \
         Send `Authorization: Bearer TOKEN`. A browser's session must also send its `x-csrf-token` with everything that \
         writes. `query` and `query_range` answer as Prometheus does.\n",
    );
    section(
        &mut text,
        "API",
        routes.iter().filter(|info| info.kind == Kind::Api),
    );
    section(
        &mut text,
        "Pages",
        routes.iter().filter(|info| info.kind == Kind::Page),
    );
    text
}

fn section<'a>(text: &mut String, title: &str, routes: impl Iterator<Item = &'a RouteInfo>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n## {title}\n");
    for info in routes {
        let _ = writeln!(
            text,
            "### `{} {}`\n\n{}. {}\n",
            info.method,
            info.path,
            info.summary,
            access_in_words(info)
        );
        for parameter in info.query {
            let required = if parameter.required { " (required)" } else { "" };
            let _ = writeln!(text, "- `{}`{required}: {}", parameter.name, parameter.about);
        }
        if let Takes::Form(fields @ [_, ..]) = info.takes {
            let _ = writeln!(text, "- form fields: `{}`", fields.join("`, `"));
        }
        let _ = writeln!(
            text,
            "- limits: body {} bytes, {} ms",
            info.body_max_bytes, info.timeout_ms
        );
        text.push('\n');
    }
    let end = text.trim_end().len();
    text.truncate(end);
    text.push('\n');
}
