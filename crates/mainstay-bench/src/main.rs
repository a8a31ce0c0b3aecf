//! `mainstay-bench MAINSTAY [STREAM…]`: the same streams into Mainstay, Debian's Prometheus and Debian's
//! VictoriaMetrics, one engine at a time, and a table of what each took. `bench/metrics-engine.sh` runs it.
//!
//! What is counted is CPU time of the engine's process, kernel included, because a machine that others use makes wall time
//! mean little. Every engine gets the same bytes over one connection that stays open, and each request is answered before
//! the next is sent. Mainstay answers when the samples are on the disk; the others do not wait for that.

mod engine;
mod http;
mod stream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use engine::{Engine, Kind};
use http::Client;
use stream::{A, B, B_METRIC, C, Requests, Stream};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What an engine took.
#[derive(Debug, Default, Clone, Copy)]
struct Bill {
    samples_per_cpu_s: f64,
    disk_bytes_per_sample: f64,
    peak_bytes: f64,
    bytes_per_series: f64,
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((mainstay, wanted)) = arguments.split_first() else {
        eprintln!("usage: mainstay-bench MAINSTAY [A|B|C|rules|ENGINE]...");
        return ExitCode::from(2);
    };
    let mainstay = PathBuf::from(mainstay);
    let work = std::env::temp_dir().join(format!("mainstay-bench-{}", std::process::id()));
    let outcome = run(&mainstay, &work, wanted);
    let _ = std::fs::remove_dir_all(&work);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mainstay-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mainstay: &Path, work: &Path, wanted: &[String]) -> std::io::Result<()> {
    let engine = |name: &&String| Kind::ALL.iter().any(|kind| kind.name() == name.as_str());
    let (engines, parts): (Vec<&String>, Vec<&String>) = wanted.iter().partition(engine);
    let wants = |name: &str| parts.is_empty() || parts.iter().any(|wanted| *wanted == name);
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| engines.is_empty() || engines.iter().any(|wanted| *wanted == kind.name()))
        .collect();
    for kind in &kinds {
        println!("{:<16} {}", kind.name(), kind.version(mainstay));
    }
    for stream in [A, B, C].into_iter().filter(|stream| wants(stream.name)) {
        println!(
            "\n{}: {} series x {} steps = {} samples",
            stream.name,
            stream.series,
            stream.steps,
            stream.samples()
        );
        println!(
            "{:<16} {:>12} {:>10} {:>10} {:>10}",
            "", "samples/CPU-s", "B/sample", "peak MB", "B/series"
        );
        let mut bills = Vec::new();
        for kind in kinds.iter().copied() {
            let bill = ingest(kind, mainstay, work, stream)?;
            println!(
                "{:<16} {:>12.0} {:>10.3} {:>10.0} {:>10.0}",
                kind.name(),
                bill.samples_per_cpu_s,
                bill.disk_bytes_per_sample,
                bill.peak_bytes / 1e6,
                bill.bytes_per_series,
            );
            bills.push((kind, bill));
        }
        let ours = bills.first().map(|(_, bill)| *bill).unwrap_or_default();
        for (kind, bill) in bills.iter().skip(1) {
            println!(
                "Mainstay takes {:.1}x as many samples per CPU-second as {}, {:.2}x the disk, {:.2}x the peak of memory",
                ours.samples_per_cpu_s / bill.samples_per_cpu_s,
                kind.name(),
                ours.disk_bytes_per_sample / bill.disk_bytes_per_sample,
                ours.peak_bytes / bill.peak_bytes,
            );
        }
    }
    if wants("rules") {
        rules(&kinds, mainstay, work)?;
    }
    Ok(())
}

/// Writes a stream whose last sample is at `end_ms`.
fn write(engine: &Engine, stream: Stream, end_ms: i64) -> std::io::Result<()> {
    let mut client = Client::connect(engine.port)?;
    let mut requests = Requests::new(stream, end_ms);
    while let Some((packed, _)) = requests.next() {
        let (status, body) = client.write(&packed)?;
        if !(200..300).contains(&status) {
            let name = engine.kind.name();
            return Err(std::io::Error::other(format!("{name} answers {status}: {body}")));
        }
    }
    Ok(())
}

