//! The open-loop load generator: requests leave on a fixed schedule whatever the answers do, latency counts from the
//! intended start, so a slow platform cannot slow its own measurement (no coordinated omission).
//!
//! It counts what clients saw, to the integer, per cell, tenant and outcome.

mod report;

pub use report::{Outcome, Report};

use crate::{
    client::{self, Http},
    clock,
    discovery::Route,
    error::{Error, Result},
    model::{self, ACCOUNTS_PER_TENANT, Creditor, Debtor, Initiation, customer_account},
    pod::{announce, on_parent_gone, terminated},
    supervisor::{pair, write_durably},
};
use http::{Method, StatusCode};
use report::{Kind, Recorder, Sent};
use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// Acknowledged payments per tenant that reads pick from.
const REMEMBERED: usize = 32;
/// How often the report file is written while running.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Options of the load generator.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A gateway to send to, as CELL=URL; may be given for several cells, which share the rate equally.
    #[arg(long = "gateway", value_name = "CELL=URL", value_parser = pair, required = true)]
    gateways: Vec<(String, String)>,
    /// Requests per second in all.
    #[arg(long, default_value_t = 400)]
    rps: u32,
    /// How many of them are payment initiations; the rest are reads.
    #[arg(long, default_value_t = 150)]
    payments_rps: u32,
    /// Stop after this many seconds; without it, on SIGTERM or when standard input closes.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// How long a client waits for its answer, in milliseconds; longer than the gateway's own deadline.
    #[arg(long, default_value_t = 5000)]
    timeout_ms: u64,
    /// Where the report goes (JSON); written every second and at the end.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Makes the idempotency keys of this run its own.
    #[arg(long)]
    run: Option<String>,
    /// Stop when standard input closes, that is, with the parent process.
    #[arg(long)]
    exit_with_parent: bool,
}

/// A tenant of a cell, as its client knows it.
struct Tenant {
    name: String,
    route: Route,
    payments: VecDeque<String>,
}

struct Cell {
    name: String,
    url: String,
    tenants: Mutex<Vec<Tenant>>,
}

struct Load {
    http: Http,
    cells: Vec<Cell>,
    run: String,
    timeout: Duration,
    recorder: Mutex<Recorder>,
    in_flight: AtomicU64,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    if options.rps == 0 || options.payments_rps > options.rps {
        return Err(Error::Usage(
            "--rps must be positive and --payments-rps no greater than it".to_owned(),
        ));
    }
    let stop = stop_signal(options.exit_with_parent);
    let http = client::http();
    let mut cells = Vec::new();
    for (name, url) in &options.gateways {
        let url = url.trim_end_matches('/').to_owned();
        let tenants = tenants(&http, &url).await.map_err(Error::Usage)?;
        if tenants.is_empty() {
            return Err(Error::Usage(format!(
                "{name}: the gateway at {url} knows no tenant of its cell"
            )));
        }
        cells.push(Cell {
            name: name.clone(),
            url,
            tenants: Mutex::new(tenants),
        });
    }
    let load = Arc::new(Load {
        http,
        cells,
        run: options
            .run
            .clone()
            .unwrap_or_else(|| format!("{}-{}", clock::unix_ms(), std::process::id())),
        timeout: Duration::from_millis(options.timeout_ms),
        recorder: Mutex::new(Recorder::new(options.rps, options.payments_rps)),
        in_flight: AtomicU64::new(0),
    });
    announce(&serde_json::json!({ "started": clock::rfc3339(clock::unix_ms()) }));
    let reporting = options
        .report
        .clone()
        .map(|path| tokio::spawn(keep_reporting(Arc::clone(&load), path)));
    send_on_schedule(&load, &options, stop).await;
    while load.in_flight.load(Ordering::Acquire) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if let Some(reporting) = reporting {
        reporting.abort();
        let _ = reporting.await;
    }
    let report = load.report(true);
    if let Some(path) = &options.report {
        write_durably(path, &serde_json::to_vec_pretty(&report).unwrap_or_default())?;
    }
    announce(&serde_json::json!({ "finished": report.summary() }));
    Ok(())
}

