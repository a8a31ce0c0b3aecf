//! From documents to the model: names unique, references resolved, no circle of hard dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use mainstay_kernel::{RegionId, ServiceId, ZoneId};
use serde::de::DeserializeOwned;

use super::{
    Broker, Cell, Database, External, Person, Platform, PlatformSpec, Region, Service, Team, Tenant,
};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::documents::Documents;
use crate::envelope::{Sourced, by_name, values};
use crate::lint;
use crate::spanned::Spanned;

impl Platform {
    /// Builds the model. Whatever is wrong is reported; what is right is in the model all the same, so that one mistake
    /// does not hide the next.
    #[must_use]
    pub fn build(documents: &Documents, diagnostics: &mut Diagnostics) -> Self {
        let specs = documents.specs::<PlatformSpec>("Platform", diagnostics);
        let mut platform = head(&specs, diagnostics);
        if documents.of_kind("Platform").next().is_none() {
            let message = "the catalog has no document of kind Platform";
            diagnostics.push(
                Diagnostic::whole_file(lint::MISSING_DOCUMENT, "platform.yaml", message)
                    .help("add one: it names the platform, its time zone and its availability tiers"),
            );
        }

        let d = diagnostics;
        platform.regions = values(items(documents, "Regions", "region", |r: &Region| &r.id, d));
        let cells = items(documents, "Cells", "cell", |c: &Cell| &c.id, d);
        let tenants = items(documents, "Tenants", "tenant", |t: &Tenant| &t.id, d);
        let teams = items(documents, "Teams", "team", |t: &Team| &t.id, d);
        let people = items(documents, "People", "person", |p: &Person| &p.id, d);
        let services = items(documents, "Services", "service", |s: &Service| &s.id, d);
        let databases = items(documents, "Databases", "database", |b: &Database| &b.id, d);
        platform.brokers = values(items(documents, "Brokers", "broker", |b: &Broker| &b.id, d));
        platform.externals = values(items(documents, "Externals", "external", |e: &External| &e.id, d));
        platform.calendars = values(by_name("calendar", documents.specs("Calendar", d), d));

        for cell in cells.values() {
            check_cell(cell, &platform.regions, d);
        }
        for tenant in tenants.values() {
            resolve("cell", tenant, &tenant.value.cell, &cells, d);
        }
        for team in teams.values() {
            resolve("person", team, &team.value.lead, &people, d);
        }
        for person in people.values() {
            resolve("team", person, &person.value.team, &teams, d);
        }
        for database in databases.values() {
            resolve("team", database, &database.value.team, &teams, d);
        }
        for service in services.values() {
            resolve("team", service, &service.value.team, &teams, d);
            resolve(
                "availability tier",
                service,
                &service.value.tier,
                &platform.tiers,
                d,
            );
        }
        platform.databases = values(databases);
        check_dependencies(&services, &platform, d);
        check_cycles(&services, d);

        platform.cells = values(cells);
        platform.tenants = values(tenants);
        platform.teams = values(teams);
        platform.people = values(people);
        platform.services = values(services);
        if let Some((_, spec)) = specs.first() {
            check_counts(spec, &platform, d);
        }
        platform
    }
}

