//! Services by cells, each with its worst signal: errors, pods that are down, alerts. No data is never well.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{CellId, Labels, Matcher, Principal, ServiceId, Severity};
use mainstay_plane::States;
use mainstay_ui::{Unit, number};
use mainstay_web::view::{Banner, Grid, GridCell, GridRow, Look, Status};

use super::expression::{Filter, Reading, Yardstick};
use super::{PlaneConsole, sight};

/// A service that sent a sample in this time runs, or should.
const SEEN_WITHIN_MS: i64 = 24 * 3_600_000;

type Spot = (String, String);

/// What is known of every service in every cell.
#[derive(Default)]
struct Signals {
    /// Where a target was scraped lately.
    seen: BTreeSet<Spot>,
    /// How many pods are up, and how many there are.
    up: BTreeMap<Spot, f64>,
    pods: BTreeMap<Spot, f64>,
    errors: BTreeMap<Spot, f64>,
    /// The expression behind `errors`, before it is narrowed to one spot.
    yardstick: Option<Yardstick>,
}

fn spot(labels: &Labels) -> Option<Spot> {
    Some((labels.get("job")?.to_owned(), labels.get("cell")?.to_owned()))
}

fn by_spot(values: Vec<(Labels, f64)>) -> BTreeMap<Spot, f64> {
    let finite = values.into_iter().filter(|(_, value)| value.is_finite());
    finite
        .filter_map(|(labels, value)| Some((spot(&labels)?, value)))
        .collect()
}

/// An alert that is about one service.
struct Firing {
    service: ServiceId,
    cell: Option<CellId>,
    name: String,
    severity: Severity,
}

