//! Files of samples.

use std::io::BufReader;

use mainstay_ingest::import::{Import, ImportFormat};
use proptest::prelude::*;

/// A line per sample, a bar after each batch, and the error that ended it.
fn lines(text: &[u8], format: ImportFormat) -> Vec<String> {
    let mut lines = Vec::new();
    // A small buffer, so that lines do not lie in it whole.
    for batch in Import::new(BufReader::with_capacity(7, text), format, 2) {
        match batch {
            Ok(batch) => {
                for sample in batch {
                    let value = if sample.value.is_stale() {
                        "stale".to_owned()
                    } else {
                        sample.value.to_string()
                    };
                    let exemplars: Vec<String> = sample
                        .exemplars
                        .iter()
                        .map(|e| format!(" # {} {}", e.labels, e.value))
                        .collect();
                    lines.push(format!(
                        "{} {value} @{}{}",
                        sample.labels,
                        sample.t_ms,
                        exemplars.concat()
                    ));
                }
                lines.push("|".to_owned());
            }
            Err(error) => lines.push(error.to_string()),
        }
    }
    lines
}

#[test]
fn openmetrics_with_times_in_any_order() {
    let text = "# HELP a_seconds Text\n# TYPE a_seconds counter\na_seconds_total{x=\"1\",b=\"é\\n\"} 1 1.5\n\
        a_seconds_total{x=\"2\"} 2 1.5\na_seconds_total{x=\"1\",b=\"é\\n\"} 3 0.5 # {trace_id=\"t\"} 1\n\
        a_seconds_created{x=\"1\"} 1 2\nb NaN -1\n# EOF\n";
    assert_eq!(
        lines(text.as_bytes(), ImportFormat::OpenMetrics),
        [
            "a_seconds_total{b=\"é\\n\", x=\"1\"} 1 @1500",
            "a_seconds_total{x=\"2\"} 2 @1500",
            "|",
            "a_seconds_total{b=\"é\\n\", x=\"1\"} 3 @500 # {trace_id=\"t\"} 1",
            "a_seconds_created{x=\"1\"} 1 @2000",
            "|",
            "b NaN @-1000",
            "|",
        ]
    );
    assert_eq!(lines(b"# EOF", ImportFormat::OpenMetrics), [""; 0]);
}

#[test]
fn openmetrics_that_is_wrong_says_where_after_what_was_right() {
    for (text, expected) in [
        (
            "a 1 1\na 2\n# EOF\n",
            vec![
                "a 1 @1000",
                "|",
                "2:4: expected a timestamp: without one a sample cannot be imported",
            ],
        ),
        (
            "a 1 1\na 2 2\na 3 3\n",
            vec![
                "a 1 @1000",
                "a 2 @2000",
                "|",
                "a 3 @3000",
                "|",
                "4:1: expected # EOF at the end: the file may have been cut short",
            ],
        ),
        (
            "a 1 1\n# EOF\na 2 2\n",
            vec!["a 1 @1000", "|", "3:1: expected nothing after # EOF"],
        ),
        (
            "a 1 x\n# EOF\n",
            vec!["1:5: expected the timestamp, a number, not \"x\""],
        ),
        (
            "",
            vec!["1:1: expected # EOF at the end: the file may have been cut short"],
        ),
    ] {
        assert_eq!(
            lines(text.as_bytes(), ImportFormat::OpenMetrics),
            expected,
            "{text}"
        );
    }
    assert_eq!(
        lines(b"a 1 1\nb\xff 1 1\n", ImportFormat::OpenMetrics),
        ["a 1 @1000", "|", "2:2: not UTF-8"]
    );
    let long = [b"a{x=\"".as_slice(), &[b'y'; 2 << 20], b"\"} 1 1\n# EOF\n"].concat();
    assert_eq!(
        lines(&long, ImportFormat::OpenMetrics),
        ["1:1: a record has more than 1048576 bytes"]
    );
}

#[test]
fn csv_as_documented() {
    let text = "timestamp,value,__name__,job,instance\r\n1700000000,1,up,gateway,10.0.0.1:9100\r\n\
        2023-11-14T22:13:20.5Z,27.5,temperature,\"hall, \"\"north\"\"\nside\",\n\n1.5,stale,up,,\n-2,+Inf,up,,\n";
    assert_eq!(
        lines(text.as_bytes(), ImportFormat::Csv),
        [
            r#"up{instance="10.0.0.1:9100", job="gateway"} 1 @1700000000000"#,
            r#"temperature{job="hall, \"north\"\nside"} 27.5 @1700000000500"#,
            "|",
            "up stale @1500",
            "up inf @-2000",
            "|",
        ]
    );
    let names = "\u{feff}__name__,value,timestamp\n";
    assert_eq!(
        lines(format!("{names}a,1,2").as_bytes(), ImportFormat::Csv),
        ["a 1 @2000", "|"]
    );
    assert_eq!(lines(names.as_bytes(), ImportFormat::Csv), [""; 0]);
}

#[test]
fn csv_that_is_wrong_says_where() {
    let names = "timestamp,value,__name__,é\n";
    for (rows, expected) in [
        (
            "x,1,a,\n",
            "2:1: expected a number of seconds or a time (RFC 3339), not \"x\"",
        ),
        ("1,x,a,\n", "2:3: expected a number or stale, not \"x\""),
        ("1,2,,\n", "2:1: a sample has no name"),
        (
            "1,2,a\n",
            "2:1: expected 4 cells, as many as there are columns, not 3",
        ),
        ("1,2,a,\"é\"x\n", "2:10: expected a comma after a closing quote"),
        (
            "1,2,a,\"x\n",
            "2:7: expected a closing quote before the end of the file",
        ),
        (
            "1,2,a\"\",x\n",
            "2:5: a quote within a cell that does not begin with one",
        ),
    ] {
        assert_eq!(
            lines(format!("{names}{rows}").as_bytes(), ImportFormat::Csv),
            [expected],
            "{rows}"
        );
    }
    for (text, expected) in [
        ("", "1:1: expected a line that names the columns"),
        ("timestamp,value\n", "1:1: there is no column __name__"),
        ("value,__name__,value\n", "1:16: the column value stands twice"),
        ("timestamp,,value\n", "1:11: a column has no name"),
    ] {
        assert_eq!(lines(text.as_bytes(), ImportFormat::Csv), [expected], "{text}");
    }
}

proptest! {
    #[test]
    fn noise_never_panics(text in "[a-c0-9,\"#{}=. \n\r\\\\EOFé_]{0,80}", bytes in proptest::collection::vec(0u8.., 0..60)) {
        for format in [ImportFormat::OpenMetrics, ImportFormat::Csv] {
            lines(text.as_bytes(), format);
            lines(&bytes, format);
            lines(format!("timestamp,value,__name__,a\n{text}").as_bytes(), format);
        }
    }
}
