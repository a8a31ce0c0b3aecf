//! Range queries agree with instant queries, limits hold, and what is read is what is needed.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher};
use mainstay_promql::{
    Limits, MemorySamples, QueryError, Samples, Series, SourceError, Value, instant, parse, range,
    stale_marker,
};
use proptest::prelude::*;

const QUERIES: [&str; 22] = [
    "x",
    "x offset 3m",
    "x offset -2m",
    "x @ 400",
    "rate(x[5m])",
    "increase(x[7m] offset 90s)",
    "irate(x[4m])",
    "sum by (a) (x)",
    "topk(1, x)",
    "quantile(0.3, x) without (a)",
    "avg_over_time(x[6m:1m])",
    "max_over_time(rate(x[3m])[10m:45s] offset 1m)",
    "sum(rate(x[5m])) / sum(rate(y[5m]))",
    "x > 4 or y",
    "x unless on (a) y > bool 3",
    "x * on (b) group_left (c) y",
    "-x ^ 2 % 7",
    "count_over_time(x[3m] @ 700)",
    "absent(x)",
    "absent_over_time(x[2m])",
    "histogram_quantile(0.9, sum by (le) (rate(h[5m])))",
    "scalar(y) + time()",
];

fn store(values: &[Option<i8>]) -> MemorySamples {
    let mut store = MemorySamples::new();
    let names = [
        [("__name__", "x"), ("a", "1"), ("b", "1")].as_slice(),
        &[("__name__", "x"), ("a", "2"), ("b", "1")],
        &[("__name__", "y"), ("b", "1"), ("c", "3")],
        &[("__name__", "h"), ("le", "1")],
        &[("__name__", "h"), ("le", "+Inf")],
    ];
    for (index, name) in names.iter().enumerate() {
        let labels: Arc<Labels> = Arc::new(name.iter().copied().collect());
        for (step, value) in (0_i64..).zip(values.iter().skip(index).step_by(names.len())) {
            match value {
                Some(value) if *value > 110 => store.append(&labels, step * 41_000, stale_marker()),
                Some(value) => store.append(&labels, step * 41_000, f64::from(*value)),
                None => {}
            }
        }
    }
    store
}

fn at_each_step(
    query: &str,
    store: &MemorySamples,
    times: &[i64],
) -> Result<Vec<(Labels, i64, u64)>, QueryError> {
    let expr = parse(query).expect("a query");
    let mut found = Vec::new();
    for at_ms in times {
        match instant(&expr, *at_ms, store, &Limits::default())?.value {
            Value::Vector(samples) => {
                found.extend(samples.iter().map(|s| {
                    (
                        Labels::clone(&s.labels),
                        *at_ms,
                        s.value.float().expect("a float").to_bits(),
                    )
                }));
            }
            Value::Scalar(value) => found.push((Labels::new(), *at_ms, value.to_bits())),
            other => panic!("{other:?}"),
        }
    }
    found.sort();
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The cursors of a range query must see what an instant query at each step sees.
    #[test]
    fn a_range_query_is_its_instant_queries(
        values in prop::collection::vec(prop::option::weighted(0.8, any::<i8>()), 100..200),
        start_ms in -100_000_i64..900_000,
        step_ms in 1_000_i64..200_000,
    ) {
        let store = store(&values);
        let times: Vec<i64> = (0..12).map(|index| start_ms + index * step_ms).collect();
        for query in QUERIES {
            let expr = parse(query).expect("a query");
            let over = range(&expr, start_ms, times[11], step_ms, &store, &Limits::default());
            let expected = at_each_step(query, &store, &times);
            let (Ok(over), Ok(expected)) = (&over, &expected) else {
                prop_assert!(over.is_err() && expected.is_err(), "{}: {:?} {:?}", query, over, expected);
                continue;
            };
            let Value::Matrix(series) = &over.value else { panic!("a matrix") };
            let mut found: Vec<(Labels, i64, u64)> = series
                .iter()
                .flat_map(|s| s.samples.iter().map(|(at, value)| (Labels::clone(&s.labels), *at, value.to_bits())))
                .collect();
            found.sort();
            prop_assert_eq!(&found, expected, "{}", query);
        }
    }
}

