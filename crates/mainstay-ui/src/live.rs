//! Parts of a page that keep themselves up to date.

use maud::{Markup, html};

/// A part of the page that is fetched again when something happens to `topic`. `id` must be unique on the page.
///
/// The server sends the names of topics, never content; the script then fetches the page's fragments again with the
/// reader's own authority and replaces those that changed, keeping focus, typed text and opened details.
#[must_use]
pub fn region(id: &str, topic: &str, content: Markup) -> Markup {
    html! { div.live id=(id) data-topic=(topic) { (content) } }
}
