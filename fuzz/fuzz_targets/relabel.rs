//! Relabelling: rules as a configuration has them, over a few label sets.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::config::ScrapeConfig;
use mainstay_ingest::relabel::relabel;
use mainstay_kernel::Labels;

fuzz_target!(|rules: &str| {
    let rules = rules.replace('\n', "\n  ");
    let text = format!("scrape_configs:\n- job_name: j\n  relabel_configs:\n  {rules}\n");
    let Ok(config) = ScrapeConfig::parse("prometheus.yml", &text) else {
        return;
    };
    for job in &config.jobs {
        for pairs in [
            &[
                ("__address__", "10.0.0.1:9100"),
                ("__meta_zone", "north-1"),
                ("job", "j"),
            ][..],
            &[("a", "ä;$1${b}"), ("b", "")],
            &[],
        ] {
            drop(relabel(pairs.iter().copied().collect::<Labels>(), &job.relabel));
        }
    }
});
