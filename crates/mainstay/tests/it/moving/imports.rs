//! Exports of other on-call systems in the hands of a user: what is written can be used, what is lost is said with its
//! place, and who is on call is compared.

use std::path::{Path, PathBuf};

use crate::{run, told};

/// The instant from which on the exports were rendered.
const AT: &str = "2026-03-01T00:00:00Z";

fn fixtures(system: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mainstay-adopt/tests/fixtures");
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut files: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|file| {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            system.starts_with(name.split(['-', '.']).next().unwrap_or_default())
        })
        .collect();
    files.sort();
    files
}

/// PagerDuty's export, copied to a directory with other shifts in its schedule.
fn with_shifts(directory: &Path, change: impl Fn(&mut Vec<serde_json::Value>)) -> Vec<PathBuf> {
    let changed = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("readable");
        let mut document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let shifts = document.pointer_mut("/schedule/final_schedule/rendered_schedule_entries");
        if let Some(serde_json::Value::Array(shifts)) = shifts {
            change(shifts);
        }
        let copy = directory.join(file.file_name().expect("a name"));
        std::fs::write(&copy, document.to_string()).expect("written");
        copy
    };
    fixtures("pagerduty").into_iter().map(changed).collect()
}

/// `mainstay import` of an export into a directory: its exit code, what it printed, and what it said besides.
fn imported(system: &str, files: &[PathBuf], into: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let files = files.iter().map(|file| file.to_str().expect("text"));
    let into = into.to_str().expect("text");
    let arguments: Vec<&str> = ["import", system]
        .into_iter()
        .chain(files)
        .chain(["-o", into])
        .chain(more.iter().copied())
        .collect();
    let output = run(&arguments);
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // Whoever runs the tests keeps the files elsewhere.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mainstay-adopt/tests/fixtures/");
        text.replace(folder.to_str().expect("text"), "")
            .replace(into, "DIR")
    };
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_export_becomes_a_catalog_that_passes_and_says_what_is_lost_and_who_differs() {
    let directory = tempfile::tempdir().expect("a directory");
    for system in ["pagerduty", "opsgenie", "goalert", "grafana-oncall"] {
        let files = fixtures(system);
        assert!(!files.is_empty());
        let into = directory.path().join(system);
        let (code, printed, said) = imported(system, &files, &into, &["--at", AT]);
        assert_eq!(code, Some(0), "{printed}{said}");
        let name = system.replace('-', "_");
        insta::assert_snapshot!(format!("import_{name}"), format!("{printed}---\n{said}"));
        let checked = told(&run(&["check", into.to_str().expect("text")]));
        assert!(checked.starts_with("exit code: 0"), "{checked}");
        assert!(checked.contains("0 errors and 0 warnings"), "{checked}");
        // Who is on call is answered from it, and nothing is replaced.
        let (code, _, again) = imported(system, &files, &into, &["--at", AT]);
        assert_eq!(code, Some(1), "{again}");
        assert!(again.contains("is there already: nothing was written"), "{again}");
    }
}

#[test]
fn a_shift_that_is_somebody_elses_there_is_a_difference_with_its_interval() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = with_shifts(directory.path(), |shifts| {
        let mut users = shifts.iter().map(|shift| shift["user"].clone());
        let other = users.find(|user| *user != shifts[3]["user"]);
        shifts[3]["user"] = other.expect("another");
    });
    let (code, printed, said) = imported("pagerduty", &files, &directory.path().join("made"), &["--at", AT]);
    assert_eq!(code, Some(3), "{printed}{said}");
    assert!(
        printed.contains("1 difference from") && printed.contains("there: "),
        "{printed}"
    );
    assert!(
        said.contains("1 difference from 2026-03-01 until 2026-05-30, 1 of 1 schedule compared"),
        "{said}"
    );
    // An export of long ago says nothing of today, and that is said.
    let (code, printed, said) = imported(
        "pagerduty",
        &files,
        &directory.path().join("late"),
        &["--at", "2030-01-01T00:00:00Z"],
    );
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(
        printed.contains("export it anew") && said.contains("1 schedule not compared"),
        "{printed}{said}"
    );
}

/// What an import says is of what it wrote, and of the time that it compared.
#[test]
fn an_import_counts_its_own_and_compares_what_was_rendered() {
    let directory = tempfile::tempdir().expect("a directory");
    let into = directory.path().join("made");
    let opsgenie = fixtures("opsgenie");
    let (_, _, alone) = imported(
        "opsgenie",
        &opsgenie,
        &directory.path().join("alone"),
        &["--at", AT],
    );
    let files = with_shifts(directory.path(), |shifts| shifts.truncate(1));
    let (_, printed, said) = imported("pagerduty", &files, &into, &["--at", AT]);
    let (_, until) = printed.trim_end().rsplit_once(" until ").expect("a time");
    let (day, _) = until.split_once('T').expect("an instant");
    assert!(day < "2026-03-15", "{printed}");
    assert!(said.contains(&format!("from 2026-03-01 until {day}, ")), "{said}");

    let (_, _, second) = imported("opsgenie", &opsgenie, &into, &["--at", AT]);
    let rotas = |said: &str| {
        let words: Vec<String> = said.split(", ").map(str::to_owned).collect();
        words.into_iter().find(|word| word.contains(" rota"))
    };
    assert!(rotas(&alone).is_some(), "{alone}");
    assert_eq!(rotas(&second), rotas(&alone), "{second}");
}

#[test]
fn what_is_no_export_is_refused_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("odd.json");
    for (text, code) in [("{\"this\": 1}", Some(3)), ("no JSON", Some(3))] {
        std::fs::write(&file, text).expect("written");
        let (exit, printed, said) = imported(
            "pagerduty",
            std::slice::from_ref(&file),
            &directory.path().join("made"),
            &[],
        );
        assert_eq!((exit, printed.as_str()), (code, ""), "{text}: {said}");
        assert!(said.contains("odd.json"), "{said}");
        assert!(!directory.path().join("made").exists());
    }
    let nowhere = run(&["import", "opsgenie", file.to_str().expect("text")]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", told(&nowhere));
}
