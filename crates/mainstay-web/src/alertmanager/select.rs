//! Which alerts and silences a client wants.

use form_urlencoded::parse;
use mainstay_kernel::{Labels, MatchOp, Matcher, parse_matcher};

use super::api::Refused;
use crate::view::{AlertStatus, AlertTold, GettableSilence, Named};

/// The most matchers of a request.
const FILTERS_MAX: usize = 100;

/// What a request asks for.
pub(super) struct Select {
    filters: Vec<Matcher>,
    receiver: Option<Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
    muted: bool,
}

impl Select {
    pub(super) fn of(query: Option<&str>) -> Result<Self, Refused> {
        let mut select = Self {
            filters: Vec::new(),
            receiver: None,
            active: true,
            silenced: true,
            inhibited: true,
            muted: true,
        };
        for (name, value) in parse(query.unwrap_or_default().as_bytes()) {
            let flag = || {
                value
                    .parse::<bool>()
                    .map_err(|_| Refused::bad(format!("{name}: expected true or false, not {value:?}")))
            };
            match name.as_ref() {
                "filter" => {
                    let matcher = parse_matcher(&value)
                        .map_err(|error| Refused::bad(format!("filter {value:?}: {error}")))?;
                    select.filters.push(matcher);
                }
                "receiver" => {
                    let matcher = Matcher::new("receiver", MatchOp::Matches, value.as_ref())
                        .map_err(|error| Refused::bad(error.to_string()))?;
                    select.receiver = Some(matcher);
                }
                "active" => select.active = flag()?,
                "silenced" => select.silenced = flag()?,
                "inhibited" => select.inhibited = flag()?,
                "muted" => select.muted = flag()?,
                _ => {}
            }
        }
        if select.filters.len() > FILTERS_MAX {
            return Err(Refused::bad(format!("more than {FILTERS_MAX} filters")));
        }
        Ok(select)
    }

    pub(super) fn takes(&self, labels: &Labels, status: &AlertStatus) -> bool {
        let by_state = (self.active || status.state != AlertTold::Active)
            && (self.silenced || status.silenced_by.is_empty())
            && (self.inhibited || status.inhibited_by.is_empty())
            && (self.muted || status.muted_by.is_empty());
        by_state && self.filters.iter().all(|matcher| matcher.matches(labels))
    }

    pub(super) fn takes_receiver(&self, receiver: &Named) -> bool {
        let wanted = self.receiver.as_ref();
        wanted.is_none_or(|wanted| wanted.matches_value(&receiver.name))
    }

    /// A silence is wanted that has such matchers: read as labels, its matchers pass the filter.
    pub(super) fn takes_silence(&self, silence: &GettableSilence) -> bool {
        let pairs = silence.matchers.iter().map(|one| (one.name(), one.value()));
        let labels: Labels = pairs.collect();
        self.filters
            .iter()
            .all(|filter| silence.matchers.contains(filter) || filter.matches(&labels))
    }
}
