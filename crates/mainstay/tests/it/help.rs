//! The help of every command.

use crate::{mainstay, run};

/// Commands that other parts of the program own: their options are described, and change with these parts.
const ELSEWHERE: [&str; 3] = ["serve", "demo", "payd"];

fn help(path: &[&str]) -> String {
    let arguments: Vec<&str> = path.iter().copied().chain(["-h"]).collect();
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{path:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = lines.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_says_what_it_does() {
    let mut all = String::new();
    let mut todo: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = todo.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let text = help(&words);
        assert!(!text.starts_with("Usage"), "{path:?} is described: {text}");
        let owned = !words.first().is_some_and(|first| ELSEWHERE.contains(first));
        if owned && !words.is_empty() {
            all.push_str(&format!("$ mainstay {} -h\n{text}\n", words.join(" ")));
        }
        let mut below: Vec<Vec<String>> = commands(&text)
            .into_iter()
            .filter(|_| owned)
            .map(|name| path.iter().cloned().chain([name]).collect())
            .collect();
        below.reverse();
        todo.extend(below);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_not_understood_ends_with_exit_code_2() {
    for arguments in [
        &["frobnicate"][..],
        &["check"],
        &["incident", "show"],
        &["query", "up", "--range", "soon"],
        &["serve", "--catalog", "c", "--metrics-max-series", "0"],
        &["serve", "--catalog", "c", "--metrics-max-tenant-series", "0"],
    ] {
        let output = mainstay(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            output.stdout.is_empty(),
            "{arguments:?} says so on standard error"
        );
    }
}
