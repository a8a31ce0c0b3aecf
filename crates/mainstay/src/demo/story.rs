//! The story, line by line. A run prints the same lines in the same order as the one before; only times and counts
//! differ.

use std::time::Duration;

use jiff::Timestamp;

use super::api::{Counts, Incident};
use super::error::DemoError;
use super::stage::{SCRAPE_INTERVAL_S, Stage, TICK_S};
use super::{Options, Release};

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
    let before = stage.counts(&options.cells).await?;
    let known: Vec<String> = stage
        .insist(async |api| api.incidents().await)
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
            .insist(async |api| api.incidents().await)
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
    balance(stage, options, &before).await?;
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
    let crossed_at = stage.burns_too_fast(cell).await?;
    let incident = stage.new_incident(known).await?;
    let id = incident.id.clone();
    let fired = stage
        .insist(async |api| api.burn_alert(cell, deployed_at).await)
        .await?;
    let fired_at = fired.ok_or_else(|| DemoError::Wrong("an incident without a burn alert".to_owned()))?;
    stage.say(&format!(
        "burn alert, {} after the budget burnt 14.4 times too fast in the clients' counts; a scrape and a tick are {} s",
        after(crossed_at, fired_at),
        SCRAPE_INTERVAL_S + TICK_S,
    ));
    stage.say(&format!(
        "incident {id} declared: {} {}",
        incident.severity, incident.title
    ));
    let paged = stage
        .until("the page to be delivered", 60, &id, |incident| {
            first_receipt(incident).is_some()
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
        stage.insist(async |api| api.acknowledge(&id).await).await?;
    }
    let acknowledged = |incident: &Incident| instant_of(incident, "acknowledged");
    let now = stage
        .until("an acknowledgement", 3_600, &id, |incident| {
            acknowledged(incident).is_some()
        })
        .await?;
    let acknowledged_at = acknowledged(&now).unwrap_or(at);
    stage.say("acknowledged");
    let suspect = now.summary.suspect.as_deref();
    stage.say(&format!(
        "suspect: {}",
        suspect.unwrap_or("no change was recorded")
    ));

    let (runbook, step) = release.runbook;
    if options.interactive {
        stage.say(&format!(
            "your turn: run the rollback step of runbook {runbook} on the incident's page"
        ));
    } else {
        stage.pause(Duration::from_secs(5)).await?;
        stage
            .insist(async |api| api.run_step(&id, runbook, step).await)
            .await?;
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
        stage.insist(async |api| api.resolve(&id).await).await?;
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
    let text = stage.insist(async |api| api.postmortem(&id).await).await?;
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
async fn balance(stage: &mut Stage, options: &Options, before: &[Counts]) -> Result<(), DemoError> {
    let report = stage.load_ends().await?;
    let seen: Vec<Counts> = options
        .cells
        .iter()
        .map(|cell| {
            report
                .cells
                .get(cell)
                .map_or_else(Counts::default, |seen| seen.counts())
        })
        .collect();
    let mut counted = Vec::new();
    for _ in 0..60 {
        let now = stage.counts(&options.cells).await?;
        counted = now
            .iter()
            .zip(before)
            .map(|(now, before)| *now - *before)
            .collect();
        if counted
            .iter()
            .zip(&seen)
            .all(|(counted, seen)| counted.total >= seen.total)
        {
            break;
        }
        stage.pause(Duration::from_secs(1)).await?;
    }
    anstream::println!();
    anstream::println!("           bad of all requests:      Mainstay   the clients   allowed at 99.95 %");
    for ((cell, counted), seen) in options.cells.iter().zip(&counted).zip(&seen) {
        anstream::println!(
            "  {cell:<12} {:>26} {:>20}   {:>8} bad",
            format!("{} of {}", counted.bad, counted.total),
            format!("{} of {}", seen.bad, seen.total),
            counted.total / 2_000
        );
    }
    let agree = counted == seen;
    anstream::println!(
        "  the counts {}",
        if agree { "agree to the integer" } else { "DIFFER" }
    );
    if agree || options.interactive {
        return Ok(());
    }
    Err(DemoError::Wrong(
        "the counts of Mainstay and of the clients differ".to_owned(),
    ))
}

/// When and by what the first page reached who is on call.
fn first_receipt(incident: &Incident) -> Option<(Timestamp, String)> {
    let to_whom = incident
        .pages
        .iter()
        .flat_map(|page| page.receipts.iter().filter(move |receipt| receipt.to == page.to));
    let first = to_whom.min_by_key(|receipt| receipt.at)?;
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