fn stop_signal(exit_with_parent: bool) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    if exit_with_parent {
        let stop = Arc::clone(&stop);
        on_parent_gone(move || {
            stop.send_replace(true);
        });
    }
    tokio::spawn(async move {
        terminated().await;
        stop.send_replace(true);
    });
    stopped
}

async fn send_on_schedule(load: &Arc<Load>, options: &Options, mut stop: watch::Receiver<bool>) {
    let began = Instant::now();
    let length = options.duration.map(Duration::from_secs_f64);
    for number in 0u64.. {
        let offset = Duration::from_nanos(number.saturating_mul(1_000_000_000) / u64::from(options.rps));
        if length.is_some_and(|length| offset >= length) {
            break;
        }
        let intended = began + offset;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep_until(intended) => {}
        }
        let plan = plan(number, options.rps, options.payments_rps, load.cells.len() as u64);
        let load = Arc::clone(load);
        load.in_flight.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            load.send(plan, intended).await;
            load.in_flight.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// Which cell a request goes to, and the how-manieth of its kind it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    payment: bool,
    cell: usize,
    nth: u64,
}

/// Payments and reads are spread evenly over the schedule, and each kind evenly over the cells.
fn plan(number: u64, rps: u32, payments_rps: u32, cells: u64) -> Plan {
    let payments_before = |n: u64| n.wrapping_mul(payments_rps.into()) / u64::from(rps);
    let payment = payments_before(number + 1) > payments_before(number);
    let of_its_kind = if payment {
        payments_before(number)
    } else {
        number - payments_before(number)
    };
    Plan {
        payment,
        cell: usize::try_from(of_its_kind % cells).unwrap_or(0),
        nth: of_its_kind / cells,
    }
}

async fn tenants(http: &Http, url: &str) -> std::result::Result<Vec<Tenant>, String> {
    let uri = format!("{url}/v1/routes");
    let routes: BTreeMap<String, Route> = client::get_json(http, &uri, Duration::from_secs(5)).await?;
    Ok(routes
        .into_iter()
        .map(|(name, route)| Tenant {
            name,
            route,
            payments: VecDeque::new(),
        })
        .collect())
}

async fn keep_reporting(load: Arc<Load>, path: PathBuf) {
    loop {
        let report = serde_json::to_vec_pretty(&load.report(false)).unwrap_or_default();
        let path = path.clone();
        // Beside the schedule, which a slow disk must not hold up.
        let _ = tokio::task::spawn_blocking(move || write_durably(&path, &report)).await;
        tokio::time::sleep(REPORT_EVERY).await;
    }
}