/// Functions whose windows share work when they overlap.
const SHARED: [&str; 22] = [
    "rate(x[7m])",
    "increase(x[3m] offset 40s)",
    "delta(x[7m])",
    "irate(x[7m])",
    "idelta(x[7m])",
    "resets(x[7m])",
    "changes(x[7m])",
    "sum_over_time(x[7m])",
    "avg_over_time(x[7m])",
    "min_over_time(x[7m])",
    "max_over_time(x[7m])",
    "count_over_time(x[7m])",
    "first_over_time(x[7m])",
    "last_over_time(x[7m])",
    "present_over_time(x[7m])",
    "rate(x[7m] @ 700)",
    "max_over_time(x[9m:30s])",
    "sum_over_time(x[9m:30s])",
    "changes(x[9m:30s] offset -1m)",
    "max_over_time(rate(x[5m])[8m:20s])",
    "avg_over_time(sum_over_time(x[4m])[6m:25s])",
    "min_over_time(x[1h])",
];

/// What a counter or a gauge may do from one sample to the next.
#[derive(Debug, Clone, Copy)]
enum Move {
    Rise(u8),
    Fall(u16),
    Reset,
    Set(f64),
    Stale,
    Gap,
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => any::<u8>().prop_map(Move::Rise),
        2 => any::<u16>().prop_map(Move::Fall),
        1 => Just(Move::Reset),
        2 => prop::sample::select(vec![
            f64::NAN, -f64::NAN, 0.0, -0.0, 0.1, -1e-3, 1e100, 9_007_199_254_740_991.0, -9_007_199_254_740_993.0,
            f64::INFINITY, f64::NEG_INFINITY,
        ]).prop_map(Move::Set),
        1 => Just(Move::Stale),
        2 => Just(Move::Gap),
    ]
}

