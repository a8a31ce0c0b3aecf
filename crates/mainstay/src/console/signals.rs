//! The signals of a place, drawn: errors, traffic, latency.

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::Incident as Known;
use mainstay_journal::Journal;
use mainstay_kernel::{Principal, Scope};
use mainstay_ui::Unit;
use mainstay_ui::chart::{Chart, Limit, Mark};
use mainstay_web::view::Look;

use super::chart::{Plot, Span};
use super::expression::{Filter, Reading, Yardstick, latency_p95};
use super::incident::{changed_thing, verb};
use super::{PlaneConsole, sight};

/// How long before and after an incident its charts show, in milliseconds.
const CHART_LEAD_MS: i64 = 15 * 60_000;
const CHART_TAIL_MS: i64 = 10 * 60_000;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// The signals at the place of an incident, from before it to after it.
    pub(super) async fn incident_charts(&self, who: &Principal, incident: &Known) -> Vec<Chart> {
        let now_ms = self.now().as_millisecond();
        let end_ms = incident
            .resolved_at
            .map_or(now_ms, |at| (at.as_millisecond() + CHART_TAIL_MS).min(now_ms));
        let span = Span::between(incident.began_at.as_millisecond() - CHART_LEAD_MS, end_ms);
        let place = Look {
            scope: Scope {
                service: None,
                ..incident.scope.clone()
            },
            range_ms: 0,
        };
        let began = Mark {
            at_ms: incident.began_at.as_millisecond(),
            text: "first failure".to_owned(),
            href: None,
        };
        let seen = incident
            .changes
            .iter()
            .filter(|linked| sight::sees(who, &linked.change.scope));
        let changes = seen.map(|linked| Mark {
            at_ms: linked.change.at.as_millisecond(),
            text: format!("{} {}", verb(linked.change.kind).1, changed_thing(&linked.change)),
            href: Some(mainstay_ui::url::path(&["why", &linked.event.to_string()])),
        });
        let marks: Vec<Mark> = std::iter::once(began).chain(changes).collect();
        self.signals(who, &place, span, &marks).await
    }

    /// The signals of a part of the platform: errors, traffic, latency.
    pub(super) async fn signals(
        &self,
        who: &Principal,
        look: &Look,
        span: Span,
        marks: &[Mark],
    ) -> Vec<Chart> {
        let filter = Filter::of(who, look);
        let linked = sight::sees_platform(who);
        let window = span.window();
        let mut plots = Vec::new();
        {
            let slos = self.telemetry.slos();
            let reading = Reading {
                function: "rate",
                window: &window,
                by: "cell",
                every_job: false,
            };
            let yardstick = Yardstick::of(&slos);
            let exprs = yardstick.as_ref().and_then(|yardstick| {
                let bad_share = reading.bad_share(&yardstick.sli, &filter)?;
                Some((bad_share, reading.total(&yardstick.sli, &filter)?))
            });
            if let (Some(yardstick), Some((bad_share, total))) = (yardstick, exprs) {
                plots.push(Plot {
                    id: "errors",
                    title: "Failing share of requests by cell".to_owned(),
                    unit: Unit::Ratio,
                    expr: bad_share,
                    named_by: "cell",
                    limits: vec![Limit {
                        name: "paging burn rate".to_owned(),
                        value: yardstick.alarming_share(),
                    }],
                    linked,
                });
                plots.push(Plot {
                    id: "requests",
                    title: "Requests by cell".to_owned(),
                    unit: Unit::PerSecond,
                    expr: total,
                    named_by: "cell",
                    limits: Vec::new(),
                    linked,
                });
            }
            plots.extend(latency_p95(&slos, &filter, &window).map(|expr| Plot {
                id: "latency",
                title: "95th percentile of latency by cell".to_owned(),
                unit: Unit::Seconds,
                expr,
                named_by: "cell",
                limits: Vec::new(),
                linked,
            }));
        }
        let mut charts = Vec::new();
        for plot in plots {
            charts.push(self.charts.draw(plot, span, marks.to_vec()).await);
        }
        charts
    }
}
