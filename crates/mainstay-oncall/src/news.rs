//! What becomes of open pages when more is known: of where it is, of how bad it is, of who cannot be reached.

use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{IncidentId, PageId, PersonId, Scope};

use crate::event::OncallEvent;
use crate::fold::{OncallState, Page};

/// Those who were paged hear, quietly, that it is in more places than their page said; that more of the same place is hit
/// is nothing to interrupt them for. Later levels are paged for what is known then.
pub(crate) fn widen(
    state: &OncallState,
    incident: &IncidentId,
    scope: &Scope,
    title: &str,
) -> Vec<OncallEvent> {
    let open = state.pages_of(incident).filter(|page| page.closed_at.is_none());
    open.map(|page| OncallEvent::Widened {
        page: page.request.page.clone(),
        scope: scope.clone(),
        title: title.to_owned(),
        people: if place(scope) == place(&page.request.scope) {
            Vec::new()
        } else {
            paged(page)
        },
    })
    .collect()
}

fn place(scope: &Scope) -> impl PartialEq + '_ {
    (&scope.cell, &scope.zone, &scope.region)
}

fn paged(page: &Page) -> Vec<PersonId> {
    let mut people: Vec<PersonId> = Vec::new();
    for (_, _, person, informed) in &page.told {
        if !informed && !people.contains(person) {
            people.push(person.clone());
        }
    }
    people
}

/// The milder pages of an incident, to the same people, that nobody has answered: a worse one takes their place, or people would be climbed
/// to twice for one thing.
pub(crate) fn superseded(state: &OncallState, by: &PageRequested, policy: &str) -> Vec<OncallEvent> {
    let milder =
        |page: &&Page| page.is_climbing() && page.policy == policy && page.request.severity > by.severity;
    let pages = state.pages_of(&by.incident).filter(milder);
    pages
        .map(|page| OncallEvent::Superseded {
            page: page.request.page.clone(),
            by: by.page.clone(),
        })
        .collect()
}

/// Whether everybody who was paged in this round is known to be out of reach, `person` included.
pub(crate) fn nobody_left(page: &Page, person: &PersonId) -> bool {
    let mut paged = page
        .told
        .iter()
        .filter(|(at, _, _, informed)| !informed && *at >= page.round_began_at);
    paged.all(|(_, _, told, _)| told == person || page.unreachable.contains(told))
}

/// A page that still waits for an answer from this person.
pub(crate) fn waits_for<'a>(state: &'a OncallState, page: &PageId, person: &PersonId) -> Option<&'a Page> {
    let page = state.page(page).filter(|page| page.is_climbing())?;
    let told = page
        .told
        .iter()
        .any(|(_, _, told, informed)| told == person && !informed);
    (told && !page.unreachable.contains(person)).then_some(page)
}
