//! Maintenance windows: catalog documents of kind `MaintenanceWindow`.
//!
//! ```yaml
//! apiVersion: mainstay/v1
//! kind: MaintenanceWindow
//! metadata:
//!   name: database-maintenance
//! spec:
//!   title: Database maintenance, agreed in the contract
//!   objectives: [api-availability-sla]   # and, or instead: services: [api-gateway]
//!   tenant: STD-001                      # optional, and so is cell: else everywhere
//!   start: "2026-01-04T02:00"            # the first time, on the clocks of the zone
//!   zone: Africa/Johannesburg
//!   duration: 2h
//!   recurrence: FREQ=WEEKLY;BYDAY=SU     # optional: else once
//!   silencesBurn: false                  # optional: whether burn alerts leave it out too
//! ```

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mainstay_catalog::{Diagnostics, Document, Documents, Platform, Spanned, duration, lint};
use mainstay_kernel::{CellId, Labels, Scope, ServiceId, SloId, TenantId};
use serde::Deserialize;

use super::ledger::place_of;
use super::recurrence::Recurrence;
use super::{Exclusion, Of, QUARTER_HOUR_MS};
use crate::engine::SloCatalog;
use crate::window::Bounds;

/// The kind of these documents.
pub const KIND: &str = "MaintenanceWindow";
/// The most windows in a catalog.
pub const WINDOWS_MAX: usize = 1_000;
/// The longest window, in milliseconds: a week.
const DURATION_MAX_MS: i64 = 7 * 86_400_000;
/// Rules are followed from their first time on: it is not centuries ago.
const FIRST_YEAR: i16 = 2000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    #[serde(default)]
    objectives: Vec<Spanned<SloId>>,
    #[serde(default)]
    services: Vec<Spanned<ServiceId>>,
    #[serde(default)]
    tenant: Option<Spanned<TenantId>>,
    #[serde(default)]
    cell: Option<Spanned<CellId>>,
    start: Spanned<String>,
    zone: Spanned<String>,
    duration: Spanned<String>,
    #[serde(default)]
    recurrence: Option<Spanned<String>>,
    #[serde(rename = "silencesBurn", default)]
    silences_burn: bool,
}

/// A maintenance window.
#[derive(Debug, Clone, PartialEq)]
pub struct MaintenanceWindow {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Of which objectives; at least one.
    pub of: Vec<Of>,
    /// Where.
    pub scope: Scope,
    /// The first time, on the clocks of the zone.
    pub start: DateTime,
    /// Whose clocks.
    pub zone: TimeZone,
    /// How long, in milliseconds of real time.
    pub duration_ms: i64,
    /// When again; never if there is no rule.
    pub recurrence: Option<Recurrence>,
    /// The rule as it was written.
    pub rule: Option<String>,
    /// Whether burn alerts leave it out too.
    pub silences_burn: bool,
}

impl MaintenanceWindow {
    /// Every time it is that reaches into `from_ms` to `to_ms`, oldest first.
    #[must_use]
    pub fn stretches(&self, from_ms: i64, to_ms: i64) -> Vec<Bounds> {
        let from_ms = from_ms.saturating_sub(self.duration_ms) + 1;
        let starts = match &self.recurrence {
            Some(recurrence) => recurrence.starts(self.start, &self.zone, from_ms, to_ms),
            None => {
                let once = self.zone.to_timestamp(self.start).ok();
                let once = once.map(jiff::Timestamp::as_millisecond);
                Vec::from_iter(once.filter(|at_ms| (from_ms..to_ms).contains(at_ms)))
            }
        };
        let stretch = |start_ms: i64| Bounds {
            start_ms,
            end_ms: start_ms + self.duration_ms,
        };
        starts.into_iter().map(stretch).collect()
    }

    /// The labels of the groups that it is about.
    #[must_use]
    pub fn place(&self) -> Labels {
        place_of(&self.scope)
    }

    /// The same for the engine.
    pub fn exclusions(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = Exclusion> + '_ {
        let stretches = self.stretches(from_ms, to_ms).into_iter();
        stretches.flat_map(move |stretch| {
            self.of.iter().map(move |of| Exclusion {
                of: of.clone(),
                place: self.place(),
                stretch,
                silences_burn: self.silences_burn,
            })
        })
    }
}

/// Reads the documents of a catalog, in order of name.
pub fn load(
    documents: &Documents,
    platform: &Platform,
    slos: &SloCatalog,
    diagnostics: &mut Diagnostics,
) -> Vec<MaintenanceWindow> {
    let mut names = BTreeSet::new();
    let mut windows = Vec::new();
    for (name, sourced) in documents.specs::<Written>(KIND, diagnostics) {
        let document = sourced.document;
        if !names.insert(name.value.clone()) {
            let message = format!("there are two maintenance windows named {:?}", name.value);
            let found = document.diagnostic(lint::DUPLICATE_NAME, name.at, message);
            diagnostics.push(found.help("give one of them another name"));
            continue;
        }
        if windows.len() >= WINDOWS_MAX {
            let message = format!("a catalog has at most {WINDOWS_MAX} maintenance windows");
            diagnostics.push(document.diagnostic(lint::TOO_LARGE, name.at, message));
            break;
        }
        let before = diagnostics.iter().count();
        let window = read(document, name, sourced.value, platform, slos, diagnostics);
        // What is wrong with one has been said.
        windows.extend(window.filter(|_| diagnostics.iter().count() == before));
    }
    windows.sort_by(|a, b| a.name.cmp(&b.name));
    windows
}

