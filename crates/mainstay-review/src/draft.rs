//! The draft itself, in the specification's form ("Incident Post-Mortem Template"), as CommonMark.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::facts::Facts;
use crate::suspects::{spoken, suspects};

/// Targets of the specification ("Incident Metrics"; ruling R14).
const DETECT: SignedDuration = SignedDuration::from_mins(5);
const ACKNOWLEDGE: SignedDuration = SignedDuration::from_mins(5);
const MITIGATE: SignedDuration = SignedDuration::from_mins(30);
const RESOLVE: SignedDuration = SignedDuration::from_hours(4);

const TO_WRITE: &str = "_To be written by the team._";

/// The post-mortem as far as facts go. The same facts give the same bytes.
#[must_use]
pub fn draft(facts: &Facts) -> String {
    let mut out = String::new();
    head(&mut out, facts);
    timeline(&mut out, facts);
    impact(&mut out, facts);
    root_cause(&mut out, facts);
    judgement(&mut out, facts);
    closing(&mut out);
    out
}

fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Cells of a table must not hold what would end them.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn line(out: &mut String, text: impl AsRef<str>) {
    out.push_str(text.as_ref());
    out.push('\n');
}

fn head(out: &mut String, facts: &Facts) {
    line(
        out,
        format!("# Post-mortem: {} ({})\n", facts.title, facts.incident),
    );
    let duration = facts.mitigated_at.map_or_else(
        || "requests still fail, or nobody knows".to_owned(),
        |end| spoken(facts.since_began(end)),
    );
    line(out, "| | |\n|---|---|");
    line(
        out,
        format!("| Severity | {} ({}) |", facts.severity, facts.severity.word()),
    );
    line(out, format!("| Duration of impact | {duration} |"));
    line(out, format!("| Where | {} |", facts.scope));
    let tenants = match (facts.total, facts.tenants.len()) {
        (0, _) => "unknown: no requests are counted at this place".to_owned(),
        (_, 0) => "0".to_owned(),
        (_, number) => format!("{number} ({})", facts.tenants.join(", ")),
    };
    line(out, format!("| Tenants affected | {tenants} |"));
    line(
        out,
        format!(
            "| Status | {} |",
            if facts.resolved_at.is_some() {
                "resolved; this draft awaits review"
            } else {
                "open"
            }
        ),
    );
    line(
        out,
        "\n| Measure | Instant | After the first failure | Target |\n|---|---|---|---|",
    );
    let mut measure = |name: &str, at: Option<Timestamp>, target: &str| {
        let (when, after) = at.map_or_else(
            || ("not yet".to_owned(), "-".to_owned()),
            |at| (instant(at), spoken(facts.since_began(at))),
        );
        line(out, format!("| {name} | {when} | {after} | {target} |"));
    };
    let slice = spoken(facts.began_within);
    let first = match facts.began_within.is_zero() {
        true => "First alert (no failing request is counted)".to_owned(),
        false => format!("First failing request (or up to {slice} later)"),
    };
    measure(&first, Some(facts.began_at), "");
    measure("Detected", Some(facts.detected_at), "5 min");
    measure("Page delivered", facts.page_delivered_at, "");
    measure(
        "Acknowledged",
        facts.acknowledged.as_ref().map(|(at, _)| *at),
        "5 min after the page",
    );
    measure("Mitigated", facts.mitigated_at, "30 min");
    measure("Resolved", facts.resolved_at, "4 h");
}

fn timeline(out: &mut String, facts: &Facts) {
    line(out, "\n## Timeline\n\n| Time (UTC) | What | Who |\n|---|---|---|");
    for entry in &facts.timeline {
        line(
            out,
            format!(
                "| {} | {} | {} |",
                entry.at.strftime("%H:%M:%S"),
                cell(&entry.text),
                cell(&entry.actor)
            ),
        );
    }
}