struct Request {
    method: Method,
    uri: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Load {
    fn report(&self, finished: bool) -> Report {
        let in_flight = self.in_flight.load(Ordering::Acquire);
        self.recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .report(finished, in_flight)
    }

    async fn send(&self, plan: Plan, intended: Instant) {
        let cell = &self.cells[plan.cell];
        let (tenant, kind, request) = self.request(cell, plan);
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let sent_at = clock::unix_ms();
        // The client's own patience starts when the request leaves.
        let sending = client::request(
            &self.http,
            request.method,
            &request.uri,
            &headers,
            request.body.into(),
            self.timeout,
        );
        let outcome = match sending.await {
            Ok(answer) => {
                if answer.status == StatusCode::ACCEPTED {
                    cell.remember(&tenant, &answer.body);
                } else if answer.status == StatusCode::CONFLICT {
                    self.learn_routes(cell).await;
                }
                Outcome::Status(answer.status.as_u16())
            }
            Err(error) if error.contains("no answer in") => Outcome::Timeout,
            Err(_) => Outcome::ConnectionError,
        };
        let sent = Sent {
            cell: &cell.name,
            tenant: &tenant,
            kind,
            outcome,
            latency: intended.elapsed(),
            sent_at,
        };
        self.recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(&sent);
    }

    fn request(&self, cell: &Cell, plan: Plan) -> (String, Kind, Request) {
        let tenants = cell.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let count = tenants.len() as u64;
        let tenant = &tenants[usize::try_from(plan.nth % count).unwrap_or(0)];
        let turn = plan.nth / count;
        let account = u32::try_from(turn % u64::from(ACCOUNTS_PER_TENANT)).unwrap_or(0) + 1;
        let account = customer_account(&tenant.name, account);
        let mut headers = vec![
            (model::TENANT, tenant.name.clone()),
            (model::ROUTE_EPOCH, tenant.route.epoch.to_string()),
        ];
        let (kind, method, path, body) = if plan.payment {
            let key = format!("{}-{}-{}", self.run, cell.name, plan.nth);
            headers.push((model::IDEMPOTENCY_KEY, key.clone()));
            headers.push(("content-type", "application/json".to_owned()));
            let initiation = initiation(&tenant.route.currency, &account, plan.nth);
            (
                Kind::Payment,
                Method::POST,
                "/v1/payments".to_owned(),
                serde_json::to_vec(&initiation).unwrap_or_default(),
            )
        } else {
            // Every second read asks for a payment, once there is one to ask for.
            let payment = tenant
                .payments
                .get(usize::try_from(turn % REMEMBERED as u64).unwrap_or(0));
            let path = match payment.filter(|_| turn % 2 == 1) {
                Some(id) => format!("/v1/payments/{id}"),
                None => format!("/v1/accounts/{account}/balance"),
            };
            (Kind::Read, Method::GET, path, Vec::new())
        };
        (
            tenant.name.clone(),
            kind,
            Request {
                method,
                uri: format!("{}{path}", cell.url),
                headers,
                body,
            },
        )
    }

    /// A client that is told that its route is stale asks for the current one.
    async fn learn_routes(&self, cell: &Cell) {
        if let Ok(current) = tenants(&self.http, &cell.url).await {
            let mut known = cell.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            for tenant in known.iter_mut() {
                if let Some(fresh) = current.iter().find(|fresh| fresh.name == tenant.name) {
                    tenant.route = fresh.route.clone();
                }
            }
        }
    }
}

impl Cell {
    fn remember(&self, tenant: &str, answer: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<serde_json::Value>(answer) else {
            return;
        };
        let Some(id) = answer["payment_id"].as_str() else {
            return;
        };
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = tenants.iter_mut().find(|known| known.name == tenant) {
            if tenant.payments.len() == REMEMBERED {
                tenant.payments.pop_front();
            }
            tenant.payments.push_back(id.to_owned());
        }
    }
}

fn initiation(currency: &str, debtor_account: &str, nth: u64) -> Initiation {
    Initiation {
        msg_id: format!("MSG-{nth}"),
        end_to_end_id: format!("E2E-{nth}"),
        amount_minor: i64::try_from(nth % 5_000).unwrap_or(0) + 100,
        currency: currency.to_owned(),
        debtor: Debtor {
            name: "Wanjiku Trading".to_owned(),
            account: debtor_account.to_owned(),
        },
        creditor: Creditor {
            name: "Otieno Supplies".to_owned(),
            account: format!("{:010}", (nth % 90) * 100 + 7),
            agent: "BARCKENX".to_owned(),
        },
        remittance_information: Some(format!("invoice {nth}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_has_the_asked_mix_in_every_second() {
        let plans: Vec<Plan> = (0..800).map(|number| plan(number, 400, 150, 2)).collect();
        for second in plans.chunks(400) {
            assert_eq!(second.iter().filter(|p| p.payment).count(), 150);
            assert_eq!(second.iter().filter(|p| p.cell == 0).count(), 200);
            assert_eq!(second.iter().filter(|p| p.payment && p.cell == 1).count(), 75);
        }
        let mut seen: Vec<_> = plans.iter().map(|p| (p.payment, p.cell, p.nth)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 800, "no request is planned twice");
    }
}
