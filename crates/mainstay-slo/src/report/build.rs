//! From counts, catalog and ledger to a report.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mainstay_catalog::Platform;
use mainstay_kernel::{Labels, Matcher, Ratio, Scope, TenantId};

use super::divide::{Episode, divided};
use super::model::{
    Adjusted, Attribution, Buffer, Credit, Customer, Doubtful, FORM, Figure, IncidentPart, Promised, Report,
    Stretch, TenantLine, Verdict,
};
use super::month::Month;
use crate::adjust::ledger::{LedgerEntry, LedgerState};
use crate::adjust::maintenance::MaintenanceWindow;
use crate::credits::Credits;
use crate::engine::{ExcludedStretch, SloEngine};
use crate::exact::reduced;
use crate::objective::{Budget, Objective, Promise};
use crate::selector::Selector;
use crate::sli::{Marked, NO_VALUE, SliDefinition};
use crate::tally::{Counts, Doubt};
use crate::window::Bounds;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The month.
    pub month: Month,
    /// For one tenant; none: the platform.
    pub tenant: Option<&'a TenantId>,
    /// What time it is: a month that is not over is counted up to here.
    pub now: Timestamp,
}

/// What a report is made from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The counts, with the exclusions in force.
    pub engine: &'a SloEngine,
    /// Names and sizes of tenants.
    pub platform: &'a Platform,
    /// Credit tables.
    pub credits: &'a Credits,
    /// Maintenance windows.
    pub maintenance: &'a [MaintenanceWindow],
    /// The ledger.
    pub ledger: &'a LedgerState,
    /// Incidents that reach into the month.
    pub episodes: &'a [Episode],
}

/// Makes a report; `None` if the month cannot be reckoned with. Cost: objectives × (groups of tenants + incidents² that
/// overlap), each a few look-ups.
#[must_use]
pub fn build(sources: &Sources<'_>, asked: Asked<'_>) -> Option<Report> {
    let zone = zone_of(sources.engine);
    let period = asked.month.bounds(&zone)?;
    let now_ms = asked.now.as_millisecond();
    let latest = |objective: &Objective| {
        let bounds = objective.window.zone().and_then(|zone| asked.month.bounds(zone));
        bounds.unwrap_or(period).end_ms
    };
    let ours =
        |objective: &&Objective| asked.tenant.is_none() || tells_tenants_apart(sources.engine, objective);
    let objectives = || sources.engine.objectives().filter(ours);
    let end_ms = objectives()
        .map(latest)
        .max()
        .unwrap_or(period.end_ms)
        .max(period.end_ms);
    let maker = Maker {
        sources,
        asked,
        zone: &zone,
        period,
    };
    let mut promises: Vec<Promised> = objectives()
        .filter_map(|objective| maker.promised(objective))
        .collect();
    maker.buffers(&mut promises);
    Some(Report {
        form: FORM.to_owned(),
        tenant: asked.tenant.map(|tenant| Customer {
            id: tenant.to_string(),
            name: sources
                .platform
                .tenants
                .get(tenant)
                .map_or_else(|| tenant.to_string(), |known| known.name.clone()),
        }),
        month: asked.month.to_string(),
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        period: stretch(period, &zone),
        until: (now_ms < end_ms).then(|| local(now_ms, &zone)),
        promises,
        adjustments: maker.adjustments(),
    })
}

/// The zone of the first calendar agreement, else of the first calendar objective, else UTC.
fn zone_of(engine: &SloEngine) -> TimeZone {
    let zone = |promise: Option<Promise>| {
        engine
            .objectives()
            .filter(|objective| promise.is_none_or(|promise| objective.promise == promise))
            .find_map(|objective| objective.window.zone().cloned())
    };
    zone(Some(Promise::Agreement))
        .or_else(|| zone(None))
        .unwrap_or(TimeZone::UTC)
}

fn tells_tenants_apart(engine: &SloEngine, objective: &Objective) -> bool {
    let mut indicators = engine.indicators();
    let indicator = indicators.find(|sli| sli.name == objective.sli);
    indicator.is_some_and(|sli| sli.group_by.iter().any(|label| label == "tenant"))
}

