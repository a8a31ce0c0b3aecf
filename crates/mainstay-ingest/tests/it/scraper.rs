//! The scraper against real sockets on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_ingest::{ScrapeBatch, ScrapeError, ScrapeTarget, Scraper, Sink};
use mainstay_kernel::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// Runs with the test's own time, from a fixed day.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::from_millis(i64::try_from(self.0.elapsed().as_millis()).expect("short"));
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24) + passed
    }
}

struct Batches(mpsc::UnboundedSender<ScrapeBatch>);

impl Sink for Batches {
    fn accept(&self, scrape: ScrapeBatch) {
        // The test may have seen enough.
        let _ = self.0.send(scrape);
    }
}

/// A target that answers every request with the same bytes, and the requests it got.
async fn serve(answer: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answer, seen) = (answer.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                    seen.lock()
                        .expect("sound")
                        .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                    if socket.write_all(answer.as_bytes()).await.is_err() || answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    (address, requests)
}

fn answer(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn target(instance: &str, address: &str) -> ScrapeTarget {
    ScrapeTarget {
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(80),
        ..ScrapeTarget::new("test", instance, format!("http://{address}/metrics"))
    }
}

struct Running {
    scraper: Arc<Scraper>,
    batches: mpsc::UnboundedReceiver<ScrapeBatch>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let (sender, batches) = mpsc::unbounded_channel();
        let scraper = Arc::new(Scraper::new(
            Arc::new(TestClock(Instant::now())),
            Arc::new(Batches(sender)),
        ));
        let (stop, stopped) = oneshot::channel();
        let runner = Arc::clone(&scraper);
        let task = tokio::spawn(async move {
            runner.run(async { stopped.await.unwrap_or(()) }).await;
        });
        Self {
            scraper,
            batches,
            stop: Some(stop),
            task,
        }
    }

    async fn next(&mut self) -> ScrapeBatch {
        timeout(Duration::from_secs(20), self.batches.recv())
            .await
            .expect("a scrape in time")
            .expect("running")
    }
}

#[tokio::test]
async fn each_kind_of_failure_is_named_and_the_good_target_is_not_disturbed() {
    let mut running = Running::start();
    let (good, requests) = serve(answer(
        "200 OK",
        "application/openmetrics-text; version=1.0.0",
        "a 7\n# EOF\n",
    ))
    .await;
    let (broken, _) = serve(answer("500 Internal Server Error", "text/plain", "a 1\n")).await;
    let (silent, _) = serve(String::new()).await;
    let (large, _) = serve(answer("200 OK", "text/plain", &"a 1\n".repeat(1000))).await;
    let (_, nobody) = (
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        "127.0.0.1:1",
    );
    let mut targets: Vec<ScrapeTarget> = [
        ("good", &*good),
        ("broken", &broken),
        ("silent", &silent),
        ("large", &large),
        ("nobody", nobody),
    ]
    .map(|(name, address)| target(name, address))
    .into();
    targets[3].limits.body_bytes = 100;
    targets.push(target("url", "no host"));
    running.scraper.set_targets(targets);
    let mut first: BTreeMap<String, ScrapeBatch> = BTreeMap::new();
    while first.len() < 6 {
        let batch = running.next().await;
        first.entry(batch.instance.clone()).or_insert(batch);
    }
    let mut error = |instance: &str| first.remove(instance).expect("scraped").error;
    assert_eq!(error("broken"), Some(ScrapeError::Status(500)));
    assert_eq!(
        error("silent"),
        Some(ScrapeError::Timeout(Duration::from_millis(80)))
    );
    assert_eq!(
        error("large"),
        Some(ScrapeError::BodyTooLarge { limit_bytes: 100 })
    );
    assert!(matches!(error("nobody"), Some(ScrapeError::Connection(_))));
    assert!(matches!(error("url"), Some(ScrapeError::Url { .. })));
    let batch = first.remove("good").expect("scraped");
    assert_eq!((batch.error, batch.samples[0].value.float()), (None, Some(7.0)));
    assert_eq!(
        batch.samples[0].labels.to_string(),
        r#"a{instance="good", job="test"}"#
    );
    let request = requests.lock().expect("sound")[0].to_lowercase();
    assert!(
        request.contains("accept: application/openmetrics-text;version=1.0.0"),
        "{request}"
    );
    assert!(
        request.contains("x-prometheus-scrape-timeout-seconds: 0.08"),
        "{request}"
    );
    assert!(running.scraper.stats().failed >= 5);
}

#[tokio::test]
async fn scrapes_keep_their_slots_and_late_ones_are_counted_not_queued() {
    let mut running = Running::start();
    let (good, _) = serve(answer("200 OK", "text/plain", "a 7\n")).await;
    let (silent, _) = serve(String::new()).await;
    let mut slow = target("slow", &silent);
    slow.timeout = Duration::from_millis(250);
    running.scraper.set_targets(vec![target("good", &good), slow]);
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while times.values().map(Vec::len).min().unwrap_or(0) < 3 || times.len() < 2 {
        let batch = running.next().await;
        times
            .entry(batch.instance)
            .or_default()
            .push(batch.scrape_time_ms);
    }
    for (instance, times) in &times {
        // A slot is never early; each is at the same offset, give or take how late the machine woke us.
        let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let least = if instance == "slow" { 250 } else { 20 };
        assert!(steps.iter().all(|step| *step >= least), "{instance} {steps:?}");
    }
    assert!(
        running.scraper.stats().skipped >= 4,
        "{:?}",
        running.scraper.stats()
    );
}

#[tokio::test]
async fn a_target_that_is_taken_away_goes_stale_and_shutdown_marks_nothing() {
    let mut running = Running::start();
    let (address, _) = serve(answer("200 OK", "text/plain", "a 7\n")).await;
    running
        .scraper
        .set_targets(vec![target("one", &address), target("two", &address)]);
    let mut seen = BTreeMap::new();
    while seen.len() < 2 {
        let batch = running.next().await;
        seen.insert(batch.instance, batch.error);
    }
    running.scraper.set_targets(vec![target("two", &address)]);
    let last = loop {
        let batch = running.next().await;
        if batch.instance == "one" && batch.samples.iter().all(|sample| sample.value.is_stale()) {
            break batch;
        }
    };
    assert_eq!(last.samples.len(), 6, "a, up and the four figures of the scrape");
    running.stop.take().expect("once").send(()).expect("running");
    timeout(Duration::from_secs(20), &mut running.task)
        .await
        .expect("stops in time")
        .expect("cleanly");
    running.batches.close();
    while let Some(batch) = running.batches.recv().await {
        assert_eq!(batch.instance, "two");
        assert!(batch.samples.iter().all(|sample| !sample.value.is_stale()));
    }
}
