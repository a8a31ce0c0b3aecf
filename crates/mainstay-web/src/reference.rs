//! The reference of the API, `docs/reference/api.md`, made from the route table.

use std::fmt::Write as _;

use crate::openapi::access_in_words;
use crate::route::{self, Gives, Kind, RouteInfo, Takes};

/// How callers prove who they are; the format is that of [`Tokens`](crate::Tokens).
const ACCOUNTS: &str = "\n## Accounts

On loopback, `serve` may run without accounts: whoever reaches the socket is the administrator `local`. Beyond
loopback it refuses to start without a tokens file:

```yaml
tokens:
  - name: ada-laptop       # unique; named in the journal where no person is
    person: ada            # optional: on whose behalf it acts
    role: responder        # viewer reads; responder also acts and reports; admin also verifies
    tenants: all           # or a list, [std-001, std-002]: then only their data are shown
    sha256: \"9f86d0…\"     # of the token: openssl rand -hex 32 | tee token | tr -d '\\n' | sha256sum
```

Only the digest is kept. An unknown key, a token without `tenants` or a name that occurs twice is an error with its
line and column. Browsers sign in at `/login` with the same token; a session lasts 12 hours.
";

/// The whole document, Markdown.
#[must_use]
pub fn markdown() -> String {
    let routes: Vec<RouteInfo> = route::table().into_iter().map(|route| route.info).collect();
    let mut text = String::from(
        "# HTTP API\n\n\
         Made from the route table of `mainstay-web`; do not edit. `/api/v1/openapi.json` holds the same with every schema.\n\n\
         Answers are `{\"data\": …, \"as_of\": …}`; errors are `{\"error\": {\"code\", \"message\", \"help\"}}`. \
         Send `Authorization: Bearer TOKEN`; programs that only know a name and a password may send the token as the \
         password. A browser's session must also send its `x-csrf-token` with everything that writes. Routes that are \
         said to answer as Prometheus do so: `{\"status\", \"data\", \"errorType\", \"error\", \"warnings\", \"infos\"}`.\n",
    );
    text.push_str(ACCOUNTS);
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
        let fields = match info.takes {
            Takes::Form(fields) => fields.to_vec(),
            Takes::Parameters(parameters) => parameters.iter().map(|parameter| parameter.name).collect(),
            Takes::Nothing | Takes::Json(_) | Takes::Other(_) => Vec::new(),
        };
        if !fields.is_empty() {
            let _ = writeln!(text, "- form fields: `{}`", fields.join("`, `"));
        }
        if matches!(info.gives, Gives::Prometheus) {
            let _ = writeln!(text, "- answers as Prometheus' HTTP API does");
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