fn read(
    document: &Document,
    name: Spanned<String>,
    written: Written,
    platform: &Platform,
    slos: &SloCatalog,
    diagnostics: &mut Diagnostics,
) -> Option<MaintenanceWindow> {
    let bad = |at, message: String, help: &str| document.diagnostic(lint::BAD_VALUE, at, message).help(help);
    let of = targets(document, &name, &written, slos, diagnostics);
    check_place(document, &written, platform, diagnostics);
    let start = written
        .start
        .value
        .parse::<DateTime>()
        .ok()
        .filter(|start| start.year() >= FIRST_YEAR);
    if start
        .is_none_or(|start| start.minute() % 15 != 0 || start.second() != 0 || start.subsec_nanosecond() != 0)
    {
        let message = format!("{:?} is no start of a maintenance window", written.start.value);
        let help =
            "a local time at a quarter hour, such as 2026-01-04T02:00: counts are kept in quarter hours";
        diagnostics.push(bad(written.start.at, message, help));
    }
    let zone = TimeZone::get(&written.zone.value).ok();
    if zone.is_none() {
        let message = format!("there is no time zone {:?}", written.zone.value);
        diagnostics.push(bad(
            written.zone.at,
            message,
            "an IANA name, such as Africa/Johannesburg",
        ));
    }
    let length = duration::parse(&written.duration.value).ok();
    let duration_ms = length.and_then(|length| i64::try_from(length.as_millis()).ok());
    let fits = |ms: &i64| (1..=DURATION_MAX_MS).contains(ms) && ms % QUARTER_HOUR_MS == 0;
    if duration_ms.filter(fits).is_none() {
        let message = format!(
            "{:?} is no length of a maintenance window",
            written.duration.value
        );
        diagnostics.push(bad(
            written.duration.at,
            message,
            "whole quarter hours, such as 45m or 2h, up to 7d",
        ));
    }
    let recurrence = match written
        .recurrence
        .as_ref()
        .map(|rule| Recurrence::parse(&rule.value))
    {
        None => None,
        Some(Ok(recurrence)) => Some(recurrence),
        Some(Err(error)) => {
            let at = written
                .recurrence
                .as_ref()
                .map(|rule| rule.at)
                .unwrap_or_default();
            diagnostics.push(bad(
                at,
                format!("the recurrence {error}"),
                "such as FREQ=WEEKLY;BYDAY=SU",
            ));
            None
        }
    };
    Some(MaintenanceWindow {
        name: name.value,
        title: written.title,
        of,
        scope: Scope {
            tenant: written.tenant.map(|tenant| tenant.value),
            cell: written.cell.map(|cell| cell.value),
            ..Scope::default()
        },
        start: start?,
        zone: zone?,
        duration_ms: duration_ms?,
        recurrence,
        rule: written.recurrence.map(|rule| rule.value),
        silences_burn: written.silences_burn,
    })
}

fn targets(
    document: &Document,
    name: &Spanned<String>,
    written: &Written,
    slos: &SloCatalog,
    diagnostics: &mut Diagnostics,
) -> Vec<Of> {
    let ids: BTreeSet<&str> = slos.objectives().iter().map(|slo| slo.id.as_str()).collect();
    let owners = slos.objectives().iter().filter_map(|slo| slo.service.as_ref());
    let services: BTreeSet<&str> = owners.map(ServiceId::as_str).collect();
    for slo in written
        .objectives
        .iter()
        .filter(|slo| !ids.contains(slo.value.as_str()))
    {
        diagnostics.push(document.unknown_reference("objective", slo, ids.iter().copied()));
    }
    for service in written
        .services
        .iter()
        .filter(|service| !services.contains(service.value.as_str()))
    {
        diagnostics.push(document.unknown_reference(
            "service with objectives",
            service,
            services.iter().copied(),
        ));
    }
    if written.objectives.is_empty() && written.services.is_empty() {
        let message = format!("the maintenance window {:?} is of nothing", name.value);
        let found = document.diagnostic(lint::BAD_VALUE, name.at, message);
        diagnostics.push(found.help("name objectives or services"));
    }
    let objectives = written
        .objectives
        .iter()
        .map(|slo| Of::Objective(slo.value.clone()));
    let all = written
        .services
        .iter()
        .map(|service| Of::Service(service.value.clone()));
    objectives.chain(all).collect()
}

fn check_place(document: &Document, written: &Written, platform: &Platform, diagnostics: &mut Diagnostics) {
    let tenants = || platform.tenants.keys().map(TenantId::as_str);
    if let Some(tenant) = written
        .tenant
        .as_ref()
        .filter(|tenant| !platform.tenants.is_empty() && !platform.tenants.contains_key(&tenant.value))
    {
        diagnostics.push(document.unknown_reference("tenant", tenant, tenants()));
    }
    let cells = || platform.cells.keys().map(CellId::as_str);
    if let Some(cell) = written
        .cell
        .as_ref()
        .filter(|cell| !platform.cells.is_empty() && !platform.cells.contains_key(&cell.value))
    {
        diagnostics.push(document.unknown_reference("cell", cell, cells()));
    }
}
