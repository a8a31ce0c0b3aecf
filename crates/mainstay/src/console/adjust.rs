//! What does not count: the ledger, and the catalog's maintenance windows.

use jiff::Timestamp;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Principal, Scope, ServiceId, SloId};
use mainstay_plane::Command;
use mainstay_slo::adjust::Of;
use mainstay_slo::adjust::ledger::{Adjustment as Entry, LedgerCommand, LedgerEntry};
use mainstay_slo::adjust::maintenance::MaintenanceWindow;
use mainstay_slo::window::Bounds;
use mainstay_web::Failure;
use mainstay_web::view::{Adjustment, Done, NewAdjustment};

use super::{PlaneConsole, sight};

/// How far before and after now maintenance is listed, in milliseconds.
const LISTED_MS: i64 = 31 * 86_400_000;
/// The most times of one maintenance window that are listed.
const TIMES_MAX: usize = 1_000;

fn invalid(message: String, help: &str) -> Failure {
    Failure::Invalid {
        message,
        help: help.to_owned(),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn adjustment_list(&self, who: &Principal) -> Vec<Adjustment> {
        // What is about everybody is about each: a tenant sees it as its report shows it.
        let seen = |scope: &Scope| scope.tenant.is_none() || sight::sees(who, scope);
        let now_ms = self.now().as_millisecond();
        let mut list: Vec<Adjustment> = self
            .plane
            .look(|states| {
                let entries = states.ledger.entries();
                let entries = entries.filter(|entry| seen(&entry.adjustment.scope));
                entries.map(of_ledger).collect()
            })
            .await;
        for window in self.telemetry.contracts().maintenance.iter() {
            if seen(&window.scope) {
                let times = window
                    .stretches(now_ms - LISTED_MS, now_ms + LISTED_MS)
                    .into_iter();
                list.extend(times.take(TIMES_MAX).map(|time| of_catalog(window, time)));
            }
        }
        list.sort_by_key(|one| (one.from, one.number));
        list
    }

    pub(super) async fn write_adjustment(
        &self,
        who: &Principal,
        new: &NewAdjustment,
    ) -> Result<Done, Failure> {
        let entry = Entry {
            of: self.target(new)?,
            scope: Scope {
                tenant: new.tenant.clone(),
                cell: new.cell.clone(),
                ..Scope::default()
            },
            from: new.from,
            to: new.to,
            reason: new.reason.clone(),
            ticket: new.ticket.clone(),
        };
        self.check_apart(&entry)?;
        let what = format!(
            "{} does not count from {} to {}, {}",
            entry.of, entry.from, entry.to, entry.scope
        );
        let command = Command::Ledger(LedgerCommand::Exclude(Box::new(entry)));
        let help = "Counts are kept in quarter hours, for 400 days.";
        let events = self.order(who, command, help).await?;
        self.plane.exclude().await;
        let number = self
            .plane
            .look(|states| states.ledger.entries().last().map(|entry| entry.number))
            .await;
        Ok(Done {
            message: format!(
                "Written down as adjustment {}: {what}.",
                number.unwrap_or_default()
            ),
            events,
        })
    }

    pub(super) async fn take_back(
        &self,
        who: &Principal,
        number: u32,
        reason: &str,
    ) -> Result<Done, Failure> {
        let command = Command::Ledger(LedgerCommand::Withdraw {
            number,
            reason: reason.to_owned(),
        });
        let help = "`mainstay slo adjust list` shows what is in force.";
        let events = self.order(who, command, help).await?;
        self.plane.exclude().await;
        Ok(Done {
            message: format!(
                "Adjustment {number} is withdrawn: its time counts again. Both entries stay in the ledger."
            ),
            events,
        })
    }

    fn target(&self, new: &NewAdjustment) -> Result<Of, Failure> {
        let bad = |error: mainstay_kernel::id::NameError| {
            invalid(error.to_string(), "Name an objective or a service.")
        };
        let of = match (&new.objective, &new.service) {
            (Some(objective), None) => Of::Objective(SloId::new(objective.as_str()).map_err(bad)?),
            (None, Some(service)) => Of::Service(ServiceId::new(service.as_str()).map_err(bad)?),
            _ => {
                let message =
                    "an adjustment is of one objective, or of every objective of one service".to_owned();
                return Err(invalid(message, "Give either an objective or a service."));
            }
        };
        let slos = self.telemetry.slos();
        if slos.objectives().any(|objective| of.is(objective)) {
            return Ok(of);
        }
        let known: Vec<String> = slos
            .objectives()
            .map(|objective| objective.id.to_string())
            .collect();
        let message = match &of {
            Of::Objective(id) => format!("there is no objective {id}"),
            Of::Service(service) => format!("there is no objective of the service {service}"),
        };
        Err(invalid(message, &format!("There are {}.", known.join(", "))))
    }

    /// Refuses a place that nothing is counted by: it would exclude nothing.
    fn check_apart(&self, entry: &Entry) -> Result<(), Failure> {
        let slos = self.telemetry.slos();
        let place = entry.place();
        for objective in slos.objectives().filter(|objective| entry.of.is(objective)) {
            let sli = slos.indicators().find(|sli| sli.name == objective.sli);
            let missing = place
                .iter()
                .find(|(name, _)| !sli.is_some_and(|sli| sli.group_by.iter().any(|label| label == name)));
            if let Some((name, _)) = missing {
                let message = format!(
                    "{} is not counted by {name}: nothing of one {name} can be left out",
                    objective.id
                );
                return Err(invalid(
                    message,
                    "Leave the place out, or group the objective's indicator by it.",
                ));
            }
        }
        Ok(())
    }
}

fn of_ledger(entry: &LedgerEntry) -> Adjustment {
    let adjustment = &entry.adjustment;
    Adjustment {
        number: Some(entry.number),
        window: None,
        of: vec![adjustment.of.to_string()],
        place: adjustment.scope.to_string(),
        from: adjustment.from,
        to: adjustment.to,
        reason: adjustment.reason.clone(),
        ticket: adjustment.ticket.clone(),
        author: entry.written.by.to_string(),
        written_at: Some(entry.written.at),
        withdrawn: entry
            .withdrawn
            .as_ref()
            .map(|taken| format!("{} by {}: {}", taken.written.at, taken.written.by, taken.reason)),
        silences_burn: false,
    }
}

fn of_catalog(window: &MaintenanceWindow, time: Bounds) -> Adjustment {
    let instant = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
    Adjustment {
        number: None,
        window: Some(window.name.clone()),
        of: window.of.iter().map(ToString::to_string).collect(),
        place: window.scope.to_string(),
        from: instant(time.start_ms),
        to: instant(time.end_ms),
        reason: window.title.clone(),
        ticket: None,
        author: "catalog".to_owned(),
        written_at: None,
        withdrawn: None,
        silences_burn: window.silences_burn,
    }
}