/// A model with what the document of kind `Platform` says, and nothing else yet.
fn head(specs: &[(Spanned<String>, Sourced<'_, PlatformSpec>)], diagnostics: &mut Diagnostics) -> Platform {
    let Some(((name, spec), others)) = specs.split_first() else {
        return Platform::default();
    };
    for (name, other) in others {
        let message = "a second document of kind Platform";
        let help = format!("keep one; the first is in {}", spec.document.file);
        diagnostics.push(
            other
                .document
                .diagnostic(lint::DUPLICATE_NAME, name.at, message)
                .help(help),
        );
    }
    let tiers = spec.value.availability_tiers.iter().map(|tier| {
        let (document, value) = (spec.document, tier.clone());
        (tier.id.clone(), Sourced { document, value })
    });
    Platform {
        name: name.value.clone(),
        title: spec.value.title.clone(),
        time_zone: spec.value.time_zone.clone(),
        tiers: values(by_name("availability tier", tiers, diagnostics)),
        ..Platform::default()
    }
}

fn items<'a, K: Ord + Clone + Display, T: DeserializeOwned>(
    documents: &'a Documents,
    kind: &str,
    what: &str,
    id: impl Fn(&T) -> &Spanned<K>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<K, Sourced<'a, T>> {
    let items = documents.items::<T>(kind, diagnostics);
    by_name(
        what,
        items.into_iter().map(|item| (id(&item.value).clone(), item)),
        diagnostics,
    )
}

/// Reports `name`, which stands in `place`'s document, unless it is a key of `known`.
fn resolve<K: Ord + AsRef<str>, P, V>(
    what: &str,
    place: &Sourced<'_, P>,
    name: &Spanned<K>,
    known: &BTreeMap<K, V>,
    diagnostics: &mut Diagnostics,
) {
    if !known.contains_key(&name.value) {
        let known = known.keys().map(AsRef::as_ref);
        diagnostics.push(place.document.unknown_reference(what, name, known));
    }
}

fn check_cell(cell: &Sourced<'_, Cell>, regions: &BTreeMap<RegionId, Region>, diagnostics: &mut Diagnostics) {
    let Cell {
        country,
        region,
        zones,
        standby,
        id,
    } = &cell.value;
    for (region, zones) in [(region, zones), (&standby.region, &standby.zones)] {
        resolve("region", cell, region, regions, diagnostics);
        let Some(known) = regions.get(&region.value) else {
            continue;
        };
        for zone in zones.iter().filter(|zone| !known.zones.contains(&zone.value)) {
            let known = known.zones.iter().map(AsRef::as_ref);
            diagnostics.push(
                cell.document
                    .unknown_reference(&format!("zone of {region}"), zone, known),
            );
        }
    }
    if let Some(region) = regions
        .get(&region.value)
        .filter(|known| known.country != country.value)
    {
        let message = format!(
            "{id} is in {country}, its region {} is in {}",
            region.id, region.country
        );
        let help = format!(
            "data of {country} must stay there: put the cell into a region of {country}, or correct its country"
        );
        diagnostics.push(
            cell.document
                .diagnostic(lint::CELL_COUNTRY, country.at, message)
                .help(help),
        );
    }
    let own: BTreeSet<&ZoneId> = zones.iter().map(|zone| &zone.value).collect();
    if let Some(shared) = standby.zones.iter().find(|zone| own.contains(&zone.value)) {
        let message = format!("the standby of {id} is in {shared}, where {id} itself is");
        diagnostics.push(
            cell.document
                .diagnostic(lint::STANDBY_ZONE, shared.at, message)
                .help("put the standby into another zone or another region"),
        );
    }
}

fn check_dependencies(
    services: &BTreeMap<ServiceId, Sourced<'_, Service>>,
    platform: &Platform,
    diagnostics: &mut Diagnostics,
) {
    let mut known: BTreeSet<&str> = services.keys().map(ServiceId::as_str).collect();
    known.extend(platform.databases.keys().map(String::as_str));
    known.extend(platform.externals.keys().map(String::as_str));
    known.extend(platform.brokers.values().map(|broker| broker.cluster.as_str()));
    for service in services.values() {
        let depends_on = &service.value.depends_on;
        for name in depends_on.hard.iter().chain(&depends_on.soft) {
            if !known.contains(name.as_str()) {
                let what = "service, database, broker cluster or external";
                diagnostics.push(
                    service
                        .document
                        .unknown_reference(what, name, known.iter().copied()),
                );
            }
        }
        for name in &depends_on.soft {
            if depends_on.hard.contains(name) {
                let message = format!("{} depends on {name} both hard and soft", service.value.id);
                diagnostics.push(
                    service
                        .document
                        .diagnostic(lint::DUPLICATE_NAME, name.at, message)
                        .help("keep one of the two"),
                );
            }
        }
    }
}

/// Reports every circle of hard dependencies once, at the edge that closes it.
fn check_cycles(services: &BTreeMap<ServiceId, Sourced<'_, Service>>, diagnostics: &mut Diagnostics) {
    let edges = |id: &str| {
        let service = services
            .iter()
            .find(|(known, _)| known.as_str() == id)
            .map(|(_, service)| service);
        service.map_or(&[][..], |service| &service.value.depends_on.hard[..])
    };
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in services.keys().map(ServiceId::as_str) {
        // A depth-first walk with its own stack: the path so far, and how many edges of each step were taken.
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((at, taken)) = path.last_mut() {
            let (at, index) = (*at, *taken);
            *taken += 1;
            let Some(next) = edges(at).get(index).filter(|_| !done.contains(at)) else {
                done.insert(at);
                path.pop();
                continue;
            };
            if let Some(position) = path.iter().position(|(id, _)| *id == next.as_str()) {
                let circle: Vec<&str> = path[position..]
                    .iter()
                    .map(|(id, _)| *id)
                    .chain([next.as_str()])
                    .collect();
                if let Some((_, service)) = services.iter().find(|(id, _)| id.as_str() == at) {
                    let message = format!("a circle of hard dependencies: {}", circle.join(" → "));
                    diagnostics.push(
                        service
                            .document
                            .diagnostic(lint::DEPENDENCY_CYCLE, next.at, message)
                            .help("make one of them soft: something must be able to start first"),
                    );
                }
            } else if !done.contains(next.as_str()) {
                path.push((next.as_str(), 0));
            }
        }
    }
}

fn check_counts(spec: &Sourced<'_, PlatformSpec>, platform: &Platform, diagnostics: &mut Diagnostics) {
    let actual = BTreeMap::from([
        ("services", platform.services.len()),
        ("databases", platform.databases.len()),
        ("brokers", platform.brokers.len()),
        ("cells", platform.cells.len()),
        ("tenants", platform.tenants.len()),
        ("regions", platform.regions.len()),
    ]);
    for (what, said) in &spec.value.counts {
        let Some(actual) = actual.get(what.as_str()) else {
            let name = Spanned {
                value: what.as_str(),
                at: said.at,
            };
            diagnostics.push(
                spec.document
                    .unknown_reference("part to count", &name, actual.keys().copied()),
            );
            continue;
        };
        if *actual != said.value {
            let message = format!("the platform is said to have {said} {what}, the catalog names {actual}");
            diagnostics.push(
                spec.document
                    .diagnostic(lint::PLATFORM_COUNT, said.at, message)
                    .help("name the missing ones, or correct the number"),
            );
        }
    }
}
