//! Samples from files, sent to a server and found there.

use std::io::Write as _;
use std::process::Stdio;

use jiff::Timestamp;

use crate::harness::{Server, encoded, http, quiet_catalog};
use crate::{mainstay, told};

fn asked(server: &Server, query: &str, time_s: i64) -> String {
    let form = encoded(&[("query", query), ("time", &time_s.to_string())]);
    http(&server.address, "/api/v1/query", Some(&form), "").body
}

#[test]
fn files_of_samples_are_imported_and_found_again() {
    let catalog = quiet_catalog();
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let then_s = Timestamp::now().as_second() - 86_400;

    // More than one batch, of two series.
    let mut text = String::from("# TYPE imported_rows counter\n");
    for row in 0..4_000 {
        for half in ["a", "b"] {
            let t_s = then_s + row;
            text.push_str(&format!("imported_rows_total{{half=\"{half}\"}} {row} {t_s}\n"));
        }
    }
    text.push_str("# EOF\n");
    let rows = write("rows.om", &text);
    let csv = write(
        "hall.csv",
        &format!("timestamp,value,__name__,place\n{then_s},27.5,temperature,\"hall, north\"\n"),
    );
    let imported = server.json(&["metrics", "import", &rows, &csv]);
    assert_eq!(imported[0]["taken"], 8_000, "{imported}");
    assert_eq!(imported[0]["lines"], 8_002, "{imported}");
    assert_eq!(imported[1]["taken"], 1, "{imported}");
    let counted = asked(
        &server,
        "sum(count_over_time(imported_rows_total[2h]))",
        then_s + 4_000,
    );
    assert!(counted.contains("\"8000\""), "{counted}");
    let hall = asked(&server, "temperature{place=\"hall, north\"}", then_s + 1);
    assert!(hall.contains("\"27.5\""), "{hall}");

    // The same again changes nothing and is no mistake.
    let again = server.json(&["metrics", "import", &rows, &csv]);
    assert_eq!(
        (&again[0]["taken"], &again[1]["taken"]),
        (&8_000.into(), &1.into()),
        "{again}"
    );
    let query = "sum(count_over_time(imported_rows_total[2h]))";
    assert_eq!(asked(&server, query, then_s + 4_000), counted);

    // What is too large for one request goes in several: 1,500 labels of 8 kB that no packing makes small.
    let mut noise = 1u64;
    let mut long = String::from("timestamp,value,__name__,number,noise\n");
    for number in 0..1_500 {
        long.push_str(&format!("{then_s},1,wide,{number},"));
        for _ in 0..500 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            long.push_str(&format!("{noise:016x}"));
        }
        long.push('\n');
    }
    let wide = write("wide.csv", &long);
    assert_eq!(server.json(&["metrics", "import", &wide])[0]["taken"], 1_500);
    let wide = asked(&server, "count(wide)", then_s + 1);
    assert!(wide.contains("\"1500\""), "{wide}");

    // What is older than retention is refused, and the rest is taken.
    let old = write(
        "old.csv",
        &format!("timestamp,value,__name__\n1000000000,1,aged\n{then_s},2,aged\n"),
    );
    let output = server.ask(&["metrics", "import", &old, "-o", "json"]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("\"taken\": 1") && said.contains("\"refused\": 1"),
        "{said}"
    );
    assert!(said.contains("older than its retention"), "{said}");

    // A mistake is named with its place.
    let wrong = write("wrong.om", "good 1 1700000000\nbad{ 2 3\n# EOF\n");
    let output = server.ask(&["metrics", "import", &wrong]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("wrong.om:2:"), "{said}");
}

#[test]
fn standard_input_is_imported_too_and_nobody_at_home_is_said() {
    let catalog = quiet_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    let then_s = Timestamp::now().as_second() - 60;
    let import = |address: &str| {
        let mut child = mainstay(&["metrics", "import", "-", "--format", "csv"])
            .env("MAINSTAY_SERVER", address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        write!(stdin, "__name__,timestamp,value\nfrom_stdin,{then_s},4\n").expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    };
    let output = import(&server.address);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let found = asked(&server, "from_stdin", then_s);
    assert!(found.contains("\"4\""), "{found}");
    let output = import("http://127.0.0.1:9");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("does not answer"), "{}", told(&output));
}
