//! A report as CSV (RFC 4180): one line per figure, for spreadsheets and scripts.

use mainstay_kernel::csv::field;

use super::edition::Signed;
use super::model::{Credit, Figure, Promised, Report};

const HEAD: &str = "month,subject,edition,objective,promise,target,group,from,to,raw_bad,raw_total,raw_verdict,adjusted_bad,adjusted_total,verdict,allowed,left,excluded_minutes,unknown_ms,excluded_bad,incident_bad,background_bad,credit,credit_table,bad_query,total_query";

/// The report; `signed` says which edition it is.
#[must_use]
pub fn csv(report: &Report, signed: Option<&Signed>) -> String {
    let mut out = format!("{HEAD}\r\n");
    let subject = report
        .tenant
        .as_ref()
        .map_or("platform", |tenant| tenant.id.as_str());
    let edition = signed.map_or_else(|| "draft".to_owned(), |signed| signed.edition.number.to_string());
    for one in &report.promises {
        let incidents: i64 = one.attribution.incidents.iter().map(|part| part.bad).sum();
        let group: Vec<String> = one
            .group
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let raw_verdict = one.raw_verdict.to_string();
        let tail = [
            one.allowed.to_string(),
            one.left.to_string(),
            one.excluded_minutes.to_string(),
            one.unknown_ms.to_string(),
            one.attribution.excluded.to_string(),
            incidents.to_string(),
            one.attribution.background.to_string(),
        ];
        let queries = [&one.bad_query, &one.total_query].map(|query| query.as_deref().unwrap_or_default());
        let head = [&report.month, subject, &edition];
        row(
            &mut out,
            head,
            one,
            &group.join(" "),
            (&one.raw, &raw_verdict),
            (&one.adjusted, &one.verdict.to_string()),
            &tail,
            one.credit.as_ref(),
            queries,
        );
        for line in &one.tenants {
            let empty: [String; 7] = Default::default();
            row(
                &mut out,
                head,
                one,
                &format!("tenant={}", line.tenant),
                (&line.raw, ""),
                (&line.adjusted, &line.verdict.to_string()),
                &empty,
                line.credit.as_ref(),
                ["", ""],
            );
        }
    }
    out
}

#[expect(clippy::too_many_arguments, reason = "a line has many cells")]
fn row(
    out: &mut String,
    head: [&str; 3],
    one: &Promised,
    group: &str,
    (raw, raw_verdict): (&Figure, &str),
    (adjusted, verdict): (&Figure, &str),
    tail: &[String; 7],
    credit: Option<&Credit>,
    queries: [&str; 2],
) {
    let counts = [raw.bad, raw.total, adjusted.bad, adjusted.total].map(|count| count.to_string());
    let mut cells: Vec<&str> = head.to_vec();
    cells.extend([
        &*one.objective,
        &one.promise,
        &one.target,
        group,
        &one.counted.from,
        &one.counted.to,
    ]);
    cells.extend([
        &*counts[0],
        &counts[1],
        raw_verdict,
        &counts[2],
        &counts[3],
        verdict,
    ]);
    cells.extend(tail.iter().map(String::as_str));
    cells.extend(credit.map_or(["", ""], |credit| [&*credit.percent, &credit.table]));
    cells.extend(queries);
    let quoted: Vec<String> = cells.into_iter().map(field).collect();
    out.push_str(&quoted.join(","));
    out.push_str("\r\n");
}
