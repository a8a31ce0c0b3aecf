//! A report as Markdown (CommonMark with tables).

use std::fmt::Write as _;

use super::edition::Signed;
use super::model::{Promised, Report};
use super::words::{self, METHOD};

/// The report; `signed` says which edition it is.
#[must_use]
pub fn markdown(report: &Report, signed: Option<&Signed>) -> String {
    let mut out = format!(
        "# {}\n\n{}\n\n",
        text(&words::title(report)),
        text(&words::standing(report, signed))
    );
    let period = &report.period;
    let _ = writeln!(
        out,
        "The month is {}, {}. Times are of these clocks where nothing else is said.\n",
        words::span(period),
        report.zone
    );
    corrections(&mut out, signed);
    out.push_str("## Promises\n\n| Promise | Kind | Target | Raw | Adjusted | Verdict | Budget | Credit |\n|---|---|---|---|---|---|---|---|\n");
    for one in &report.promises {
        let credit = one
            .credit
            .as_ref()
            .map_or_else(|| "no table".to_owned(), words::credit);
        let cells = [
            &one.title,
            &one.promise,
            &one.target,
            &words::figure(&one.raw),
            &words::figure(&one.adjusted),
            &one.verdict.to_string(),
            &words::left(one),
            &credit,
        ];
        row(&mut out, cells.into_iter().map(String::as_str));
    }
    out.push('\n');
    for one in &report.promises {
        promised(&mut out, one);
    }
    out.push_str("## Adjustments\n\n");
    if report.adjustments.is_empty() {
        out.push_str("None: raw and adjusted figures are the same.\n\n");
    } else {
        out.push_str("| Source | When | Of | Reason | Author |\n|---|---|---|---|---|\n");
        for one in &report.adjustments {
            row(&mut out, words::adjustment(one).iter().map(String::as_str));
        }
        out.push('\n');
    }
    out.push_str("## How it is counted\n\n");
    for line in METHOD {
        let _ = writeln!(out, "- {line}");
    }
    if let Some(signed) = signed {
        let _ = write!(
            out,
            "\n## Signature\n\nDigest `{}`\\\nSignature `{}`\\\nPublic key `{}`\\\nCatalog `{}`\n\nThe JSON form of this edition is what is signed: `mainstay slo report --verify FILE --public-key KEY`.\n",
            signed.digest, signed.signature, signed.public_key, signed.edition.catalog
        );
    }
    out
}

fn corrections(out: &mut String, signed: Option<&Signed>) {
    let Some(corrected) = signed.and_then(|signed| signed.edition.corrects.as_ref()) else {
        return;
    };
    let _ = writeln!(
        out,
        "## Differences to edition {}\n\n| What | Before | Now |\n|---|---|---|",
        corrected.number
    );
    for one in &corrected.differences {
        let cells = [
            one.what.as_str(),
            one.before.as_deref().unwrap_or("nothing"),
            one.after.as_deref().unwrap_or("nothing"),
        ];
        row(out, cells.into_iter());
    }
    if corrected.further > 0 {
        let _ = writeln!(out, "\nand {} more.", corrected.further);
    }
    out.push('\n');
}

fn promised(out: &mut String, one: &Promised) {
    let _ = writeln!(out, "## {} ({})\n", text(&one.title), text(&one.objective));
    let _ = writeln!(out, "- Promised: {}; {}", text(&words::window(one)), one.promise);
    let _ = writeln!(out, "- Counted: {}", words::span(&one.counted));
    let _ = writeln!(out, "- Raw: {}: {}", words::figure(&one.raw), one.raw_verdict);
    let _ = writeln!(
        out,
        "- Adjusted: {}: {}; {} min excluded",
        words::figure(&one.adjusted),
        one.verdict,
        words::count(one.excluded_minutes)
    );
    let _ = writeln!(out, "- Budget: {}", words::left(one));
    if let Some(buffer) = &one.buffer {
        let _ = writeln!(out, "- {}", text(&words::buffer(buffer)));
    }
    if let Some(credit) = &one.credit {
        let _ = writeln!(out, "- Service credit: {}", text(&words::credit(credit)));
    }
    for doubt in words::doubts(one) {
        let _ = writeln!(out, "- {doubt}");
    }
    for (what, query) in [("Bad", &one.bad_query), ("All", &one.total_query)] {
        if let Some(query) = query {
            let _ = writeln!(out, "- {what} events: `{query}`");
        }
    }
    out.push('\n');
    if one.raw.bad > 0 {
        out.push_str("| Where | What | Bad events |\n|---|---|---|\n");
        for cells in words::attribution(&one.attribution) {
            row(out, cells.iter().map(String::as_str));
        }
        out.push('\n');
    }
    if !one.tenants.is_empty() {
        out.push_str("| Tenant | Raw | Adjusted | Verdict | Credit |\n|---|---|---|---|---|\n");
        for line in &one.tenants {
            let credit = line
                .credit
                .as_ref()
                .map_or_else(|| "no table".to_owned(), words::credit);
            let cells = [
                &line.tenant,
                &words::figure(&line.raw),
                &words::figure(&line.adjusted),
                &line.verdict.to_string(),
                &credit,
            ];
            row(out, cells.into_iter().map(String::as_str));
        }
        out.push('\n');
    }
}

fn row<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for cell in cells {
        let _ = write!(out, "| {} ", text(cell));
    }
    out.push_str("|\n");
}

/// Text that people wrote, so that it is nothing else.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
