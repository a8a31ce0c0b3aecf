//! `mainstay import pagerduty|opsgenie|goalert|grafana-oncall`: the documents, what is lost, and who is on call in the next
//! 90 days by both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_adopt::compare::{Compared, Difference, compare};
use mainstay_adopt::{Moved, System, Written, read, written};
use mainstay_catalog::Catalog;
use mainstay_kernel::{Clock as _, PersonId};

use super::files;
use crate::check::{self, counted};
use crate::clock::SystemClock;
use crate::exit::Exit;

/// So many differences are shown of a schedule.
const SHOWN: usize = 50;

/// Reads the files, writes the catalog's, reads those back and compares.
pub(super) fn run(system: System, paths: &[PathBuf], output: Option<&Path>, at: Option<Timestamp>) -> Exit {
    let Some(directory) = output else {
        anstream::eprintln!(
            "mainstay import: name the catalog's directory with -o: what is written is read back from there"
        );
        return Exit::Usage;
    };
    let mut texts = Vec::new();
    for path in paths {
        match std::fs::read_to_string(path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => {
                anstream::eprintln!("mainstay import: {}: {error}", path.display());
                return Exit::Failure;
            }
        }
    }
    let there = directory.exists().then(|| Catalog::check(directory).0);
    let now = at.unwrap_or_else(|| SystemClock.now());
    let moved = match read(system, &texts, &known(there.as_ref()), now) {
        Ok(moved) => moved,
        Err(error) => {
            anstream::eprintln!("mainstay import: {error}");
            return Exit::Problems;
        }
    };
    let kind = |kind: &str| {
        let catalog = there.as_ref();
        catalog.is_some_and(|catalog| catalog.documents.of_kind(kind).next().is_some())
    };
    let has = Written {
        platform: kind("Platform"),
        channels: kind("Channels"),
        routing: kind("Routing")
            || there
                .as_ref()
                .is_some_and(|catalog| catalog.response.alertmanager.is_some()),
    };
    let made = written(&moved, system, has);
    if let Err(error) = files::make(directory, &made) {
        anstream::eprintln!("mainstay import: {error}");
        return Exit::Failure;
    }
    let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    anstream::eprintln!("written to {}: {}", directory.display(), names.join(", "));
    if !moved.losses.is_empty() {
        anstream::eprintln!("not carried over as it was:");
    }
    for loss in &moved.losses {
        anstream::eprintln!("{loss}");
    }
    let (catalog, findings) = check::examine(directory);
    anstream::eprint!("{}", findings.render(check::root(directory), true));
    let said = say(&moved, &catalog, now);
    // What was written; who and what was there before is not new.
    let people = moved.people.iter().filter(|person| !person.known).count();
    let rotas = moved.schedules.iter().map(|one| one.rotas.len()).sum();
    let compared = match moved.schedules.len() {
        0 => "no schedule to compare".to_owned(),
        all if said.compared == 0 => format!("{} not compared", counted(all, "schedule")),
        all => format!(
            "{} from {} until {}, {} of {} compared",
            counted(said.differing, "difference"),
            now.strftime("%Y-%m-%d"),
            said.until.strftime("%Y-%m-%d"),
            said.compared,
            counted(all, "schedule")
        ),
    };
    anstream::eprintln!(
        "{}, {}, {}; {} to look at; {compared}",
        counted(people, "person").replace("persons", "people"),
        counted(rotas, "rota"),
        counted(moved.policies.len(), "policy").replace("policys", "policies"),
        counted(moved.losses.len(), "thing"),
    );
    if findings.has_errors() || said.differing > 0 {
        Exit::Problems
    } else {
        Exit::Ok
    }
}

/// What was compared.
struct Said {
    /// So many schedules.
    compared: usize,
    /// Up to when, of the one that was compared longest: an export may render less than 90 days.
    until: Timestamp,
    /// So much differs in them.
    differing: usize,
}

/// The people whom the catalog has, by their address.
fn known(catalog: Option<&Catalog>) -> BTreeMap<String, PersonId> {
    let people = catalog.into_iter().flat_map(|catalog| &catalog.platform.people);
    people
        .filter_map(|(id, person)| Some((person.contacts.email.as_ref()?.to_lowercase(), id.clone())))
        .collect()
}

/// Says what differs, and what is to be done on the server.
fn say(moved: &Moved, catalog: &Catalog, now: Timestamp) -> Said {
    let mut said = Said {
        compared: 0,
        until: now,
        differing: 0,
    };
    for schedule in &moved.schedules {
        let title = &schedule.title;
        match compare(moved, schedule, &catalog.response.rotas, now) {
            Compared::NotRendered => anstream::println!(
                "{title}: not compared: no file has the schedule that the system itself renders for the next 90 days"
            ),
            Compared::Past => anstream::println!(
                "{title}: not compared: the schedule that the system rendered ends before {}; export it anew",
                now.strftime("%Y-%m-%d")
            ),
            Compared::Over {
                from,
                until,
                differences,
            } => {
                anstream::println!(
                    "{title}: {} from {from} until {until}",
                    counted(differences.len(), "difference")
                );
                for one in differences.iter().take(SHOWN) {
                    anstream::println!("{}", line(one));
                }
                if let Some(more) = differences.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                    anstream::println!("  and {more} more");
                }
                said.compared += 1;
                said.until = said.until.max(until);
                said.differing += differences.len();
            }
        }
    }
    if !moved.overrides.is_empty() {
        anstream::println!("Overrides are made on the running server:");
    }
    for one in &moved.overrides {
        anstream::println!(
            "  mainstay oncall override --rota {} --person {} --from {} --until {}",
            one.rota,
            one.person,
            one.from,
            one.until
        );
    }
    said
}

fn line(one: &Difference) -> String {
    let names = |people: &BTreeSet<String>| match people.is_empty() {
        true => "nobody".to_owned(),
        false => people.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    format!(
        "  {} .. {}  there: {}  here: {}",
        one.from,
        one.until,
        names(&one.theirs),
        names(&one.ours)
    )
}
