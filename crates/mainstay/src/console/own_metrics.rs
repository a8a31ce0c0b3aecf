//! What Mainstay says of itself, for whoever scrapes it: Prometheus' text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::{Reason, TenantReport};

use super::desk::Refused;

/// How many tenants have lines of their own, those with the most series first; the others are one, `other`.
const TENANTS_SHOWN: usize = 1_000;
const OTHER: &str = "other";

/// Text in the making.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{before}{label}=\"{value}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn by_tenant(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        reports: &[TenantReport],
        value: impl Fn(&TenantReport) -> u64,
    ) {
        self.family(name, kind, help);
        for report in reports {
            self.sample(name, &[("tenant", &report.tenant)], value(report));
        }
    }

    fn by_reason(
        &mut self,
        (name, help): (&str, &str),
        reports: &[TenantReport],
        refused: impl Fn(&TenantReport) -> &BTreeMap<Reason, u64>,
    ) {
        self.family(name, "counter", help);
        for report in reports {
            for (reason, count) in refused(report) {
                let labels = [("tenant", report.tenant.as_str()), ("reason", reason.name())];
                self.sample(name, &labels, count);
            }
        }
    }
}

/// How often acknowledgements of people who are not signed in were refused.
pub(super) fn refused(refused: &Refused) -> String {
    let mut text = Exposition(String::new());
    let name = "mainstay_acknowledgements_refused_total";
    let help = "Links of mails, buttons of Slack and calls of the telephone provider that were not believed, or came before.";
    text.family(name, "counter", help);
    for (door, reason, count) in refused.all() {
        text.sample(name, &[("door", door), ("reason", reason)], count);
    }
    text.0
}

/// All of it. O(series + tenants).
pub(super) fn exposition(telemetry: &Telemetry) -> String {
    let reports = shown(telemetry.tenant_reports(), TENANTS_SHOWN);
    let (stats, opened) = (telemetry.store().stats(), telemetry.opened());
    let mut text = Exposition(String::new());
    let counter = |name, help| (name, "counter", help);
    let gauge = |name, help| (name, "gauge", help);
    let of = "Samples that were stored.";
    text.by_tenant(counter("mainstay_ingest_samples_total", of), &reports, |report| {
        report.samples
    });
    let of = (
        "mainstay_ingest_refused_samples_total",
        "Samples that were refused.",
    );
    text.by_reason(of, &reports, |report| &report.refused_samples);
    text.by_tenant(gauge("mainstay_series", "Series held."), &reports, |report| {
        report.series
    });
    let of = "Queries that were begun.";
    text.by_tenant(counter("mainstay_queries_total", of), &reports, |report| {
        report.queries
    });
    let of = "Queries under way or waiting.";
    text.by_tenant(gauge("mainstay_queries", of), &reports, |report| {
        report.queries_now
    });
    let of = (
        "mainstay_queries_refused_total",
        "Queries that a limit refused or ended.",
    );
    text.by_reason(of, &reports, |report| &report.refused_queries);
    for (name, kind, help, value) in [
        (
            "mainstay_head_samples",
            "gauge",
            "Samples in memory.",
            stats.head_samples,
        ),
        (
            "mainstay_head_bytes",
            "gauge",
            "What they take.",
            stats.head_bytes,
        ),
        ("mainstay_blocks", "gauge", "Block files.", stats.blocks as u64),
        (
            "mainstay_block_samples",
            "gauge",
            "Samples in block files.",
            stats.block_samples,
        ),
        (
            "mainstay_block_bytes",
            "gauge",
            "Bytes of block files.",
            stats.block_bytes,
        ),
        (
            "mainstay_wal_bytes",
            "gauge",
            "Bytes of the write-ahead log.",
            stats.wal_bytes,
        ),
        (
            "mainstay_wal_fsyncs_total",
            "counter",
            "Fsyncs of the write-ahead log.",
            stats.wal_fsyncs,
        ),
        (
            "mainstay_recovery_replayed_samples",
            "gauge",
            "Samples that the start read back from the log.",
            opened.replayed_samples,
        ),
        (
            "mainstay_recovery_lost_records",
            "gauge",
            "Records of the log that the start could not use.",
            opened.orphan_records,
        ),
        (
            "mainstay_recovery_corrupt_blocks",
            "gauge",
            "Block files that are damaged and not served.",
            opened.corrupt_blocks,
        ),
    ] {
        text.single(name, kind, help, value);
    }
    let took = opened.took.as_secs_f64();
    text.single(
        "mainstay_recovery_seconds",
        "gauge",
        "How long the store took to open.",
        took,
    );
    text.0
}

/// At most so many reports: those of the tenants with the most series, in order of name, and one of all others.
fn shown(mut reports: Vec<TenantReport>, at_most: usize) -> Vec<TenantReport> {
    if reports.len() <= at_most {
        return reports;
    }
    reports.sort_by(|a, b| b.series.cmp(&a.series).then_with(|| a.tenant.cmp(&b.tenant)));
    let mut rest = reports.split_off(at_most.saturating_sub(1));
    // A tenant may bear that name: there is one line of it.
    rest.extend(reports.extract_if(.., |report| report.tenant == OTHER));
    let mut other = TenantReport {
        tenant: OTHER.to_owned(),
        ..TenantReport::default()
    };
    for report in rest {
        other.series += report.series;
        other.samples += report.samples;
        other.queries += report.queries;
        other.queries_now += report.queries_now;
        for (sums, counts) in [
            (&mut other.refused_samples, report.refused_samples),
            (&mut other.refused_queries, report.refused_queries),
        ] {
            for (reason, count) in counts {
                *sums.entry(reason).or_default() += count;
            }
        }
    }
    reports.push(other);
    reports.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_beyond_the_cap_are_one() {
        let report = |tenant: &str, series| TenantReport {
            tenant: tenant.to_owned(),
            series,
            samples: series * 10,
            refused_samples: BTreeMap::from([(Reason::Rate, 1)]),
            ..TenantReport::default()
        };
        let all = vec![
            report("a", 1),
            report("b", 9),
            report("c", 2),
            report("d", 8),
            report("other", 7),
        ];
        assert_eq!(shown(all.clone(), 5), all);
        let few = shown(all, 4);
        let names: Vec<(&str, u64)> = few.iter().map(|one| (one.tenant.as_str(), one.series)).collect();
        assert_eq!(names, [("b", 9), ("d", 8), ("other", 10)]);
        assert_eq!((few[2].samples, few[2].refused_samples[&Reason::Rate]), (100, 3));
    }

    #[test]
    fn odd_names_are_escaped() {
        let mut text = Exposition(String::new());
        text.sample("x", &[("tenant", "a\"b\\\n"), ("reason", "r")], 1);
        assert_eq!(text.0, "x{tenant=\"a\\\"b\\\\\\n\",reason=\"r\"} 1\n");
    }
}
