//! Everything that runs in a demo: the processes, and how the story waits for what they do.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::api::{Api, CellTotals, Counts, Incident, LoadReport, Summary};
use super::children::{Process, free_addresses, this_or_free};
use super::error::DemoError;
use super::{Options, Scenario};

/// The objective whose budget the story counts.
const SLO: &str = "api-availability-30d";
/// How often the demo looks.
const LOOK: Duration = Duration::from_millis(500);
/// How often targets are scraped in the demo, in seconds.
pub(super) const SCRAPE_INTERVAL_S: u32 = 5;
/// Objectives are judged at least this often.
pub(super) const TICK_S: u32 = 10;

/// Everything that runs.
pub(super) struct Stage {
    pub(super) api: Api,
    serve: Process,
    supervisor: Process,
    inbox: Process,
    load: Option<Process>,
    pub(super) report: PathBuf,
    pub(super) console: String,
    started: tokio::time::Instant,
    restarts: u32,
}

impl Stage {
    pub(super) async fn set(options: &Options) -> Result<Self, DemoError> {
        for (path, option) in [
            (&options.catalog, "--catalog"),
            (&options.manifests, "--manifests"),
        ] {
            if !path.is_dir() {
                return Err(DemoError::Missing {
                    path: path.clone(),
                    option,
                });
            }
        }
        let logs = options.data.join("logs");
        std::fs::create_dir_all(&logs).map_err(|source| DemoError::File {
            path: logs.clone(),
            source,
        })?;
        let [smtp, inbox_http, callbacks, supervisor_at] = free_addresses()?;
        let listen = this_or_free(options.listen)?;
        let gateways = gateway_addresses(&options.cells)?;
        let console = format!("http://{listen}");
        let supervisor_url = format!("http://{supervisor_at}");
        let path = |path: PathBuf| path.display().to_string();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();

        let mut arguments = words(&[
            "inbox",
            "--exit-with-parent",
            "--smtp",
            &smtp.to_string(),
            "--http",
            &inbox_http.to_string(),
        ]);
        arguments.extend(["--file".to_owned(), path(options.data.join("inbox.jsonl"))]);
        let inbox = Process::start("inbox", arguments, Vec::new(), &logs)?;

        let mut arguments = words(&["payd", "supervisor", "--exit-with-parent", "--pod-prefix", "payd"]);
        arguments.extend([
            "--manifests".to_owned(),
            path(options.manifests.clone()),
            "--cells".to_owned(),
            options.cells.join(","),
        ]);
        arguments.extend([
            "--data".to_owned(),
            path(options.data.join("platform")),
            "--listen".to_owned(),
            supervisor_at.to_string(),
        ]);
        arguments.extend(["--events".to_owned(), format!("{console}/api/v1/changes")]);
        arguments.extend([
            "--completions".to_owned(),
            format!("{console}/api/v1/completions"),
        ]);
        for (cell, address) in &gateways {
            arguments.extend(["--gateway".to_owned(), format!("{cell}={address}")]);
        }
        let supervisor = Process::start("supervisor", arguments, Vec::new(), &logs)?;

        let mut arguments = words(&["serve", "--exit-with-parent", "--listen", &listen.to_string()]);
        arguments.extend([
            "--data".to_owned(),
            path(options.data.join("mainstay")),
            "--catalog".to_owned(),
            path(options.catalog.clone()),
        ]);
        arguments.extend(["--targets-url".to_owned(), format!("{supervisor_url}/v1/targets")]);
        arguments.extend(["--scrape-interval-s".to_owned(), SCRAPE_INTERVAL_S.to_string()]);
        arguments.extend([
            "--supervisor".to_owned(),
            supervisor_url.clone(),
            "--inbox".to_owned(),
            format!("http://{inbox_http}"),
        ]);
        let environment = vec![
            ("MAINSTAY_SMTP_HOST", smtp.ip().to_string()),
            ("MAINSTAY_SMTP_PORT", smtp.port().to_string()),
            ("MAINSTAY_CHAT_URL", format!("http://{inbox_http}/chat")),
            ("MAINSTAY_TELEPHONE_ACCOUNT", "ACdemo".to_owned()),
            ("MAINSTAY_TELEPHONE_TOKEN", "demo".to_owned()),
            ("MAINSTAY_TELEPHONE_URL", format!("http://{inbox_http}")),
            ("MAINSTAY_TELEPHONE_CALLBACK_URL", format!("http://{callbacks}")),
            ("MAINSTAY_TELEPHONE_CALLBACK_LISTEN", callbacks.to_string()),
        ];
        let serve = Process::start("serve", arguments, environment, &logs)?;

        anstream::println!(
            "Mainstay demo: {} cells of a payments platform on this machine, {}.",
            options.cells.len(),
            match options.scenario {
                Scenario::Good => "a good release",
                Scenario::BadDeploy | Scenario::BadClearing => "a bad release",
            }
        );
        anstream::println!("  console  {console}");
        anstream::println!();
        let mut stage = Self {
            api: Api::new(console.clone(), supervisor_url)?,
            serve,
            supervisor,
            inbox,
            load: None,
            report: options.data.join("loadgen.json"),
            console,
            started: tokio::time::Instant::now(),
            restarts: 0,
        };
        stage.wait_until_up().await?;
        let pods = stage.api.pods().await?;
        stage.say(&format!(
            "the platform is up: {}, {pods} pods",
            options.cells.join(" and ")
        ));
        Ok(stage)
    }