fn undivided(raw_bad: u64, adjusted_bad: u64) -> Attribution {
    let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
    Attribution {
        excluded: signed(raw_bad.saturating_sub(adjusted_bad)),
        incidents: Vec::new(),
        background: signed(adjusted_bad),
    }
}

struct Maker<'a> {
    sources: &'a Sources<'a>,
    asked: Asked<'a>,
    zone: &'a TimeZone,
    period: Bounds,
}

impl Maker<'_> {
    fn promised(&self, objective: &Objective) -> Option<Promised> {
        let engine = self.sources.engine;
        let sli = engine.indicators().find(|sli| sli.name == objective.sli)?;
        let zone = objective.window.zone().unwrap_or(self.zone);
        let month = self.asked.month.bounds(zone)?;
        let (from_ms, to_ms) = (month.start_ms, month.end_ms.min(self.asked.now.as_millisecond()));
        let mut group = Labels::new();
        if let Some(tenant) = self.asked.tenant {
            group.set("tenant", tenant.as_str());
        }
        let period = engine.period(&objective.id, &group, from_ms, to_ms)?;
        let budget = |counts| Budget {
            target: objective.target,
            window_ms: month.length_ms(),
            counts,
            unit: period.raw.unit,
            to_come: 0,
        };
        let adjusted = budget(period.adjusted);
        let counted = period.raw.counted;
        Some(Promised {
            objective: objective.id.to_string(),
            title: objective.display_name.clone(),
            promise: match objective.promise {
                Promise::Objective => "objective",
                Promise::Agreement => "agreement",
            }
            .to_owned(),
            service: objective.service.as_ref().map(ToString::to_string),
            target: percent(objective.target),
            window: objective.window.to_string(),
            counted: stretch(counted, zone),
            raw: figure(period.raw.counts),
            raw_verdict: verdict(&budget(period.raw.counts)),
            adjusted: figure(period.adjusted),
            verdict: verdict(&adjusted),
            allowed: adjusted.allowed(),
            left: narrow(adjusted.remaining()),
            excluded_minutes: ExcludedStretch::length_ms(&period.excluded) / 60_000,
            unknown_ms: period.unknown_ms,
            doubt: doubtful(period.raw.doubt),
            bad_query: query(sli, &group, counted, true),
            total_query: query(sli, &group, counted, false),
            buffer: None,
            credit: self
                .asked
                .tenant
                .and_then(|tenant| self.credit(objective, tenant, period.adjusted)),
            // What does not divide into places (time slices, composites) is all of it background.
            attribution: self
                .attribution(objective, &group, counted, zone)
                .unwrap_or_else(|| undivided(period.raw.counts.bad, period.adjusted.bad)),
            tenants: self.tenants(objective, from_ms, to_ms),
            group: group
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// Credits are due once the month is over.
    fn credit(&self, objective: &Objective, tenant: &TenantId, counts: Counts) -> Option<Credit> {
        let known = self.sources.platform.tenants.get(tenant);
        let table = self
            .sources
            .credits
            .of(&objective.id, tenant, known.map(|known| known.size))?;
        let tier = table.tier(counts);
        Some(Credit {
            table: table.name.clone(),
            below: tier.map(|tier| percent(tier.below)),
            percent: tier.map_or_else(|| "0%".to_owned(), |tier| percent(tier.credit)),
        })
    }

    fn attribution(
        &self,
        objective: &Objective,
        group: &Labels,
        counted: Bounds,
        zone: &TimeZone,
    ) -> Option<Attribution> {
        let concerned = self
            .sources
            .episodes
            .iter()
            .filter(|one| self.concerns(&one.scope));
        let divided = divided(self.sources.engine, &objective.id, group, counted, concerned)?;
        Some(Attribution {
            excluded: divided.excluded,
            incidents: divided
                .parts
                .into_iter()
                .map(|(one, bad)| IncidentPart {
                    incident: one.incident.to_string(),
                    title: self.may_name(&one.scope).then(|| one.title.clone()),
                    severity: one.severity.to_string(),
                    stretch: stretch(one.time(), zone),
                    bad,
                    suspects: if self.asked.tenant.is_none() {
                        one.suspects.clone()
                    } else {
                        Vec::new()
                    },
                })
                .collect(),
            background: divided.background,
        })
    }

    /// Whether something at a place is about whom the report is for.
    fn concerns(&self, scope: &Scope) -> bool {
        self.asked
            .tenant
            .is_none_or(|tenant| scope.tenant.as_ref().is_none_or(|other| other == tenant))
    }

    /// Whether a tenant may read what was said about an incident: it may name others otherwise.
    fn may_name(&self, scope: &Scope) -> bool {
        self.asked
            .tenant
            .is_none_or(|tenant| scope.tenant.as_ref() == Some(tenant))
    }

    fn tenants(&self, objective: &Objective, from_ms: i64, to_ms: i64) -> Vec<TenantLine> {
        let by_tenant = objective.group_by.iter().any(|label| label == "tenant");
        if self.asked.tenant.is_some() || objective.promise != Promise::Agreement || !by_tenant {
            return Vec::new();
        }
        let engine = self.sources.engine;
        let only =
            |group: &&Labels| group.len() == 1 && group.get("tenant").is_some_and(|value| value != NO_VALUE);
        let groups: Vec<Labels> = engine.groups(&objective.sli).filter(only).cloned().collect();
        let line = |group: Labels| {
            let tenant = TenantId::new(group.get("tenant")?).ok()?;
            let period = engine.period(&objective.id, &group, from_ms, to_ms)?;
            let adjusted = Budget {
                target: objective.target,
                window_ms: to_ms - from_ms,
                counts: period.adjusted,
                unit: period.raw.unit,
                to_come: 0,
            };
            Some(TenantLine {
                raw: figure(period.raw.counts),
                adjusted: figure(period.adjusted),
                verdict: verdict(&adjusted),
                credit: self.credit(objective, &tenant, period.adjusted),
                tenant: tenant.to_string(),
            })
        };
        groups.into_iter().filter_map(line).collect()
    }

    /// Puts beside each agreement the strictest calendar objective about the same events.
    fn buffers(&self, promises: &mut [Promised]) {
        let engine = self.sources.engine;
        let sli = |id: &str| {
            engine
                .objectives()
                .find(|one| one.id.as_str() == id)
                .map(|one| (one.sli.clone(), one.target))
        };
        let ours: Vec<(String, Ratio, Promised)> = promises
            .iter()
            .filter(|one| one.promise == "objective" && !one.window.starts_with("rolling"))
            .filter_map(|one| sli(&one.objective).map(|(sli, target)| (sli, target, one.clone())))
            .collect();
        for agreement in promises.iter_mut().filter(|one| one.promise == "agreement") {
            let Some((name, _)) = sli(&agreement.objective) else {
                continue;
            };
            let same = ours.iter().filter(|(sli, ..)| *sli == name);
            let Some((_, _, objective)) = same.max_by_key(|(_, target, _)| *target) else {
                continue;
            };
            agreement.buffer = Some(Buffer {
                objective: objective.objective.clone(),
                target: objective.target.clone(),
                verdict: objective.verdict,
                events: narrow(i128::from(agreement.allowed) - i128::from(objective.allowed)),
                left: agreement.left,
            });
        }
    }

    fn adjustments(&self) -> Vec<Adjusted> {
        let Bounds { start_ms, end_ms } = self.period;
        let reaches = |at: Bounds| at.start_ms < end_ms && at.end_ms > start_ms;
        let entries = self.sources.ledger.entries();
        let entries =
            entries.filter(|one| reaches(one.adjustment.stretch()) && self.concerns(&one.adjustment.scope));
        let mut all: Vec<Adjusted> = entries.map(|entry| self.entry(entry)).collect();
        for window in self
            .sources
            .maintenance
            .iter()
            .filter(|one| self.concerns(&one.scope))
        {
            let stretches = window.stretches(start_ms, end_ms).into_iter();
            all.extend(stretches.map(|at| Adjusted {
                source: format!("maintenance {}", window.name),
                of: window.of.iter().map(ToString::to_string).collect(),
                place: window.scope.to_string(),
                stretch: stretch(at, self.zone),
                reason: window.title.clone(),
                ticket: None,
                author: "the catalog".to_owned(),
                written_at: None,
                withdrawn: None,
                silences_burn: window.silences_burn,
            }));
        }
        all
    }

    fn entry(&self, entry: &LedgerEntry) -> Adjusted {
        let adjustment = &entry.adjustment;
        Adjusted {
            source: format!("ledger {}", entry.number),
            of: vec![adjustment.of.to_string()],
            place: adjustment.scope.to_string(),
            stretch: stretch(adjustment.stretch(), self.zone),
            reason: adjustment.reason.clone(),
            ticket: adjustment.ticket.clone(),
            author: entry.written.by.to_string(),
            written_at: Some(entry.written.at.to_string()),
            withdrawn: entry
                .withdrawn
                .as_ref()
                .map(|taken| format!("{} by {}: {}", taken.written.at, taken.written.by, taken.reason)),
            silences_burn: false,
        }
    }
}

fn narrow(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

/// `99.95%`, exact.
fn percent(ratio: Ratio) -> String {
    let hundred = reduced(
        u128::from(ratio.numerator()) * 100,
        u128::from(ratio.denominator()),
    );
    hundred.map_or_else(|| ratio.to_string(), |hundred| format!("{hundred}%"))
}

/// The good share in percent with four digits, cut.
fn figure(counts: Counts) -> Figure {
    let good = u128::from(counts.total.saturating_sub(counts.bad));
    let parts = (counts.total > 0).then(|| good * 1_000_000 / u128::from(counts.total));
    Figure {
        bad: counts.bad,
        total: counts.total,
        good: parts.map(|parts| format!("{}.{:04}%", parts / 10_000, parts % 10_000)),
    }
}

fn verdict(budget: &Budget) -> Verdict {
    match (budget.counts.total, budget.is_kept()) {
        (0, _) => Verdict::Unknown,
        (_, true) => Verdict::Kept,
        (_, false) => Verdict::Breached,
    }
}

fn doubtful(doubt: Doubt) -> Doubtful {
    Doubtful {
        missed: doubt.missed_total,
        restarts: doubt.restarts,
        bounded_ends: doubt.ended.saturating_sub(doubt.unbounded),
        unread: doubt.unread,
        unbounded_ends: doubt.unbounded,
    }
}

fn local(at_ms: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned_datetime(zone.clone()).to_string()
}

fn stretch(bounds: Bounds, zone: &TimeZone) -> Stretch {
    Stretch {
        from: local(bounds.start_ms, zone),
        to: local(bounds.end_ms, zone),
    }
}

/// The same count asked of raw samples, where it is one of counters.
fn query(sli: &SliDefinition, group: &Labels, time: Bounds, bad: bool) -> Option<String> {
    let sum = |selectors: &[Selector]| {
        let read = |selector: &Selector| {
            let mut selector = selector.clone();
            let value = |value| if value == NO_VALUE { "" } else { value };
            let own = group.iter().map(|(name, text)| Matcher::equal(name, value(text)));
            selector.matchers.extend(own);
            let (length, end) = (time.length_ms() / 1_000, time.end_ms / 1_000);
            format!("increase({selector}[{length}s] @ {end})")
        };
        let parts: Vec<String> = selectors.iter().map(read).collect();
        format!("sum({})", parts.join(" or "))
    };
    let counters = sli.events.counters()?;
    Some(match (bad, counters.marked) {
        (false, _) => sum(&counters.total),
        (true, Marked::Bad) => sum(&counters.marked_by),
        (true, Marked::Good) => format!("{} - {}", sum(&counters.total), sum(&counters.marked_by)),
    })
}
