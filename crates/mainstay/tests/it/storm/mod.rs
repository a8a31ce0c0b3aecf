//! Pages under fire: a live server with real sockets that is killed, stopped, cut off and flooded. No page is lost, none is
//! repeated without saying so, and none comes late.

mod alerts;
mod failover;
mod kills;
mod latency;
mod postgres;
mod receiver;
mod site;

use std::fs;
use std::path::Path;

use crate::catalogs::copy_of_catalog;

/// A number from the environment: which tier runs, from which seed.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn is_full() -> bool {
    setting("MAINSTAY_FULL") == Some(1)
}

/// The seed of this run, which it prints.
fn seed() -> u64 {
    let seed = setting("MAINSTAY_SEED").unwrap_or(0x5eed);
    println!("MAINSTAY_SEED={seed}");
    seed
}

const ROUTING: &str = r##"
apiVersion: mainstay/v1
kind: Channels
metadata: {name: channels}
spec:
  chat: {url: "${STORM_CHAT}"}
  webhooks:
    desk: "${STORM_HOOK}"
    slow: "${STORM_SLOW}"
---
# Every alert is a group of its own, and waits for no other.
apiVersion: mainstay/v1
kind: Routing
metadata: {name: routing}
spec:
  receivers:
    - {name: on-call, page: payments, webhooks: [desk]}
    - {name: desk, webhooks: [desk]}
    - {name: slow, webhooks: [slow]}
  route:
    receiver: desk
    group_by: [alertname, number]
    group_wait: 0s
    group_interval: 1m
    repeat_interval: 4h
    routes:
      - {receiver: slow, matchers: ['lane="slow"']}
      - {receiver: on-call, matchers: ['priority=~"P[01]"']}
"##;

/// The payments platform with nothing that judges it by itself, whose alerts each tell a webhook, and whose urgent ones page
/// people by chat.
fn catalog() -> tempfile::TempDir {
    let catalog = copy_of_catalog();
    for folder in ["rules", "slo", "runbooks"] {
        fs::remove_dir_all(catalog.path().join(folder)).expect("it was there");
    }
    let write = |file: &str, text: &str| fs::write(catalog.path().join(file), text).expect("written");
    write("routing.yaml", ROUTING);
    let oncall = read(&catalog.path().join("oncall.yaml"));
    // There is no telephone here, and no mail.
    let by_chat = oncall
        .replace("[voice, sms, email]", "[chat]")
        .replace("[sms, email]", "[chat]")
        .replace("channels: [voice]", "channels: [chat]");
    assert!(by_chat.contains("P0: [chat]") && by_chat.contains("P1: [chat]"));
    write("oncall.yaml", &by_chat);
    catalog
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
