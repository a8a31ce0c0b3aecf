//! What objectives counted stays counted, once, through kill -9 of a live server.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;
use mainstay_kernel::testing::SeededEntropy;
use serde_json::json;

use crate::harness::{PATIENCE, Server};
use crate::hostile::{PROTOBUF, field, label, now_ms, sample};

/// Requests that a round adds, and how many of them fail; payments that it adds, and how many of them fail.
const REQUESTS: [u64; 2] = [7, 2];
const PAYMENTS: [u64; 2] = [3, 1];

/// One round of traffic, at the same instant however often it is sent.
#[derive(Clone, Copy)]
struct Round {
    number: u64,
    t_ms: u64,
}

impl Round {
    /// The gateway's counters, of good and of bad requests.
    fn counters(self) -> Vec<u8> {
        let [all, bad] = REQUESTS;
        let series = [("200", all - bad), ("503", bad)].map(|(status, each)| {
            let labels = [
                ("__name__", "http_requests_total"),
                ("cell", "cell-5"),
                ("instance", "gateway-0"),
                ("job", "api-gateway"),
                ("status", status),
                ("tenant", "STD-001"),
            ];
            let labels = labels.map(|(name, value)| label(name, value)).concat();
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            let value = (self.number * each) as f64;
            field(1, [labels, sample(self.t_ms, value)].concat())
        });
        let message = series.concat();
        snap::raw::Encoder::new()
            .compress_vec(&message)
            .expect("it is packed")
    }

    /// What became of some payments, told once.
    fn payments(self) -> Vec<u8> {
        let [all, bad] = PAYMENTS;
        let t_ms = i64::try_from(self.t_ms).expect("a time");
        let time = Timestamp::from_millisecond(t_ms).expect("a time");
        let events = (0..all).flat_map(|payment| {
            let subject = format!("pay-{}-{payment}", self.number);
            let state = if payment < bad { "FAILED" } else { "COMPLETED" };
            let event = |id: &str, data: serde_json::Value| {
                json!({
                    "specversion": "1.0", "id": format!("{subject}-{id}"), "source": "/payments/cell-5",
                    "type": format!("com.mainstay.completion.{id}"), "time": time, "subject": subject, "data": data,
                })
            };
            [
                event(
                    "initiated",
                    json!({"stream": "payments", "tenant": "STD-001", "cell": "cell-5"}),
                ),
                event("finished", json!({"stream": "payments", "state": state})),
            ]
        });
        events.collect::<serde_json::Value>().to_string().into_bytes()
    }

    /// Whether both were acknowledged; the server may be gone at any point of it.
    fn is_taken(self, address: &str) -> bool {
        let taken = |path: &str, headers: &str, body: &[u8]| -> std::io::Result<bool> {
            let authority = address.trim_start_matches("http://");
            let mut stream = TcpStream::connect(authority)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let length = body.len();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), body].concat())?;
            let answer = std::io::read_to_string(stream)?;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 20"), "{answer}");
            Ok(!answer.is_empty())
        };
        let events = "Content-Type: application/cloudevents-batch+json\r\n";
        taken("/api/v1/write", PROTOBUF, &self.counters()).unwrap_or(false)
            && taken("/api/v1/completions", events, &self.payments()).unwrap_or(false)
    }
}

/// All and bad, of requests and of payments.
fn counted(server: &Server) -> [[u64; 2]; 2] {
    ["api-availability-30d", "payment-success-30d"].map(|slo| {
        let shown = server.json(&["slo", "show", slo, "--tenant", "STD-001", "--cell", "cell-5"]);
        ["total", "bad"].map(|name| shown["slo"][name].as_u64().unwrap_or_else(|| panic!("{shown}")))
    })
}

/// What was counted after so many rounds and the first one, in which the counters begin.
fn after(rounds: u64) -> [[u64; 2]; 2] {
    [
        REQUESTS.map(|each| each * rounds),
        PAYMENTS.map(|each| each * (rounds + 1)),
    ]
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Between kills rounds are sent one after the other, and the one that was not acknowledged is sent again.
#[test]
fn kill_9_of_the_server_neither_loses_nor_doubles_a_count() {
    let kills = if environment("MAINSTAY_FULL") == Some(1) {
        50
    } else {
        4
    };
    let seed = environment("MAINSTAY_SEED").unwrap_or(0x5eed);
    println!("MAINSTAY_SEED={seed}, {kills} kills");
    let entropy = SeededEntropy::new(seed);
    let mut data = tempfile::tempdir().expect("a directory");
    let (acknowledged, mut unanswered, mut counted_unanswered) = (AtomicU64::new(0), None, 0);
    for kill in 0..kills {
        let server = Server::start_on(data);
        let done = acknowledged.load(Ordering::SeqCst);
        if kill == 0 {
            // The counters as they begin.
            assert!(
                Round {
                    number: 0,
                    t_ms: now_ms()
                }
                .is_taken(&server.address)
            );
        } else {
            let is = counted(&server);
            let [without, with] = [after(done), after(done + 1)];
            let is_one = (0..2).all(|kind| is[kind] == without[kind] || is[kind] == with[kind]);
            assert!(is_one, "seed {seed}, kill {kill}: {is:?} after {done} rounds");
            counted_unanswered += u64::from(is != without);
        }
        let kill_at = done + 1 + entropy.below(60);
        let stop = AtomicBool::new(false);
        (data, unanswered) = std::thread::scope(|scope| {
            let address = server.address.clone();
            let (acknowledged, stop) = (&acknowledged, &stop);
            let sender = scope.spawn(move || {
                let mut next: Option<Round> = unanswered;
                while !stop.load(Ordering::SeqCst) {
                    let round = next.take().unwrap_or_else(|| Round {
                        number: acknowledged.load(Ordering::SeqCst) + 1,
                        t_ms: now_ms(),
                    });
                    if !round.is_taken(&address) {
                        return Some(round);
                    }
                    acknowledged.store(round.number, Ordering::SeqCst);
                }
                None
            });
            while acknowledged.load(Ordering::SeqCst) < kill_at {
                assert!(!sender.is_finished(), "it refuses what it should take");
                std::thread::yield_now();
            }
            let data = server.kill();
            stop.store(true, Ordering::SeqCst);
            (data, sender.join().expect("the sender"))
        });
    }
    let server = Server::start_on(data);
    if let Some(round) = unanswered {
        assert!(round.is_taken(&server.address));
        acknowledged.store(round.number, Ordering::SeqCst);
    }
    let rounds = acknowledged.load(Ordering::SeqCst);
    assert_eq!(counted(&server), after(rounds), "seed {seed}");
    println!("{rounds} rounds, {kills} kills, {counted_unanswered} found with a round that had no answer");
    assert!(rounds > kills);
}