fn firing(states: &States<'_>) -> Vec<Firing> {
    let about = |active: &mainstay_alert::ActiveAlert| {
        let scope = mainstay_kernel::Scope::from_labels(&active.alert.labels);
        Some(Firing {
            service: scope.service?,
            cell: scope.cell,
            name: active.alert.name().to_owned(),
            severity: active.severity,
        })
    };
    states.alerts.firing().filter_map(about).collect()
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// The grid, and who of the catalog sends no data at all. It is about the platform: who is limited to some tenants
    /// sees none of it.
    pub(super) async fn grid(&self, who: &Principal, look: &Look) -> (Grid, Vec<Banner>) {
        if !sight::sees_platform(who) {
            return (Grid::default(), Vec::new());
        }
        let (firing, services, cells) = self
            .plane
            .look(|states| {
                let platform = &states.catalog.platform;
                let services: Vec<ServiceId> = platform.services.keys().cloned().collect();
                let cells: Vec<CellId> = platform.cells.keys().cloned().collect();
                (firing(states), services, cells)
            })
            .await;
        let signals = self.spot_signals().await;
        let in_look = |cell: &&CellId| look.scope.cell.as_ref().is_none_or(|only| only == *cell);
        let has_cell = |cell: &&CellId| {
            signals.seen.iter().any(|(_, seen)| seen == cell.as_str())
                || firing.iter().any(|alert| alert.cell.as_ref() == Some(cell))
        };
        let shown_cells: Vec<&CellId> = cells.iter().filter(in_look).filter(has_cell).collect();
        let in_look = |service: &&ServiceId| look.scope.service.as_ref().is_none_or(|only| only == *service);
        let has_service = |service: &&ServiceId| {
            signals.seen.iter().any(|(seen, _)| seen == service.as_str())
                || firing.iter().any(|alert| alert.service == **service)
        };
        let rows = services
            .iter()
            .filter(in_look)
            .filter(has_service)
            .map(|service| GridRow {
                service: service.to_string(),
                cells: shown_cells
                    .iter()
                    .map(|cell| Some(worst(&signals, &firing, service, cell)))
                    .collect(),
            });
        let grid = Grid {
            rows: rows.collect(),
            cells: shown_cells.iter().map(ToString::to_string).collect(),
        };
        let silent = |names: Vec<String>, of: usize, what: &str| {
            let some = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            let more = if names.len() > 3 { ", …" } else { "" };
            (!names.is_empty()).then(|| format!("{} of {of} {what} ({some}{more})", names.len()))
        };
        let quiet_services = services
            .iter()
            .filter(|service| !has_service(service))
            .map(ToString::to_string);
        let quiet_cells = cells
            .iter()
            .filter(|cell| !has_cell(cell))
            .map(ToString::to_string);
        let parts: Vec<String> = [
            silent(quiet_services.collect(), services.len(), "services"),
            silent(quiet_cells.collect(), cells.len(), "cells"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let banner = (!parts.is_empty()).then(|| Banner {
            status: Status::Unknown,
            text: format!(
                "No data in the last day from {} of the catalog.",
                parts.join(" and ")
            ),
            event: None,
        });
        (grid, banner.into_iter().collect())
    }

    async fn spot_signals(&self) -> Signals {
        let now_ms = self.now().as_millisecond();
        let up = [Matcher::equal("__name__", "up")];
        let seen = self
            .telemetry
            .store()
            .series(&up, now_ms - SEEN_WITHIN_MS, now_ms);
        let yardstick = Yardstick::of(&self.telemetry.slos());
        let expr = yardstick
            .as_ref()
            .and_then(|yardstick| errors_reading("job, cell").bad_share(&yardstick.sli, &Filter::default()));
        let errors = match expr {
            Some(expr) => by_spot(self.questions.values_lately(&expr, now_ms).await),
            None => BTreeMap::new(),
        };
        Signals {
            seen: seen.iter().filter_map(|labels| spot(labels)).collect(),
            up: by_spot(
                self.questions
                    .values_lately("sum by (job, cell) (up)", now_ms)
                    .await,
            ),
            pods: by_spot(
                self.questions
                    .values_lately("count by (job, cell) (up)", now_ms)
                    .await,
            ),
            errors,
            yardstick,
        }
    }
}

fn errors_reading(by: &'static str) -> Reading<'static> {
    Reading {
        function: "rate",
        window: "2m",
        by,
        every_job: true,
    }
}

fn worst(signals: &Signals, firing: &[Firing], service: &ServiceId, cell: &CellId) -> GridCell {
    let spot = (service.to_string(), cell.to_string());
    let place: Labels = [("cell", cell.as_str()), ("job", service.as_str())]
        .into_iter()
        .collect();
    let up_query = format!("up{{job={:?},cell={:?}}}", spot.0, spot.1);
    let mut worst = GridCell {
        status: Status::Ok,
        signal: None,
        query: Some(up_query.clone()),
    };
    let mut offer = |status: Status, signal: String, query: Option<String>| {
        if status > worst.status {
            worst = GridCell {
                status,
                signal: Some(signal),
                query,
            };
        }
    };
    match (signals.pods.get(&spot), signals.up.get(&spot)) {
        (Some(pods), Some(up)) if up < pods => {
            let status = if *up == 0.0 {
                Status::Breached
            } else {
                Status::Warning
            };
            offer(status, format!("{up} of {pods} up"), Some(up_query));
        }
        (Some(_), Some(_)) => {}
        _ => offer(Status::Unknown, "no data".to_owned(), Some(up_query)),
    }
    if let (Some(share), Some(yardstick)) = (signals.errors.get(&spot), &signals.yardstick) {
        let status = match *share {
            share if share > yardstick.alarming_share() => Status::Breached,
            share if share > yardstick.budget_share() => Status::Warning,
            _ => Status::Ok,
        };
        let query = errors_reading("tenant").bad_share(&yardstick.sli, &Filter::of_group(&place));
        offer(
            status,
            format!("errors {}", number::measured(*share, Unit::Ratio)),
            query,
        );
    }
    let here = firing.iter().filter(|alert| alert.service == *service);
    let here = here.filter(|alert| alert.cell.as_ref().is_none_or(|at| at == cell));
    if let Some(alert) = here.min_by_key(|alert| alert.severity) {
        let status = if alert.severity.pages() {
            Status::Breached
        } else {
            Status::Warning
        };
        offer(status, alert.name.clone(), None);
    }
    worst
}
