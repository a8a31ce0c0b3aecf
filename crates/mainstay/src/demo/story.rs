//! The story, line by line. A run prints the same lines in the same order as the one before; only times and counts
//! differ.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::api::{Api, CellTotals, Counts, Incident, LoadReport, Summary};
use super::children::{Process, free_addresses, this_or_free};
use super::{Options, Release, Scenario};

/// The objective whose budget the story counts.
const SLO: &str = "api-availability-30d";
/// How often the demo looks.
const LOOK: Duration = Duration::from_millis(500);
/// How often targets are scraped in the demo, in seconds.
const SCRAPE_INTERVAL_S: u32 = 5;

/// Why the demo broke off.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{name}: {source}")]
    Child { name: &'static str, source: io::Error },
    #[error("{name} ended: {status}")]
    Ended { name: &'static str, status: String },
    #[error("{0}")]
    Http(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is not there: run the demo from the root of the repository, or say {option}")]
    Missing { path: PathBuf, option: &'static str },
    #[error("waited {waited:?} for {what} in vain")]
    InVain { what: String, waited: Duration },
    #[error("{0}")]
    Wrong(String),
}

/// Everything that runs.
struct Stage {
    api: Api,
    serve: Process,
    supervisor: Process,
    inbox: Process,
    load: Option<Process>,
    report: PathBuf,
    console: String,
    started: tokio::time::Instant,
    restarts: u32,
}

pub(super) async fn tell(options: &Options) -> Result<(), DemoError> {
    let release = options.scenario.release();
    let mut stage = Stage::set(options).await?;
    let told = tokio::select! {
        told = play(&mut stage, options, &release) => told,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    stage.strike().await?;
    told
}

async fn play(stage: &mut Stage, options: &Options, release: &Release) -> Result<(), DemoError> {
    let cell = options.cells.last().map_or("cell-5", String::as_str);
    let before = stage.counts(cell).await?;
    let known: Vec<String> = stage
        .api
        .incidents()
        .await?
        .into_iter()
        .map(|incident| incident.id)
        .collect();
    stage.load_begins(options)?;
    stage.say(&format!(
        "traffic flows: {} requests/s at the gateways, {} of them payments",
        options.rps, options.payments_rps
    ));
    stage.pause(Duration::from_secs(options.warm_up_s)).await?;
    stage.api.deploy(cell, release.service, release.version).await?;
    stage.say(&format!(
        "deployed {} {} to {cell}, all pods at once",
        release.service, release.version
    ));
    if release.bad {
        outage(stage, options, release, cell, &known).await?;
    } else {
        stage.pause(Duration::from_secs(90)).await?;
        let news = stage
            .api
            .incidents()
            .await?
            .into_iter()
            .find(|incident| !known.contains(&incident.id));
        match news {
            None => stage.say("a good release: no request failed for it, no incident, nobody was paged"),
            Some(incident) => {
                return Err(DemoError::Wrong(format!(
                    "a good release led to incident {}",
                    incident.id
                )));
            }
        }
    }
    balance(stage, options, cell, before).await?;
    if options.interactive {
        stage.say(&format!(
            "the console stays open at {} until you press Ctrl-C",
            stage.console
        ));
        loop {
            stage.pause(Duration::from_secs(3_600)).await?;
        }
    }
    Ok(())
}

async fn outage(
    stage: &mut Stage,
    options: &Options,
    release: &Release,
    cell: &str,
    known: &[String],
) -> Result<(), DemoError> {
    let deployed_at = Timestamp::now();
    let first_failure = stage.first_failure(cell, deployed_at).await?;
    stage.say("the first request failed");
    let incident = stage.new_incident(known).await?;
    let id = incident.id.clone();
    stage.say(&format!(
        "incident {id} declared: {} {}",
        incident.severity, incident.title
    ));
    let paged = stage
        .until("the page to be delivered", 60, &id, |incident| {
            !receipts(incident).is_empty()
        })
        .await?;
    let (at, who) =
        first_receipt(&paged).ok_or_else(|| DemoError::Wrong("a page without a receipt".to_owned()))?;
    stage.say(&format!(
        "page delivered to {who}, {} after the first failure",
        after(first_failure, at)
    ));
    let page_delay = at.duration_since(first_failure);

    if options.interactive {
        stage.say(&format!(
            "your turn: acknowledge at {}/incidents/{id}",
            stage.console
        ));
    } else {
        stage.pause(Duration::from_secs(5)).await?;
        stage.api.acknowledge(&id).await?;
    }
    let acknowledged = |incident: &Incident| instant_of(incident, "acknowledged by");
    let now = stage
        .until("an acknowledgement", 3_600, &id, |incident| {
            acknowledged(incident).is_some()
        })
        .await?;
    let acknowledged_at = acknowledged(&now).unwrap_or(at);
    stage.say("acknowledged");
    if let Some(suspect) = &now.summary.suspect {
        stage.say(&format!("suspect: {suspect}"));
    }

    let (runbook, step) = release.runbook;
    if options.interactive {
        stage.say(&format!(
            "your turn: run the rollback step of runbook {runbook} on the incident's page"
        ));
    } else {
        stage.pause(Duration::from_secs(5)).await?;
        stage.api.run_step(&id, runbook, step).await?;
    }
    let rolled_back = format!("{runbook} step {step} done");
    stage
        .until("the rollback", 3_600, &id, |incident| {
            instant_of(incident, &rolled_back).is_some()
        })
        .await?;
    stage.say(&format!("rolled back by runbook {runbook}"));
    let now = stage
        .until("recovery", 600, &id, |incident| {
            instant_of(incident, "recovered").is_some()
        })
        .await?;
    let recovered_at = stage
        .last_failure(cell)
        .or_else(|| instant_of(&now, "recovered"))
        .unwrap_or(at);
    stage.say(&format!(
        "recovered, {} after the first failure",
        after(first_failure, recovered_at)
    ));
    let all_clear = "no alert fires any more";
    stage
        .until("the alerts to clear", 900, &id, |incident| {
            instant_of(incident, all_clear).is_some() && incident.resolve_blocked.is_none()
        })
        .await?;
    stage.say("the alerts cleared by their own windows");
    if options.interactive {
        stage.say(&format!(
            "your turn: resolve the incident at {}/incidents/{id}",
            stage.console
        ));
    } else {
        stage.api.resolve(&id).await?;
    }
    let now = stage
        .until("resolution", 3_600, &id, |incident| {
            incident.summary.resolved_at.is_some()
        })
        .await?;
    let resolved_at = now.summary.resolved_at.unwrap_or(recovered_at);
    stage.say(&format!(
        "resolved, {} after the first failure",
        after(first_failure, resolved_at)
    ));

    let file = stage.report.with_file_name(format!("postmortem-{id}.md"));
    let text = stage.api.postmortem(&id).await?;
    std::fs::write(&file, text).map_err(|source| DemoError::File {
        path: file.clone(),
        source,
    })?;
    stage.say(&format!("post-mortem drafted: {}", file.display()));
    anstream::println!();
    anstream::println!("           from the first failing request   target");
    let row = |name: &str, at: Timestamp, target: &str| {
        anstream::println!(
            "  {name:<12} {:>10}                    {target}",
            after(first_failure, at)
        );
    };
    row(
        "detect",
        first_failure.saturating_add(page_delay).unwrap_or(at),
        "5 min",
    );
    row("acknowledge", acknowledged_at, "5 min");
    row("mitigate", recovered_at, "30 min");
    row("resolve", resolved_at, "4 h");
    let hit = now.summary.tenants.join(", ");
    anstream::println!("  {} tenants hit: {hit}", now.summary.tenants.len());
    Ok(())
}

/// Stops the load, waits for the last scrape, and holds the counts of Mainstay against those of the clients.
async fn balance(stage: &mut Stage, options: &Options, cell: &str, before: Counts) -> Result<(), DemoError> {
    let report = stage.load_ends().await?;
    let seen = report.cells.get(cell).cloned().unwrap_or_default();
    let mut counted = Counts::default();
    for _ in 0..60 {
        let now = stage.counts(cell).await?;
        counted = Counts {
            bad: now.bad - before.bad,
            total: now.total - before.total,
        };
        if counted.total >= seen.total {
            break;
        }
        stage.pause(Duration::from_secs(1)).await?;
    }
    anstream::println!();
    anstream::println!(
        "  budget of {cell} (99.95 %): {} bad of {} requests counted by Mainstay",
        counted.bad,
        counted.total
    );
    anstream::println!(
        "  {:>27} {} bad of {} requests seen by the clients",
        "",
        seen.bad,
        seen.total
    );
    let agree = (counted.bad, counted.total) == (seen.bad, seen.total);
    let allowed = counted.total / 2_000;
    anstream::println!(
        "  {:>27} the counts {}; {allowed} bad would have been allowed",
        "",
        if agree { "agree to the integer" } else { "DIFFER" }
    );
    if agree || options.interactive {
        return Ok(());
    }
    Err(DemoError::Wrong(
        "the counts of Mainstay and of the clients differ".to_owned(),
    ))
}

impl Stage {
    async fn set(options: &Options) -> Result<Self, DemoError> {
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
        let [smtp, inbox_http, supervisor_at] = free_addresses()?;
        let listen = this_or_free(options.listen)?;
        let gateways = gateway_addresses(&options.cells)?;
        let console = format!("http://{listen}");
        let supervisor_url = format!("http://{supervisor_at}");
        let path = |path: PathBuf| path.display().to_string();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();

        let mut arguments = words(&[
            "inbox",
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
    async fn strike(self) -> Result<(), DemoError> {
        if let Some(load) = self.load {
            load.finish().await?;
        }
        self.supervisor.finish().await?;
        self.serve.finish().await?;
        self.inbox.finish().await
    }

    fn say(&self, text: &str) {
        let elapsed = self.started.elapsed().as_secs();
        anstream::println!("  {:>2}:{:02}  {text}", elapsed / 60, elapsed % 60);
    }

    /// Lets time pass, and keeps an eye on the children: a control plane that died is started again, and the story goes
    /// on.
    async fn pause(&mut self, span: Duration) -> Result<(), DemoError> {
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

    fn load_begins(&mut self, options: &Options) -> Result<(), DemoError> {
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

    async fn load_ends(&mut self) -> Result<LoadReport, DemoError> {
        if let Some(load) = self.load.take() {
            load.finish().await?;
        }
        let report = Api::read_report(&self.report).filter(|report| report.finished);
        report.ok_or_else(|| DemoError::Wrong(format!("{} has no final report", self.report.display())))
    }

    fn cell_totals(&self, cell: &str) -> Option<CellTotals> {
        Api::read_report(&self.report)?.cells.get(cell).cloned()
    }

    fn last_failure(&self, cell: &str) -> Option<Timestamp> {
        self.cell_totals(cell)?.last_error_at
    }

    /// The first request that failed after `since`, as the clients saw it.
    async fn first_failure(&mut self, cell: &str, since: Timestamp) -> Result<Timestamp, DemoError> {
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

    async fn new_incident(&mut self, known: &[String]) -> Result<Summary, DemoError> {
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

    async fn until(
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

    async fn counts(&mut self, cell: &str) -> Result<Counts, DemoError> {
        for _ in 0..20 {
            if let Ok(counts) = self.api.counts(SLO, cell).await {
                return Ok(counts);
            }
            self.pause(LOOK).await?;
        }
        self.api.counts(SLO, cell).await
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

fn receipts(incident: &Incident) -> Vec<&super::api::Receipt> {
    incident.pages.iter().flat_map(|page| &page.receipts).collect()
}

/// When and by what the first receiver had the page.
fn first_receipt(incident: &Incident) -> Option<(Timestamp, String)> {
    let receipts = receipts(incident);
    let first = receipts.iter().min_by_key(|receipt| receipt.at)?;
    Some((first.at, format!("{} by {}", first.to, first.channel)))
}

/// When the line of the timeline that contains `text` last happened.
fn instant_of(incident: &Incident, text: &str) -> Option<Timestamp> {
    incident
        .timeline
        .iter()
        .filter(|entry| entry.text.contains(text))
        .map(|entry| entry.at)
        .max()
}

/// `52 s`, `3 min 20 s`.
fn after(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}
