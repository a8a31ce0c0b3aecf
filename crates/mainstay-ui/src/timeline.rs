//! What happened, in order.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::{time, url};

/// One entry of a timeline.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When it happened.
    pub at: Timestamp,
    /// What kind of thing: `alert`, `page`, `change`, `note`.
    pub kind: &'a str,
    /// Who or what did it.
    pub actor: &'a str,
    /// One line about it.
    pub text: &'a str,
    /// The event of the journal that proves it.
    pub event: Option<&'a str>,
    /// A page that says more.
    pub href: Option<&'a str>,
}

/// The entries as an ordered list, each with the time since the one before and a link to the reason behind it.
#[must_use]
pub fn timeline(entries: &[Entry<'_>], now: Timestamp) -> Markup {
    let steps = entries
        .iter()
        .scan(None, |before: &mut Option<Timestamp>, entry| {
            let gap_ms = before.replace(entry.at).map(|at| time::elapsed_ms(at, entry.at));
            Some((entry, gap_ms))
        });
    html! {
        @if entries.is_empty() { p.empty { "Nothing is recorded yet." } }
        ol.timeline {
            @for (entry, gap_ms) in steps {
                li class={ "k-" (entry.kind) } {
                    span.when {
                        (time::instant(entry.at, now))
                        @if let Some(gap_ms) = gap_ms.filter(|gap_ms| *gap_ms >= 1_000) {
                            " " span.gap { "+" (time::span(gap_ms)) }
                        }
                    }
                    span.kind { (entry.kind) }
                    span.what {
                        @match entry.href {
                            Some(href) => a href=(href) { (entry.text) },
                            None => (entry.text),
                        }
                        " " span.actor { (entry.actor) }
                        @if let Some(event) = entry.event {
                            " " a.why href=(url::path(&["why", event])) title={ "event " (event) } { "why" }
                        }
                    }
                }
            }
        }
    }
}
