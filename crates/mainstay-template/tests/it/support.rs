//! The notification that all tests render, and amtool.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use mainstay_template::{Alert, Data, Limits, Pairs, Templates, Version};
use serde_json::Value;

const ALERTS: &str = include_str!("alerts.json");

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn pairs(value: &Value) -> Arc<Pairs> {
    let members = value.as_object().expect("an object");
    Arc::new(
        members
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    )
}

/// A time with the offset that it was written with.
pub(crate) fn time(written: &str) -> ZonedDateTime {
    let at: Timestamp = written.parse().expect("a time");
    let offset = Pieces::parse(written).expect("a time").to_numeric_offset();
    match offset {
        Some(offset) if offset.seconds() != 0 => at.to_zoned_datetime(TimeZone::fixed(offset)),
        _ => at.to_zoned_datetime(TimeZone::UTC),
    }
}

pub(crate) fn data() -> Arc<Data> {
    data_of(&written())
}

/// The notification as JSON.
pub(crate) fn written() -> Value {
    serde_json::from_str(ALERTS).expect("JSON")
}

pub(crate) fn data_of(written: &Value) -> Arc<Data> {
    let alerts = written["alerts"].as_array().expect("a list");
    let alert = |alert: &Value| {
        Arc::new(Alert {
            status: text(&alert["status"]),
            labels: pairs(&alert["labels"]),
            annotations: pairs(&alert["annotations"]),
            starts_at: time(&text(&alert["startsAt"])),
            ends_at: time(&text(&alert["endsAt"])),
            generator_url: text(&alert["generatorURL"]),
            fingerprint: text(&alert["fingerprint"]),
        })
    };
    Arc::new(Data {
        receiver: text(&written["receiver"]),
        status: text(&written["status"]),
        alerts: alerts.iter().map(alert).collect(),
        group_labels: pairs(&written["groupLabels"]),
        common_labels: pairs(&written["commonLabels"]),
        common_annotations: pairs(&written["commonAnnotations"]),
        external_url: text(&written["externalURL"]),
    })
}

pub(crate) fn now() -> ZonedDateTime {
    time("2026-03-01T05:00:00Z")
}

/// What the text renders as, or why it does not.
pub(crate) fn ours(html: bool, text: &str, version: Version) -> Result<String, String> {
    let templates = Templates::new(Limits::default(), version);
    let rendered = if html {
        templates.html(text, &data(), &now())
    } else {
        templates.text(text, &data(), &now())
    };
    rendered.map_err(|error| error.to_string())
}

/// amtool, where it is installed.
pub(crate) struct Amtool {
    directory: tempfile::TempDir,
    pub(crate) version: Version,
}

impl Amtool {
    pub(crate) fn find() -> Option<Self> {
        let Ok(output) = Command::new("amtool").arg("--version").output() else {
            eprintln!("skipped: amtool is not installed");
            return None;
        };
        let said = [output.stdout, output.stderr].concat();
        let old = String::from_utf8_lossy(&said).contains("version 0.25.");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("alerts.json"), ALERTS).expect("written");
        let version = if old { Version::V0_25 } else { Version::V0_26 };
        Some(Self { directory, version })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What amtool renders, or why it does not.
    pub(crate) fn render(&self, html: bool, text: &str) -> Result<String, String> {
        let [files, data] = ["*.tmpl", "alerts.json"].map(|name| self.directory().join(name));
        Self::render_with(&files, &data, html, text)
    }

    /// With template files of its own, and other data.
    pub(crate) fn render_with(files: &Path, data: &Path, html: bool, text: &str) -> Result<String, String> {
        let output = Command::new("amtool")
            .args(["template", "render"])
            .arg(format!("--template.glob={}", files.display()))
            .arg(format!("--template.data={}", data.display()))
            .arg(format!("--template.type={}", if html { "html" } else { "text" }))
            .arg(format!("--template.text={text}"))
            .env("TZ", "UTC")
            .output()
            .expect("amtool runs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

/// A generator of test cases: the same seed, the same cases.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("small")
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

pub(crate) fn seed() -> u64 {
    environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed)
}

/// What the caller of the tests asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's parameters come by the environment"
)]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
