//! Queries, and what is wrong with some of them.

use serde_json::Value;

use super::{Pair, STEP_S, any_words, exactly, in_any_order};

/// Version 3 computes rates in another order of multiplications, so that their last digits differ.
fn to_the_last_digits(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(to_the_last_digits),
        Value::Object(fields) => fields.values_mut().for_each(to_the_last_digits),
        Value::String(text) => {
            if let Ok(value) = text.parse::<f64>() {
                *text = format!("{value:.12e}");
            }
        }
        _ => {}
    }
}

/// Version 2.42 begins some failures with a capital.
fn lower_case(json: &mut Value) {
    if let Some(Value::String(error)) = json.get_mut("error") {
        *error = error.to_lowercase();
    }
}

#[test]
fn queries_are_answered_as_by_prometheus() {
    let Some(pair) = Pair::start() else { return };
    // Off the grid of samples: version 2.42 counts a sample at the left end of a window in, as version 3 does not.
    let at = |step: i64| (pair.base_s + step * STEP_S + 7).to_string();
    let (now, early, late) = (at(230), at(20), at(150));
    for (query, mend) in [
        ("1+1", exactly as fn(&mut Value)),
        ("1e21", exactly),
        ("1.5e-7", exactly),
        ("667082108456853.25", exactly),
        ("-1/0", exactly),
        ("\"te<x>t\\n\"", exactly),
        ("http_requests_total", in_any_order),
        ("odd", in_any_order),
        ("-odd", in_any_order),
        ("temperature", exactly),
        ("nothing_like_this", exactly),
        ("temperature[61s]", exactly),
        ("http_requests_total{status!~\"5..\"}[2m:30s]", in_any_order),
        ("sum(rate(http_requests_total[5m]))", to_the_last_digits),
        ("sum by (cell) (increase(http_requests_total[30m]))", in_any_order),
        ("sort_desc(sum by (cell) (http_requests_total))", exactly),
        ("topk(2, http_requests_total)", exactly),
        ("count_values(\"value\", odd)", in_any_order),
        (
            "histogram_quantile(0.95, rate(latency_seconds_bucket[10m]))",
            exactly,
        ),
        ("quantile_over_time(0.5, temperature[10m])", exactly),
        (
            "label_replace(temperature, \"x\", \"$1\", \"room\", \"(.)(.|\n)*\")",
            exactly,
        ),
        ("http_requests_total offset 30m", in_any_order),
        ("time() - timestamp(temperature)", exactly),
        ("absent(nothing_like_this{a=\"b\"})", exactly),
        ("sum(", any_words),
        ("", any_words),
        ("rate(temperature)", any_words),
        ("http_requests_total / on (job) http_requests_total", any_words),
    ] {
        for by_form in [false, true] {
            pair.same(
                "/api/v1/query",
                &[("query", query), ("time", &now)],
                by_form,
                mend,
            );
        }
    }
    for (query, mend) in [
        ("1", exactly as fn(&mut Value)),
        ("temperature", exactly),
        ("odd", exactly),
        ("rate(http_requests_total[5m])", to_the_last_digits),
        (
            "sum by (status) (rate(http_requests_total[1m]))",
            to_the_last_digits,
        ),
        ("max_over_time(temperature[5m:1m])", exactly),
        ("temperature > 0.5", exactly),
        ("nothing_like_this", exactly),
        ("temperature[5m]", any_words),
        ("\"text\"", any_words),
    ] {
        for step in ["60", "1m30s", "15.5"] {
            let parameters = [
                ("query", query),
                ("start", &early),
                ("end", &late),
                ("step", step),
            ];
            pair.same("/api/v1/query_range", &parameters, step == "60", mend);
        }
    }
}

#[test]
fn wrong_parameters_are_refused_in_the_words_of_prometheus() {
    let Some(pair) = Pair::start() else { return };
    let query = ("query", "up");
    let range = |start, end, step| [query, ("start", start), ("end", end), ("step", step)];
    for parameters in [
        range("", "1", "1"),
        range("0", "tomorrow", "1"),
        range("0", "1", ""),
        range("0", "1", "0"),
        range("0", "1", "-5s"),
        range("0", "1", "-5"),
        range("0", "1", "1h1h"),
        range("0", "1", "1e100"),
        range("2", "1", "1"),
        range("0", "11001", "1"),
        range("0", "11000", "1"),
        range("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "1m"),
        range("NaN", "1", "1m"),
    ] {
        // Go takes NaN for the year 1970 minus 292 million: no answer can be the same.
        if parameters[1].1 != "NaN" {
            pair.same("/api/v1/query_range", &parameters, false, exactly);
        }
    }
    for parameters in [
        [query, ("time", "noon")],
        [query, ("timeout", "soon")],
        [query, ("time", "1e10")],
        [query, ("time", "2026-11-24T10:00:00.123Z")],
    ] {
        pair.same("/api/v1/query", &parameters, true, lower_case);
    }
    pair.same("/api/v1/series", &[], false, exactly);
    pair.same(
        "/api/v1/series",
        &[("match[]", "up"), ("start", "a")],
        false,
        lower_case,
    );
    pair.same("/api/v1/labels", &[("end", "b")], true, lower_case);
    // What selects everything is refused; the parser says it in other words.
    pair.same("/api/v1/series", &[("match[]", "{}")], false, any_words);
    pair.same(
        "/api/v1/labels",
        &[("match[]", "{job=~\".*\"}")],
        false,
        any_words,
    );
    pair.same("/api/v1/rules", &[("type", "both")], false, exactly);
}