fn moved(moves: &[Move], is_whole: bool) -> MemorySamples {
    let mut store = MemorySamples::new();
    let labels: Arc<Labels> = Arc::new([("__name__", "x"), ("a", "1")].into_iter().collect());
    let mut value = 0.0;
    for (step, change) in (0_i64..).zip(moves) {
        match change {
            Move::Rise(by) => value += f64::from(*by),
            Move::Fall(by) => value -= f64::from(*by),
            Move::Reset => value = 0.0,
            Move::Set(to) if !is_whole => value = *to,
            Move::Set(_) => {}
            Move::Stale => {
                store.append(&labels, step * 15_000, stale_marker());
                continue;
            }
            Move::Gap => continue,
        }
        store.append(&labels, step * 15_000, value);
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Windows that share work give what each gives alone, bit for bit.
    #[test]
    fn shared_windows_are_windows_evaluated_alone(
        moves in prop::collection::vec(any_move(), 50..250),
        is_whole in any::<bool>(),
        start_ms in -100_000_i64..1_500_000,
        step_ms in 1_000_i64..250_000,
    ) {
        let store = moved(&moves, is_whole);
        let times: Vec<i64> = (0..25).map(|index| start_ms + index * step_ms).collect();
        for query in SHARED {
            let expr = parse(query).expect("a query");
            let over = range(&expr, start_ms, times[24], step_ms, &store, &Limits::default()).expect("a value");
            let Value::Matrix(series) = &over.value else { panic!("a matrix") };
            let mut found: Vec<(Labels, i64, u64)> = series
                .iter()
                .flat_map(|s| s.samples.iter().map(|(at, value)| (Labels::clone(&s.labels), *at, value.to_bits())))
                .collect();
            found.sort();
            let alone = at_each_step(query, &store, &times).expect("values");
            prop_assert_eq!(&found, &alone, "{}", query);
        }
    }
}

/// Notes what is asked of it.
#[derive(Default)]
struct Noted {
    asked: RefCell<Vec<(i64, i64)>>,
    samples: MemorySamples,
}

impl Samples for Noted {
    fn select(&self, matchers: &[Matcher], min_ms: i64, max_ms: i64) -> Result<Vec<Series>, SourceError> {
        self.asked.borrow_mut().push((min_ms, max_ms));
        self.samples.select(matchers, min_ms, max_ms)
    }
}

#[test]
fn every_selector_is_fetched_once_and_no_wider_than_needed() {
    let source = Noted::default();
    let expr =
        parse("rate(x[5m]) + on () y offset 1m + max_over_time(rate(z[2m])[10m:1m])").expect("a query");
    range(&expr, 1_000_000, 4_000_000, 10_000, &source, &Limits::default()).expect("a value");
    let asked = source.asked.into_inner();
    assert_eq!(
        asked,
        [(700_000, 4_000_000), (640_000, 3_940_000), (300_000, 4_000_000)]
    );
}

#[test]
fn limits_hold() {
    let labels: Arc<Labels> = Arc::new([("__name__", "x")].into_iter().collect());
    let mut store = MemorySamples::new();
    for second in 0..1000 {
        store.append(&labels, second * 1000, 1.0);
    }
    let expr = parse("stddev_over_time(x[20m])").expect("a query");
    let at = |limits: &Limits<'_>| instant(&expr, 999_000, &store, limits).map(|outcome| outcome.value);
    assert!(
        at(&Limits {
            max_samples: 1000,
            ..Limits::default()
        })
        .is_ok()
    );
    let limits = Limits {
        max_samples: 999,
        ..Limits::default()
    };
    assert_eq!(at(&limits), Err(QueryError::TooManySamples { limit: 999 }));
    let asked = Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let limits = Limits {
        cancelled: &cancelled,
        ..Limits::default()
    };
    assert_eq!(
        range(&expr, 0, 999_000, 1000, &store, &limits).map(|_| ()),
        Err(QueryError::Cancelled)
    );
    assert_eq!(asked.get(), 4);
    let bad = |start, end, step| {
        matches!(
            range(&expr, start, end, step, &store, &Limits::default()),
            Err(QueryError::BadRange(_))
        )
    };
    assert!(bad(0, 10, 0) && bad(10, 0, 1) && bad(0, 11_000, 1) && !bad(0, 10_999, 1));
}

#[test]
fn extreme_times_are_refused_or_evaluated() {
    let store = store(&[Some(1); 20]);
    for query in [
        "x @ 9e12",
        "x @ -9e12",
        "rate(x[280000y])",
        "x offset 280000y",
        "x offset -280000y",
        "deriv(x[280000y] @ 9e12)",
        "max_over_time(x[280000y:100000y])",
        "predict_linear(x[1h] @ -9e12, 1e300)",
        "year(x * 1e300)",
    ] {
        for at_ms in [0, 9_000_000_000_000_000, -9_000_000_000_000_000] {
            let expr = parse(query).expect("a query");
            instant(&expr, at_ms, &store, &Limits::default())
                .unwrap_or_else(|error| panic!("{query}: {error}"));
        }
    }
    for query in ["x @ 1e16", "x @ Inf", "x[300000000y]", "x offset 1e20"] {
        assert!(parse(query).is_err(), "{query}");
    }
    let expr = parse("x").expect("a query");
    assert!(instant(&expr, i64::MAX, &store, &Limits::default()).is_err());
    assert!(range(&expr, i64::MIN, 0, 1, &store, &Limits::default()).is_err());
    // Empty steps count against the limit too.
    let endless = parse("count_over_time(nothing[100y:1ms])").expect("a query");
    let result = instant(
        &endless,
        0,
        &store,
        &Limits {
            max_samples: 10_000,
            ..Limits::default()
        },
    );
    assert_eq!(
        result.map(|_| ()),
        Err(QueryError::TooManySamples { limit: 10_000 })
    );
}

#[test]
fn lookback_is_left_open() {
    let labels: Arc<Labels> = Arc::new([("__name__", "x")].into_iter().collect());
    let mut store = MemorySamples::new();
    store.append(&labels, 0, 1.0);
    let expr = parse("x").expect("a query");
    let count = |at_ms| match instant(&expr, at_ms, &store, &Limits::default())
        .expect("a value")
        .value
    {
        Value::Vector(samples) => samples.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((count(299_999), count(300_000)), (1, 0));
}
