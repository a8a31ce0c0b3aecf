//! The streams that every engine gets, and how they are written for the wire.
//!
//! | stream | series | steps | shape |
//! |---|---|---|---|
//! | A | 2,000 | 5,000 | what scrapes look like: one sample of each series in a request |
//! | B | 500 counters | 86,400 (30 days) | catching up: 20 samples of each series in a request |
//! | C | 150,000 | 40 | a large platform, all of whose series are new |
//!
//! Steps are 30 s. Series have seven labels. Of ten series of A and C six are counters, two gauges with two decimals, one
//! a size in pages of memory, one constant. Everything follows from a seed.

const STEP_MS: i64 = 30_000;

/// A stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    pub(crate) series: usize,
    pub(crate) steps: usize,
    /// Samples of one series in one request.
    pub(crate) run: usize,
    /// Series in one request.
    pub(crate) width: usize,
    /// Whether every series is a counter.
    pub(crate) counters: bool,
}

pub(crate) const A: Stream = Stream {
    name: "A",
    series: 2_000,
    steps: 5_000,
    run: 1,
    width: 2_000,
    counters: false,
};
pub(crate) const B: Stream = Stream {
    name: "B",
    series: 500,
    steps: 86_400,
    run: 20,
    width: 500,
    counters: true,
};
pub(crate) const C: Stream = Stream {
    name: "C",
    series: 150_000,
    steps: 40,
    run: 1,
    width: 5_000,
    counters: false,
};

/// The metric of stream B, of which one series in five counts failures.
pub(crate) const B_METRIC: &str = "payments_requests_total";

impl Stream {
    pub(crate) fn samples(&self) -> u64 {
        (self.series * self.steps) as u64
    }

    /// From the first sample to the last.
    pub(crate) fn span_ms(&self) -> i64 {
        (self.steps as i64 - 1) * STEP_MS
    }

    fn labels(&self, at: usize) -> [(&'static str, String); 7] {
        let metric = if self.counters {
            B_METRIC.to_owned()
        } else {
            format!(
                "{}_{}",
                ["http_requests_total", "queue_depth", "heap_bytes"][at % 3],
                at / 3 % 20
            )
        };
        let code = if at.is_multiple_of(5) { "500" } else { "200" };
        [
            ("__name__", metric),
            ("cell", format!("cell-{}", at % 7)),
            ("code", code.to_owned()),
            (
                "instance",
                format!("10.{}.{}.{}:9090", at / 62_500, at / 250 % 250, at % 250),
            ),
            ("job", "payments".to_owned()),
            ("method", ["GET", "POST", "PUT", "DELETE"][at % 4].to_owned()),
            ("tenant", format!("tenant-{}", at % 31)),
        ]
    }
}

/// A small generator of numbers that look random (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }
}

/// The requests of a stream, one after another.
pub(crate) struct Requests {
    stream: Stream,
    begin_ms: i64,
    step: usize,
    from: usize,
    numbers: Numbers,
    values: Vec<f64>,
    /// The labels of every series as they stand in a request.
    labels: Vec<Vec<u8>>,
}

impl Requests {
    pub(crate) fn new(stream: Stream, end_ms: i64) -> Self {
        let labels = (0..stream.series).map(|at| {
            let mut out = Vec::new();
            for (name, value) in stream.labels(at) {
                let mut pair = Vec::new();
                field(&mut pair, 1, name.as_bytes());
                field(&mut pair, 2, value.as_bytes());
                field(&mut out, 1, &pair);
            }
            out
        });
        Self {
            stream,
            begin_ms: end_ms - stream.span_ms(),
            step: 0,
            from: 0,
            numbers: Numbers(0x9e37_79b9_7f4a_7c15),
            labels: labels.collect(),
            values: vec![1000.0; stream.series],
        }
    }

    fn next_value(&mut self, at: usize) -> f64 {
        let value = &mut self.values[at];
        match if self.stream.counters { 0 } else { at % 10 } {
            0..=5 => *value += self.numbers.below(20 + at as u64 * 7 % 150) as f64,
            6 | 7 => {
                *value = ((*value * 100.0 + self.numbers.below(41) as f64 - 20.0).round() / 100.0).max(0.0)
            }
            8 => *value = (self.numbers.below(2_000) * 4096) as f64,
            _ => {}
        }
        *value
    }

    /// The next request, packed, and how many samples it has.
    pub(crate) fn next(&mut self) -> Option<(Vec<u8>, u64)> {
        if self.step >= self.stream.steps {
            return None;
        }
        let to = (self.from + self.stream.width).min(self.stream.series);
        let run = self.stream.run.min(self.stream.steps - self.step);
        let mut message = Vec::new();
        let (mut series, mut sample) = (Vec::new(), Vec::new());
        for at in self.from..to {
            series.clear();
            series.extend_from_slice(&self.labels[at]);
            for step in self.step..self.step + run {
                sample.clear();
                sample.push(0x09);
                sample.extend_from_slice(&self.next_value(at).to_le_bytes());
                sample.push(0x10);
                varint(
                    &mut sample,
                    (self.begin_ms + step as i64 * STEP_MS).cast_unsigned(),
                );
                field(&mut series, 2, &sample);
            }
            field(&mut message, 1, &series);
        }
        let samples = ((to - self.from) * run) as u64;
        self.from = to;
        if self.from >= self.stream.series {
            self.from = 0;
            self.step += run;
        }
        let packed = snap::raw::Encoder::new().compress_vec(&message).ok()?;
        Some((packed, samples))
    }
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