fn ingest(kind: Kind, mainstay: &Path, work: &Path, stream: Stream) -> std::io::Result<Bill> {
    let engine = Engine::start(kind, mainstay, work, None)?;
    // C is about memory: its samples are still there. Those of A and B are old enough to be in files.
    let end_ms = now_ms() - if stream.name == C.name { 0 } else { 4 * HOUR_MS };
    let (cpu_s, resident) = (engine.cpu_s(), engine.memory_bytes("VmRSS"));
    write(&engine, stream, end_ms)?;
    let written_s = engine.cpu_s() - cpu_s;
    let series_bytes = engine.memory_bytes("VmRSS") - resident;
    engine.settle()?;
    let spent_s = engine.cpu_s() - cpu_s;
    eprintln!(
        "# {} {}: {written_s:.1} CPU-s until answered, {spent_s:.1} until settled",
        kind.name(),
        stream.name
    );
    let bill = Bill {
        samples_per_cpu_s: stream.samples() as f64 / spent_s,
        disk_bytes_per_sample: engine.disk_bytes() as f64 / stream.samples() as f64,
        peak_bytes: engine.memory_bytes("VmHWM"),
        bytes_per_series: series_bytes / stream.series as f64,
    };
    if stream.name == B.name {
        queries(&engine, end_ms)?;
    }
    Ok(bill)
}

/// What 30-day queries over stream B cost.
fn queries(engine: &Engine, end_ms: i64) -> std::io::Result<()> {
    let sum = format!("sum(rate({B_METRIC}[30d]))");
    let ratio = format!("sum(rate({B_METRIC}{{code=\"500\"}}[30d]))/sum(rate({B_METRIC}[30d]))");
    for (name, query) in [("sum of rates", sum), ("ratio", ratio)] {
        let mut client = Client::connect(engine.port)?;
        let cpu_s = engine.cpu_s();
        let mut runs = 0;
        let mut answer = String::new();
        while runs < 5 || (engine.cpu_s() - cpu_s < 0.5 && runs < 200) {
            let body = format!(
                "query={}&time={}",
                encoded(&query),
                (end_ms - runs * 30_000) / 1000
            );
            let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
            let (status, text) = client.send("POST", "/api/v1/query", headers, body.as_bytes())?;
            if status != 200 {
                return Err(std::io::Error::other(format!("{status}: {text}")));
            }
            if runs == 0 {
                answer = text;
            }
            runs += 1;
        }
        let each_ms = (engine.cpu_s() - cpu_s) * 1000.0 / runs as f64;
        let value = answer.rsplit('"').nth(1).unwrap_or_default();
        println!(
            "  {:<16} 30-day {name}: {each_ms:.2} ms of CPU time, {value}",
            engine.kind.name()
        );
    }
    Ok(())
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A group of 1,000 alerting rules, each a ratio of two sums of rates over about 70 series of stream A.
fn rules(kinds: &[Kind], mainstay: &Path, work: &Path) -> std::io::Result<()> {
    const RULES: usize = 1_000;
    let mut text = "groups:\n- name: ratios\n  interval: 10s\n  rules:\n".to_owned();
    for rule in 0..RULES {
        let metric = format!("http_requests_total_{}", rule % 20);
        text.push_str(&format!(
            "  - alert: Ratio{rule}\n    expr: sum(rate({metric}{{code=\"500\"}}[5m])) / sum(rate({metric}{{tenant!=\"{rule}\"}}[5m])) > {}\n    labels: {{severity: P3, rule: \"{rule}\"}}\n",
            10 + rule
        ));
    }
    println!("\n{RULES} alerting rules in one group, each over 33 of the series of A");
    let empty = "groups: []\n";
    for kind in kinds
        .iter()
        .copied()
        .filter(|kind| *kind != Kind::VictoriaMetrics)
    {
        let mut each_s = [0.0; 2];
        for (slot, rules) in each_s.iter_mut().zip([empty, &text]) {
            let engine = Engine::start(kind, mainstay, work, Some(rules))?;
            let short = Stream { steps: 40, ..A };
            write(&engine, short, now_ms())?;
            std::thread::sleep(Duration::from_secs(25));
            let cpu_s = engine.cpu_s();
            std::thread::sleep(Duration::from_secs(60));
            *slot = (engine.cpu_s() - cpu_s) / 6.0;
        }
        println!(
            "  {:<16} {:.0} ms of CPU time per evaluation of the group",
            kind.name(),
            (each_s[1] - each_s[0]) * 1000.0
        );
    }
    Ok(())
}