    async fn wait_until_up(&mut self) -> Result<(), DemoError> {
        for _ in 0..240 {
            if self.api.console_is_up().await && self.api.platform_is_ready().await {
                return Ok(());
            }
            self.pause(LOOK).await?;
        }
        Err(DemoError::InVain {
            what: "the platform and the console".to_owned(),
            waited: LOOK * 240,
        })
    }

    /// Ends every child, the load first, the control plane last.
    pub(super) async fn strike(self) -> Result<(), DemoError> {
        if let Some(load) = self.load {
            load.finish().await?;
        }
        self.supervisor.finish().await?;
        self.serve.finish().await?;
        self.inbox.finish().await
    }

    pub(super) fn say(&self, text: &str) {
        let elapsed = self.started.elapsed().as_secs();
        anstream::println!("  {:>2}:{:02}  {text}", elapsed / 60, elapsed % 60);
    }

    /// Lets time pass, and keeps an eye on the children: a control plane that died is started again, and the story goes
    /// on.
    pub(super) async fn pause(&mut self, span: Duration) -> Result<(), DemoError> {
        let end = tokio::time::Instant::now() + span;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            tokio::time::sleep(left.min(LOOK)).await;
            if self.serve.revive()? {
                self.restarts += 1;
                self.say("the control plane died and was started again on the same data");
            }
            for (name, child) in [
                ("the supervisor", &mut self.supervisor),
                ("the inbox", &mut self.inbox),
            ] {
                if let Some(status) = child.ended()? {
                    return Err(DemoError::Ended {
                        name,
                        status: status.to_string(),
                    });
                }
            }
            if left <= LOOK {
                return Ok(());
            }
        }
    }

    pub(super) fn load_begins(&mut self, options: &Options) -> Result<(), DemoError> {
        let mut arguments = vec![
            "payd".to_owned(),
            "loadgen".to_owned(),
            "--exit-with-parent".to_owned(),
        ];
        arguments.extend([
            "--rps".to_owned(),
            options.rps.to_string(),
            "--payments-rps".to_owned(),
            options.payments_rps.to_string(),
        ]);
        arguments.extend(["--report".to_owned(), self.report.display().to_string()]);
        for (cell, address) in gateway_addresses(&options.cells)? {
            arguments.extend(["--gateway".to_owned(), format!("{cell}=http://{address}")]);
        }
        if self.report.exists() {
            std::fs::remove_file(&self.report).map_err(|source| DemoError::File {
                path: self.report.clone(),
                source,
            })?;
        }
        self.load = Some(Process::start(
            "loadgen",
            arguments,
            Vec::new(),
            &options.data.join("logs"),
        )?);
        Ok(())
    }

    pub(super) async fn load_ends(&mut self) -> Result<LoadReport, DemoError> {
        if let Some(load) = self.load.take() {
            load.finish().await?;
        }
        let report = Api::read_report(&self.report).filter(|report| report.finished);
        report.ok_or_else(|| DemoError::Wrong(format!("{} has no final report", self.report.display())))
    }

    fn cell_totals(&self, cell: &str) -> Option<CellTotals> {
        Api::read_report(&self.report)?.cells.get(cell).cloned()
    }

    pub(super) fn last_failure(&self, cell: &str) -> Option<Timestamp> {
        self.cell_totals(cell)?.last_error_at
    }

    /// The first request that failed after `since`, as the clients saw it.
    pub(super) async fn first_failure(
        &mut self,
        cell: &str,
        since: Timestamp,
    ) -> Result<Timestamp, DemoError> {
        for _ in 0..240 {
            self.pause(LOOK).await?;
            let totals = self.cell_totals(cell).unwrap_or_default();
            if let (Some(first), Some(last)) = (totals.first_error_at, totals.last_error_at)
                && last >= since
            {
                return Ok(first.max(since));
            }
        }
        Err(DemoError::InVain {
            what: "a failing request".to_owned(),
            waited: LOOK * 240,
        })
    }

    /// When the budget of any tenant of a cell burnt as fast as the fast burn alert minds, by what the clients saw, to the
    /// second. The load is younger than the alert's short window: its windows hold all of it.
    pub(super) async fn burns_too_fast(&mut self, cell: &str) -> Result<Timestamp, DemoError> {
        let factor = |counts: Counts| {
            // 14.4 times the 0.05 % that 99.95 % leave.
            counts.bad >= mainstay_slo::burn::MIN_BAD_DEFAULT && counts.bad * 10_000 >= counts.total * 72
        };
        for _ in 0..240 {
            if let Some(report) = Api::read_report(&self.report)
                && report.tenants(cell).into_values().any(factor)
            {
                return Ok(report.at);
            }
            self.pause(LOOK).await?;
        }
        Err(DemoError::InVain {
            what: "a budget that burns too fast".to_owned(),
            waited: LOOK * 240,
        })
    }

    pub(super) async fn new_incident(&mut self, known: &[String]) -> Result<Summary, DemoError> {
        for _ in 0..240 {
            self.pause(LOOK).await?;
            // While the control plane restarts there is no answer; then there is.
            let Ok(incidents) = self.api.incidents().await else {
                continue;
            };
            if let Some(incident) = incidents
                .into_iter()
                .find(|incident| !known.contains(&incident.id))
            {
                return Ok(incident);
            }
        }
        Err(DemoError::InVain {
            what: "an incident".to_owned(),
            waited: LOOK * 240,
        })
    }

    pub(super) async fn until(
        &mut self,
        what: &str,
        limit_s: u64,
        id: &str,
        holds: impl Fn(&Incident) -> bool,
    ) -> Result<Incident, DemoError> {
        let limit = Duration::from_secs(limit_s);
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < limit {
            if let Ok(incident) = self.api.incident(id).await
                && holds(&incident)
            {
                return Ok(incident);
            }
            self.pause(LOOK).await?;
        }
        Err(DemoError::InVain {
            what: what.to_owned(),
            waited: limit,
        })
    }

    /// What Mainstay counted so far, by cell. It must have read the gateways: what a counter held before its first read is
    /// history, so traffic may begin only then.
    pub(super) async fn counts(&mut self, cells: &[String]) -> Result<Vec<Counts>, DemoError> {
        let mut counts = Vec::with_capacity(cells.len());
        for cell in cells {
            counts.push(self.counts_of(cell).await?);
        }
        Ok(counts)
    }

    async fn counts_of(&mut self, cell: &str) -> Result<Counts, DemoError> {
        for _ in 0..120 {
            if let Some(counts) = self.insist(async |api| api.counts(SLO, cell).await).await? {
                return Ok(counts);
            }
            self.pause(LOOK).await?;
        }
        Err(DemoError::InVain {
            what: format!("a first read of the gateway of {cell}"),
            waited: LOOK * 120,
        })
    }

    /// Asks for something until there is an answer: the control plane may be down for a moment. What was done before it
    /// died, and is asked for again, is refused as done already; that is as good as an answer.
    pub(super) async fn insist<T: Default>(
        &mut self,
        ask: impl AsyncFn(&Api) -> Result<T, DemoError>,
    ) -> Result<T, DemoError> {
        let mut asked_before = false;
        for _ in 0..120 {
            match ask(&self.api).await {
                Err(DemoError::NoAnswer { .. }) => asked_before = true,
                Err(DemoError::Refused { status: 409, .. }) if asked_before => return Ok(T::default()),
                answer => return answer,
            }
            self.pause(LOOK).await?;
        }
        ask(&self.api).await
    }
}

/// Where the gateways listen: the same on every run, so that their counters keep their names.
fn gateway_addresses(cells: &[String]) -> Result<Vec<(String, String)>, DemoError> {
    const FIRST_PORT: u16 = 7_081;
    let port = |index: usize| {
        u16::try_from(index)
            .ok()
            .and_then(|index| FIRST_PORT.checked_add(index))
    };
    let address = |(index, cell): (usize, &String)| {
        let port = port(index).ok_or_else(|| DemoError::Wrong("too many cells".to_owned()))?;
        Ok((cell.clone(), format!("127.0.0.1:{port}")))
    };
    cells.iter().enumerate().map(address).collect()
}
