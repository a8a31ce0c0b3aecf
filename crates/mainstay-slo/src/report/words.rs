//! Words that Markdown and HTML have in common.

use super::edition::Signed;
use super::model::{Adjusted, Attribution, Buffer, Credit, Doubtful, Figure, Promised, Report, Stretch};

/// `1,234,567`.
pub(super) fn count(number: impl std::fmt::Display) -> String {
    let text = number.to_string();
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn title(report: &Report) -> String {
    match &report.tenant {
        Some(tenant) => format!("Service levels of {}, {}", report.month, tenant.name),
        None => format!("Service levels of {}, the whole platform", report.month),
    }
}

/// Which edition it is, and how far it reaches.
pub(super) fn standing(report: &Report, signed: Option<&Signed>) -> String {
    let whose = report.tenant.as_ref().map_or_else(
        || "the platform".to_owned(),
        |tenant| format!("{} ({})", tenant.name, tenant.id),
    );
    let edition = match signed {
        None => "Draft, not issued".to_owned(),
        Some(signed) => {
            let edition = &signed.edition;
            let kind = edition.corrects.as_ref().map_or_else(String::new, |corrected| {
                format!(", a correction of edition {}", corrected.number)
            });
            format!(
                "Edition {}{kind}, issued {} by {}",
                edition.number, edition.issued_at, edition.issued_by
            )
        }
    };
    let until = report.until.as_ref().map_or_else(String::new, |until| {
        format!(" The month is not over: counted up to {until}.")
    });
    format!("For {whose}. {edition}.{until}")
}

pub(super) fn figure(figure: &Figure) -> String {
    let good = figure.good.as_deref().unwrap_or("nothing counted");
    format!("{} bad of {} ({good})", count(figure.bad), count(figure.total))
}

/// `2026-11-24 12:01:20 +02:00`: the zone is said once, at the head.
pub(super) fn when(at: &str) -> String {
    let local = at.split('[').next().unwrap_or(at);
    match (local.get(..10), local.get(11..19), local.get(19..)) {
        (Some(day), Some(time), Some(offset)) => format!("{day} {time} {offset}"),
        _ => local.to_owned(),
    }
}

/// `2026-11-24 12:00:00 to 12:15:00 +02:00`, or both in full where the day or the offset is another.
pub(super) fn span(stretch: &Stretch) -> String {
    let (from, to) = (when(&stretch.from), when(&stretch.to));
    match (from.get(..19), from.get(19..), to.get(..11), to.get(11..)) {
        (Some(begin), Some(offset), Some(day), Some(end))
            if begin.starts_with(day) && end.ends_with(offset) =>
        {
            format!("{begin} to {end}")
        }
        _ => format!("{from} to {to}"),
    }
}

pub(super) fn left(promised: &Promised) -> String {
    let allowed = count(promised.allowed);
    match promised.left {
        ..0 => format!(
            "{} bad events more than the {allowed} allowed",
            count(promised.left.unsigned_abs())
        ),
        left => format!("{} of {allowed} bad events left", count(left)),
    }
}

/// Over what it was promised.
pub(super) fn window(promised: &Promised) -> String {
    let counted = if promised.window.starts_with("rolling") {
        "; counted here over the month"
    } else {
        ""
    };
    format!("{} over {}{counted}", promised.target, promised.window)
}

pub(super) fn duration(ms: i64) -> String {
    let seconds = ms / 1_000;
    match (seconds / 3_600, seconds % 3_600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{} h {m} min", count(h)),
    }
}

/// What is not known, in sentences; empty where everything is.
pub(super) fn doubts(promised: &Promised) -> Vec<String> {
    let Doubtful {
        missed,
        restarts,
        bounded_ends,
        unread,
        unbounded_ends,
    } = promised.doubt;
    let mut said = Vec::new();
    if promised.unknown_ms > 0 {
        said.push(format!(
            "Nothing was seen for {}; that is neither good nor bad.",
            duration(promised.unknown_ms)
        ));
    }
    if missed > 0 {
        said.push(format!(
            "Counters were first seen above 0: at most {} more events happened.",
            count(missed)
        ));
    }
    if bounded_ends > 0 {
        said.push(format!(
            "{} counting processes ended between two reads: at most {} of their events are not counted.",
            count(bounded_ends),
            count(unread)
        ));
    }
    if unbounded_ends > 0 {
        said.push(format!("{} counting processes ended between two reads: how many of their last events are not counted is not known.", count(unbounded_ends)));
    }
    if restarts > 0 {
        said.push(format!("{} counters began again.", count(restarts)));
    }
    said
}

pub(super) fn buffer(buffer: &Buffer) -> String {
    let contract = match buffer.left {
        ..0 => format!("it broke by {}", count(buffer.left.unsigned_abs())),
        left => format!("{} were left before it broke", count(left)),
    };
    format!(
        "Our own objective {} ({}) was {}. The contract allows {} more bad events than it does; {contract}.",
        buffer.objective,
        buffer.target,
        buffer.verdict,
        count(buffer.events),
    )
}

pub(super) fn credit(credit: &Credit) -> String {
    match &credit.below {
        Some(below) => format!(
            "{} of the month's fee: below {below} (table {})",
            credit.percent, credit.table
        ),
        None => format!("none due (table {})", credit.table),
    }
}

/// Rows of where the bad events belong, and their sum.
pub(super) fn attribution(attribution: &Attribution) -> Vec<[String; 3]> {
    let row = |what: String, detail: String, bad: i64| [what, detail, count(bad)];
    let mut rows = Vec::new();
    if attribution.excluded != 0 {
        rows.push(row(
            "Excluded".to_owned(),
            "in stretches that do not count, see below".to_owned(),
            attribution.excluded,
        ));
    }
    for part in &attribution.incidents {
        let mut detail = format!("{}, {}", part.severity, span(&part.stretch));
        if let Some(title) = &part.title {
            detail = format!("{title}; {detail}");
        }
        if !part.suspects.is_empty() {
            detail = format!("{detail}; suspected: {}", part.suspects.join("; "));
        }
        rows.push(row(format!("Incident {}", part.incident), detail, part.bad));
    }
    rows.push(row(
        "Background".to_owned(),
        "outside of incidents".to_owned(),
        attribution.background,
    ));
    let incidents: i64 = attribution.incidents.iter().map(|part| part.bad).sum();
    let sum = attribution.excluded + incidents + attribution.background;
    rows.push(row("Sum".to_owned(), "the raw count".to_owned(), sum));
    rows
}

pub(super) fn adjustment(one: &Adjusted) -> [String; 5] {
    let mut reason = one.reason.clone();
    if let Some(ticket) = &one.ticket {
        reason = format!("{reason} ({ticket})");
    }
    if one.silences_burn {
        reason = format!("{reason}; burn alerts left it out too");
    }
    if let Some(withdrawn) = &one.withdrawn {
        reason = format!("{reason}. Withdrawn {withdrawn}; it counts for nothing");
    }
    let author = one
        .written_at
        .as_ref()
        .map_or_else(|| one.author.clone(), |at| format!("{}, {at}", one.author));
    [
        one.source.clone(),
        span(&one.stretch),
        format!("{}, {}", one.of.join(", "), one.place),
        reason,
        author,
    ]
}

pub(super) const METHOD: &[&str] = &[
    "Every event is counted once, from the counters themselves; nothing is averaged or extrapolated. A window is open at its beginning and closed at its end.",
    "Raw is everything that was counted. Adjusted is the same without the stretches listed under adjustments; promises, budgets and credits go by it.",
    "Bad events belong first to stretches that do not count, then to incidents in the order in which they began, each with the quarter hours that it touches; what remains is background. The parts add up to the raw count.",
    "Shares are cut after four digits, never rounded up. The queries ask the same of the raw samples, as far as they are still kept; increase() extrapolates, so it may differ by a few events.",
];
