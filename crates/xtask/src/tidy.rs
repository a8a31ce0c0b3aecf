//! The house rules, as pure checks over the workspace: each takes what it looks at and returns findings.
//!
//! An exception is a line in [`exceptions`] with its reason. One that no longer excuses anything is an error too, so the
//! list only shrinks.

mod exceptions;
mod files;
mod law;
mod manifest;
mod paths;
mod workspace;

use std::process::ExitCode;

use exceptions::Exception;
use workspace::Workspace;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The rule's name, as exceptions give it.
    rule: &'static str,
    /// What broke it: a file, or `crate -> crate`.
    subject: String,
    /// What is wrong and how to mend it.
    detail: String,
}

impl Finding {
    fn new(rule: &'static str, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            rule,
            subject: subject.into(),
            detail: detail.into(),
        }
    }
}

/// Runs every check over the workspace that holds this crate and prints what is wrong.
pub(crate) fn run() -> ExitCode {
    let workspace = match workspace::load() {
        Ok(workspace) => workspace,
        Err(reason) => {
            eprintln!("tidy: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let findings = excuse(check(&workspace), exceptions::EXCEPTIONS);
    for finding in &findings {
        eprintln!("tidy: [{}] {}: {}", finding.rule, finding.subject, finding.detail);
    }
    if findings.is_empty() {
        println!(
            "tidy: {} crates, {} files, no findings",
            workspace.members.len(),
            workspace.files.len()
        );
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} findings", findings.len());
        ExitCode::FAILURE
    }
}

/// Every finding of every rule, in order.
fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = law::dependencies(&workspace.members);
    for member in &workspace.members {
        findings.extend(law::place(member));
        findings.extend(manifest::features(&member.manifest_path, &member.manifest));
    }
    for file in &workspace.files {
        findings.extend(files::length(file));
        findings.extend(files::name(file));
        findings.extend(files::words(file));
        if let Some(member) = workspace.owner(file) {
            findings.extend(law::sources(member, file));
        }
    }
    findings.sort();
    findings
}

/// Takes away what is excused, and adds a finding for every exception that excuses nothing.
fn excuse(findings: Vec<Finding>, exceptions: &[Exception]) -> Vec<Finding> {
    let covers = |exception: &Exception, finding: &Finding| {
        exception.rule == finding.rule && exception.subject == finding.subject
    };
    let stale = exceptions
        .iter()
        .filter(|exception| !findings.iter().any(|finding| covers(exception, finding)))
        .map(|exception| {
            let subject = format!("{} {}", exception.rule, exception.subject);
            Finding::new(
                "stale-exception",
                subject,
                "excuses nothing any more: delete it from exceptions.rs",
            )
        })
        .collect::<Vec<_>>();
    findings
        .iter()
        .filter(|finding| !exceptions.iter().any(|exception| covers(exception, finding)))
        .cloned()
        .chain(stale)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(subject: &'static str) -> Exception {
        Exception {
            rule: "length",
            subject,
            reason: "a test",
        }
    }

    #[test]
    fn an_exception_excuses_its_finding_only() {
        let findings = vec![
            Finding::new("length", "a.rs", "long"),
            Finding::new("length", "b.rs", "long"),
        ];
        let left = excuse(findings, &[exception("a.rs")]);
        assert_eq!(left, vec![Finding::new("length", "b.rs", "long")]);
    }

    #[test]
    fn an_exception_that_excuses_nothing_is_a_finding() {
        let left = excuse(Vec::new(), &[exception("gone.rs")]);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].rule, "stale-exception");
        assert_eq!(left[0].subject, "length gone.rs");
    }
}
