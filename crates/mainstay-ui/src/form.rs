//! Buttons that do something. Plain forms: they work without script.

use maud::{Markup, html};

/// The name of the hidden field that carries the anti-forgery token.
pub const CSRF_FIELD: &str = "csrf";

/// A form that posts to `action`, with the anti-forgery token in it.
#[must_use]
pub fn post(action: &str, csrf: &str, content: Markup) -> Markup {
    html! {
        form.action method="post" action=(action) {
            input type="hidden" name=(CSRF_FIELD) value=(csrf);
            (content)
        }
    }
}

/// A single button that posts to `action`.
#[must_use]
pub fn button(action: &str, csrf: &str, label: &str) -> Markup {
    post(action, csrf, html! { button type="submit" { (label) } })
}

/// A line of text and a button that sends it. `id` must be unique on the page.
#[must_use]
pub fn line(action: &str, csrf: &str, id: &str, name: &str, label: &str, send: &str) -> Markup {
    post(
        action,
        csrf,
        html! {
            label for=(id) { (label) }
            input id=(id) name=(name) type="text" maxlength="2000" required autocomplete="off";
            button type="submit" { (send) }
        },
    )
}
