//! A report as one HTML page that needs nothing else: to be read, printed and sent.

use maud::{DOCTYPE, Markup, html};

use super::edition::Signed;
use super::model::{Promised, Report, Verdict};
use super::words::{self, METHOD};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2rem;border-top:1px solid #ddd;padding-top:1rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0;font-size:14px}th{text-align:left;font-weight:600;border-bottom:2px solid #999}
th,td{padding:.25rem .6rem .25rem 0;vertical-align:top}td{border-bottom:1px solid #eee}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:12.5px ui-monospace,monospace;background:#f5f5f5;overflow-wrap:anywhere}.dim{color:#555}.breached{color:#a40000;font-weight:600}.unknown{color:#7a5b00;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#555}dd{margin:0}tr.sum td{font-weight:600}@media print{body{margin:0;font-size:11px}h2{break-after:avoid}tr{break-inside:avoid}}";

/// The report; `signed` says which edition it is.
#[must_use]
pub fn html(report: &Report, signed: Option<&Signed>) -> String {
    let title = words::title(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { (words::standing(report, signed)) }
                p.dim { "The month is " (words::span(&report.period)) ", " (report.zone) ". Times are of these clocks where nothing else is said." }
                (corrections(signed))
                (summary(report))
                @for one in &report.promises { (promised(one)) }
                (adjustments(report))
                h2 { "How it is counted" }
                ul { @for line in METHOD { li { (line) } } }
                (signature(signed))
            }
        }
    };
    page.into_string() + "\n"
}

fn verdict(verdict: Verdict) -> Markup {
    html! { span class=(verdict.to_string()) { (verdict.to_string()) } }
}

fn summary(report: &Report) -> Markup {
    html! {
        h2 { "Promises" }
        table {
            thead { tr { th { "Promise" } th { "Kind" } th.n { "Target" } th.n { "Raw" } th.n { "Adjusted" } th { "Verdict" } th.n { "Bad events left" } th { "Credit" } } }
            tbody {
                @for one in &report.promises {
                    tr {
                        td { (one.title) }
                        td { (one.promise) }
                        td.n { (one.target) }
                        td.n { (share(&one.raw)) }
                        td.n { (share(&one.adjusted)) }
                        td { (verdict(one.verdict)) }
                        td.n { (words::count(one.left)) " of " (words::count(one.allowed)) }
                        td { (one.credit.as_ref().map_or_else(|| "no table".to_owned(), words::credit)) }
                    }
                }
            }
        }
    }
}

fn share(figure: &super::model::Figure) -> Markup {
    html! {
        (figure.good.as_deref().unwrap_or("nothing counted")) br;
        span.dim { (words::count(figure.bad)) " of " (words::count(figure.total)) }
    }
}

fn promised(one: &Promised) -> Markup {
    html! {
        h2 { (one.title) " " span.dim { (one.objective) } }
        dl {
            dt { "Promised" } dd { (words::window(one)) "; " (one.promise) }
            dt { "Counted" } dd { (words::span(&one.counted)) }
            dt { "Raw" } dd { (words::figure(&one.raw)) ": " (verdict(one.raw_verdict)) }
            dt { "Adjusted" } dd { (words::figure(&one.adjusted)) ": " (verdict(one.verdict)) "; " (words::count(one.excluded_minutes)) " min excluded" }
            dt { "Budget" } dd { (words::left(one)) }
            @if let Some(buffer) = &one.buffer { dt { "Buffer" } dd { (words::buffer(buffer)) } }
            @if let Some(credit) = &one.credit { dt { "Service credit" } dd { (words::credit(credit)) } }
            @for doubt in words::doubts(one) { dt { "Not known" } dd { (doubt) } }
            @for (what, query) in [("Bad events", &one.bad_query), ("All events", &one.total_query)] {
                @if let Some(query) = query { dt { (what) } dd { code { (query) } } }
            }
        }
        @if one.raw.bad > 0 {
            @let rows = words::attribution(&one.attribution);
            table {
                thead { tr { th { "Where the bad events belong" } th { "" } th.n { "Bad events" } } }
                tbody {
                    @for (index, [place, detail, bad]) in rows.iter().enumerate() {
                        tr.sum[index + 1 == rows.len()] { td { (place) } td.dim { (detail) } td.n { (bad) } }
                    }
                }
            }
        }
        @if !one.tenants.is_empty() {
            table {
                thead { tr { th { "Tenant" } th.n { "Raw" } th.n { "Adjusted" } th { "Verdict" } th { "Credit" } } }
                tbody {
                    @for line in &one.tenants {
                        tr {
                            td { (line.tenant) }
                            td.n { (share(&line.raw)) }
                            td.n { (share(&line.adjusted)) }
                            td { (verdict(line.verdict)) }
                            td { (line.credit.as_ref().map_or_else(|| "no table".to_owned(), words::credit)) }
                        }
                    }
                }
            }
        }
    }
}

fn adjustments(report: &Report) -> Markup {
    html! {
        h2 { "Adjustments" }
        @if report.adjustments.is_empty() {
            p { "None: raw and adjusted figures are the same." }
        } @else {
            table {
                thead { tr { @for head in ["Source", "When", "Of", "Reason", "Author"] { th { (head) } } } }
                tbody {
                    @for one in &report.adjustments {
                        tr { @for cell in words::adjustment(one) { td { (cell) } } }
                    }
                }
            }
        }
    }
}

fn corrections(signed: Option<&Signed>) -> Markup {
    html! {
        @if let Some(corrected) = signed.and_then(|signed| signed.edition.corrects.as_ref()) {
            h2 { "Differences to edition " (corrected.number) }
            table {
                thead { tr { th { "What" } th { "Before" } th { "Now" } } }
                tbody {
                    @for one in &corrected.differences {
                        tr {
                            td { code { (one.what) } }
                            td { (one.before.as_deref().unwrap_or("nothing")) }
                            td { (one.after.as_deref().unwrap_or("nothing")) }
                        }
                    }
                }
            }
            @if corrected.further > 0 { p { "and " (corrected.further) " more." } }
        }
    }
}

fn signature(signed: Option<&Signed>) -> Markup {
    html! {
        @if let Some(signed) = signed {
            h2 { "Signature" }
            dl {
                dt { "Digest" } dd { code { (signed.digest) } }
                dt { "Signature" } dd { code { (signed.signature) } }
                dt { "Public key" } dd { code { (signed.public_key) } }
                dt { "Catalog" } dd { code { (signed.edition.catalog) } }
            }
            p { "The JSON form of this edition is what is signed: " code { "mainstay slo report --verify FILE --public-key KEY" } "." }
        }
    }
}
