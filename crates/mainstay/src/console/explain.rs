//! How every number of an objective comes about, in words that can be checked.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Principal, Ratio, SloId};
use mainstay_slo::burn::{burn_rate, window_text};
use mainstay_slo::engine::Status as Standing;
use mainstay_slo::{Counts, Objective};
use mainstay_ui::number::{count, signed};
use mainstay_web::Failure;
use mainstay_web::view::Look;

use super::{PlaneConsole, sight, slo};

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn explanation(
        &self,
        who: &Principal,
        id: &SloId,
        look: &Look,
    ) -> Result<String, Failure> {
        // It says who may see it, and what the queries are.
        let detail = self.slo_in_depth(who, id, look).await?;
        let now = self.now();
        let slos = self.telemetry.slos();
        let missing = || super::not_found(format!("objective {id}"));
        let objective = slos
            .objectives()
            .find(|objective| objective.id == *id)
            .ok_or_else(missing)?;
        let group = objective.group_of(&look.scope);
        let standing = slos.status(id, &group, now).ok_or_else(missing)?;
        let utc = TimeZone::UTC;
        let zone = objective.window.zone().unwrap_or(&utc);
        let mut out = format!("# {} ({id})\n\n", objective.display_name);
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}\n");
        };
        line(detail.definition);
        if let Some(source) = &detail.source {
            line(format!("Defined in {source}."));
        }
        if let Some(place) = slo::group_text(&standing.group) {
            line(format!("These are the figures of {place}."));
        }
        line(window(objective, &standing, zone));
        line(raw(
            &standing,
            detail.bad_query.as_deref(),
            detail.total_query.as_deref(),
        ));
        line(adjusted(&standing, zone));
        line(budget(objective, &standing));
        line(unknown(&standing, detail.slo.doubt.as_deref()));
        for reading in &standing.burn {
            let pair = reading.pair;
            let rate = |counts: Counts| {
                let rate = burn_rate(counts, objective.target).map(|rate| format!("{:.2}", rate.to_f64()));
                rate.unwrap_or_else(|| "unknown".to_owned())
            };
            line(format!(
                "Burn alert {}: {} of {} bad in {} and {} of {} in {}: {} and {} times what the target allows; above {} in both it fires, with at least {} bad events.",
                pair.severity,
                count(reading.long.bad),
                count(reading.long.total),
                window_text(pair.long_ms),
                count(reading.short.bad),
                count(reading.short.total),
                window_text(pair.short_ms),
                rate(reading.long),
                rate(reading.short),
                pair.factor,
                pair.min_bad
            ));
        }
        if !sight::sees_platform(who) {
            line("Queries over raw samples are for accounts that see the whole platform.".to_owned());
        }
        Ok(out.trim_end().to_owned() + "\n")
    }
}

fn instant(ms: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    at.to_zoned_datetime(zone.clone()).to_string()
}

fn window(objective: &Objective, standing: &Standing, zone: &TimeZone) -> String {
    let (asked, counted) = (standing.window, standing.counted);
    format!(
        "**Window.** {}: after {} up to {}. Counts are kept in slices of 10 s, after 7 h of 1 min, after 4 days of 15 min; what is counted here is exact from {} to {}.",
        objective.window,
        instant(asked.start_ms, zone),
        instant(asked.end_ms, zone),
        instant(counted.start_ms, zone),
        instant(counted.end_ms, zone)
    )
}

fn raw(standing: &Standing, bad: Option<&str>, total: Option<&str>) -> String {
    let counts = standing.raw.counts;
    let mut text = format!(
        "**Raw.** {} bad of {} events, each counted once as its sample arrived.",
        count(counts.bad),
        count(counts.total)
    );
    for (what, query) in [("bad", bad), ("all", total)] {
        if let Some(query) = query {
            let _ = write!(
                text,
                " The last hour of {what} events, from raw samples: `{query}`."
            );
        }
    }
    text
}

fn adjusted(standing: &Standing, zone: &TimeZone) -> String {
    let (raw, counts) = (standing.raw.counts, standing.budget.counts);
    if standing.excluded.is_empty() {
        return "**Adjusted.** Nothing is excluded: adjusted and raw figures are the same.".to_owned();
    }
    let mut text = format!(
        "**Adjusted.** {} bad of {} events: the raw figure less {} of {} in the stretches that do not count:",
        count(counts.bad),
        count(counts.total),
        signed(difference(raw.bad, counts.bad)),
        signed(difference(raw.total, counts.total))
    );
    for one in &standing.excluded {
        let place = slo::group_text(&one.group).map_or_else(String::new, |place| format!(", {place}"));
        let _ = write!(
            text,
            "\n- {} to {}{place}",
            instant(one.stretch.start_ms, zone),
            instant(one.stretch.end_ms, zone)
        );
    }
    text
}

fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(i64::MAX)
}

fn budget(objective: &Objective, standing: &Standing) -> String {
    let budget = &standing.budget;
    let share = objective.target.complement().unwrap_or(Ratio::ZERO);
    let left = i64::try_from(budget.remaining()).unwrap_or(i64::MIN);
    let minutes = |minutes: Option<Ratio>| {
        minutes.map_or_else(
            || "unknown".to_owned(),
            |minutes| format!("{:.2} min", minutes.to_f64()),
        )
    };
    format!(
        "**Budget.** The target {} lets {} of the events be bad: floor({share} × {}) = {}. Less the {} that were bad, {} are left ({}). As time: {} of total outage, of which {} are spent. State by thresholds, better only past a margin: {:?}.",
        objective.target,
        share,
        count(budget.counts.total),
        count(budget.allowed()),
        count(budget.counts.bad),
        signed(left),
        budget.words(),
        minutes(budget.minutes()),
        minutes(budget.spent_minutes()),
        standing.state
    )
}

fn unknown(standing: &Standing, doubt: Option<&str>) -> String {
    let mut text = "**Not known.** ".to_owned();
    if standing.unknown_ms > 0 {
        let time = SignedDuration::from_millis(standing.unknown_ms);
        let _ = write!(
            text,
            "Nothing was seen for {time:#} of the window; that is neither good nor bad. "
        );
    }
    match doubt {
        Some(doubt) => text.push_str(&format!("In doubt: {doubt}.")),
        None if standing.unknown_ms == 0 => text.push_str("Nothing: the counts are the truth."),
        None => text.push_str("Of what was seen, the counts are the truth."),
    }
    text
}