fn impact(out: &mut String, facts: &Facts) {
    line(out, "\n## Impact\n");
    let counted = match facts.total {
        0 => "Unknown: no requests are counted at this place.\n".to_owned(),
        total => format!(
            "{} of {total} requests failed while it lasted (counted, not estimated).\n",
            facts.bad
        ),
    };
    line(out, counted);
    if facts.budgets.is_empty() {
        return;
    }
    line(
        out,
        "| Objective | Target | Allowed | Spent by this incident | Spent in the window |\n|---|---|---|---|---|",
    );
    for budget in &facts.budgets {
        let name = cell(&budget.slo);
        let target = budget.target.percent(3);
        line(
            out,
            format!(
                "| {name} | {target} | {} | {} | {} |",
                budget.allowed, budget.spent_by_incident, budget.spent
            ),
        );
    }
}

fn root_cause(out: &mut String, facts: &Facts) {
    line(out, "\n## Root cause\n");
    line(
        out,
        "**Verdict:** _to be given by the team; what follows is evidence, ranked by what points where._\n",
    );
    let suspects = suspects(facts);
    if suspects.is_empty() {
        line(
            out,
            "No change was recorded in the hour before the first failure. Look at dependencies, load and infrastructure.\n",
        );
    }
    for (index, suspect) in suspects.iter().enumerate() {
        line(
            out,
            format!(
                "{}. **{}** ({})",
                index + 1,
                suspect.change.summary,
                instant(suspect.change.at)
            ),
        );
        suspect
            .evidence
            .iter()
            .for_each(|text| line(out, format!("   - {text}")));
    }
    line(out, "\nWhat the alerts saw:\n");
    for alert in &facts.alerts {
        let offset = facts.since_began(alert.starts_at);
        let when = if offset.is_negative() {
            format!("{} before", spoken(offset))
        } else {
            format!("{} after", spoken(offset))
        };
        line(
            out,
            format!("- {} ({when} the first failure): {}", alert.name, alert.summary),
        );
    }
}

fn judgement(out: &mut String, facts: &Facts) {
    let mut well = Vec::new();
    let mut wrong = Vec::new();
    let mut judge = |what: &str, took: Option<SignedDuration>, target: SignedDuration| match took {
        Some(took) if took <= target => well.push(format!(
            "{what} after {}, within the target of {}",
            spoken(took),
            spoken(target)
        )),
        Some(took) => wrong.push(format!(
            "{what} after {}, above the target of {}",
            spoken(took),
            spoken(target)
        )),
        None => wrong.push(format!(
            "not {} yet, the target is {}",
            what.to_lowercase(),
            spoken(target)
        )),
    };
    judge("Detected", Some(facts.since_began(facts.detected_at)), DETECT);
    let acknowledged = facts
        .acknowledged
        .as_ref()
        .map(|(at, _)| at.duration_since(facts.page_delivered_at.unwrap_or(facts.detected_at)));
    judge("Acknowledged", acknowledged, ACKNOWLEDGE);
    judge(
        "Mitigated",
        facts.mitigated_at.map(|at| facts.since_began(at)),
        MITIGATE,
    );
    judge(
        "Resolved",
        facts.resolved_at.map(|at| facts.since_began(at)),
        RESOLVE,
    );
    line(out, "\n## Contributing factors\n");
    let all_at_once = facts.changes.iter().find(|change| {
        change.kind == mainstay_kernel::fact::ChangeKind::Deploy
            && change.at <= facts.began_at + facts.began_within
    });
    if let Some(deploy) = all_at_once {
        line(
            out,
            format!(
                "- Was \"{}\" rolled out step by step, and could a canary have stopped it? {TO_WRITE}",
                deploy.summary
            ),
        );
    }
    line(out, format!("- Why did testing not find it? {TO_WRITE}"));
    for (title, facts) in [("What went well", well), ("What went wrong", wrong)] {
        line(out, format!("\n## {title}\n"));
        facts.iter().for_each(|text| line(out, format!("- {text}")));
        line(out, format!("- {TO_WRITE}"));
    }
}

fn closing(out: &mut String) {
    line(
        out,
        "\n## Action items\n\n| What | Owner | Due |\n|---|---|---|\n| | | |",
    );
    let _ = write!(out, "\n## Lessons learned\n\n{TO_WRITE}\n");
    line(
        out,
        "\n---\nBlameless: this looks at systems and processes. Whoever acted did what made sense with what they knew.",
    );
}
