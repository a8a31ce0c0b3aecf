//! What was held back and may be told now, in portions that one commit can take.

use mainstay_kernel::Digest;

use crate::decide::Sorted;
use crate::draft::{Draft, HeldBy};
use crate::event::AlertEvent;
use crate::fold::after;

/// About how many events, clocks and messages one review may put into a commit: the journal takes 10,000 of each. What it
/// leaves is told by the next one.
const REVIEWED_AT_ONCE: usize = 5_000;
/// What a group that says anything counts for in it, besides its messages.
const GROUP_COUNTS_FOR: usize = 10;

/// What was held back may be told now: in one group, or in as many of all that hold anything as one commit should take.
pub(crate) fn review(draft: &Draft<'_>, name: Option<&str>) -> Vec<AlertEvent> {
    let holding = draft.state.groups().filter(|(_, group)| !group.held.is_empty());
    let names = holding
        .map(|(name, _)| name)
        .filter(|holding| name.is_none_or(|name| name == *holding));
    let asked = name.is_some();
    review_groups(draft, names, asked).0
}

/// What groups say, up to as much as one commit should take, and whether that is all. Whoever is told or noted has nothing
/// more to say, so that asking again comes to the rest.
pub(crate) fn review_groups<'n>(
    draft: &Draft<'_>,
    names: impl Iterator<Item = &'n str>,
    by_clock: bool,
) -> (Vec<AlertEvent>, bool) {
    let mut events = Vec::new();
    let mut room = REVIEWED_AT_ONCE;
    for name in names {
        if room == 0 {
            return (events, false);
        }
        let news = review_group(draft, name, by_clock);
        if !news.is_empty() {
            let receiver = draft
                .placement(name)
                .and_then(|placement| draft.routing.receivers.get(&placement.receiver));
            let messages = receiver.map_or(0, |receiver| receiver.recipients().len());
            room = room.saturating_sub(GROUP_COUNTS_FOR + messages);
        }
        events.extend(news);
    }
    (events, true)
}

/// `by_clock`: the clock of this group rang, and what it still holds needs another.
fn review_group(draft: &Draft<'_>, name: &str, by_clock: bool) -> Vec<AlertEvent> {
    let Some(group) = draft.state.groups.get(name) else {
        return Vec::new();
    };
    let sorted = Sorted::of(draft, name);
    let is_held = |id: &Digest| sorted.held.iter().any(|held| held.fingerprint == *id);
    let released_by_an_end = group
        .held
        .iter()
        .any(|(id, by)| matches!(by, HeldBy::Inhibited { .. }) && !is_held(id));
    let repeat_due = group
        .told_at
        .is_some_and(|told| after(told, group.placement.repeat_interval_ms) <= draft.now);
    // What one alert inhibited ends soon after it, most of the time.
    let tells = if sorted.has_news {
        !released_by_an_end && group.due(draft.now) <= draft.now
    } else {
        repeat_due && !group.told.is_empty() && !sorted.is_quiet()
    };
    if tells {
        return sorted.tell(draft, name, &group.placement);
    }
    sorted.held_event(draft, name, by_clock).into_iter().collect()
}

/// What was decided about silences, and what that lets go; the rest of it is told when the silence's clock rings.
pub(crate) fn with_what_follows(mut events: Vec<AlertEvent>, mut draft: Draft<'_>) -> Vec<AlertEvent> {
    events.iter().for_each(|event| draft.silence(event));
    events.extend(review(&draft, None));
    events
}
