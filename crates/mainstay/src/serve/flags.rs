//! The options of `mainstay serve`, as they are shown.

use super::Options;

/// Every option with its value; passwords in addresses are left out.
pub(super) fn of(options: &Options) -> Vec<(String, String)> {
    let path = |path: &std::path::Path| path.display().to_string();
    let maybe = |text: Option<String>| text.unwrap_or_default();
    let urls: Vec<String> = options
        .targets_urls
        .iter()
        .map(|url| without_password(url))
        .collect();
    [
        ("data", path(&options.data)),
        ("catalog", path(&options.catalog)),
        ("listen", options.listen.to_string()),
        ("tokens", maybe(options.tokens.as_deref().map(path))),
        (
            "base-url",
            maybe(options.base_url.as_deref().map(without_password)),
        ),
        ("targets-url", urls.join(",")),
        ("scrape-config", maybe(options.scrape_config.as_deref().map(path))),
        ("scrape-interval-s", options.scrape_interval_s.to_string()),
        ("supervisor", without_password(&options.supervisor)),
        ("inbox", maybe(options.inbox.as_deref().map(without_password))),
        ("exit-with-parent", options.exit_with_parent.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_left_out() {
        assert_eq!(
            without_password("http://ada:se@cret@h:1/x@y?z"),
            "http://h:1/x@y?z"
        );
        assert_eq!(without_password("http://h:1"), "http://h:1");
    }
}
