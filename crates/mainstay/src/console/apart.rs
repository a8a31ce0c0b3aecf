//! What is shown beside an objective's counts and is part of none of them.

use mainstay_slo::engine::{Reach, Status as Standing};
use mainstay_ui::number::count;

/// Payments that are not decided or do not count, traffic against its floor, what probes say, events that never arrived.
pub(super) fn words(standing: &Standing) -> Option<String> {
    let mut said = Vec::new();
    if let Some(completion) = &standing.completion {
        let reasons = completion.rejected_by_reason.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, number)| format!("{reason} {}", count(*number)))
            .collect();
        let reasons = if reasons.is_empty() {
            String::new()
        } else {
            format!(" ({})", reasons.join(", "))
        };
        said.push(format!("{} pending", count(completion.pending)));
        said.push(format!(
            "{} rejected for the customer's reasons{reasons}",
            count(completion.rejected)
        ));
        said.push(format!("{} of the bad ones late", count(completion.late)));
    }
    if let Some(traffic) = standing.traffic.filter(|traffic| traffic.least > 0) {
        let low = if traffic.is_low() {
            "too little traffic: "
        } else {
            ""
        };
        let (seen, least) = (count(traffic.seen), count(traffic.least));
        said.push(format!(
            "{low}{seen} events in two minutes, at least {least} are usual"
        ));
    }
    if let Some(outside) = standing.outside {
        let (bad, total) = (count(outside.probes.bad), count(outside.probes.total));
        said.push(match outside.reach {
            Reach::Reachable => "reachable from outside".to_owned(),
            Reach::Unreachable => format!("not reachable from outside: {bad} of {total} probes fail"),
            Reach::Unknown => "whether it is reachable from outside is unknown".to_owned(),
        });
    }
    if let Some(lost) = standing.lost.filter(|lost| lost.failing_ms > 0) {
        let minutes = count(lost.failing_ms.unsigned_abs().div_ceil(60_000));
        let unknown = if lost.unusual_ms > 0 {
            ", more where nothing is known to be usual"
        } else {
            ""
        };
        let events = count(lost.events);
        said.push(format!(
            "an estimated {events} events never arrived in {minutes} min of failing probes{unknown}"
        ));
    }
    (!said.is_empty()).then(|| said.join("; "))
}
