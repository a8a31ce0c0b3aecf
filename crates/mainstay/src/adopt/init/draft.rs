//! The files of a first catalog. Everything in them was found or is said to be made up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mainstay_catalog::written::scalar;
use mainstay_kernel::{Ratio, ServiceId};

use super::found::{Protocol, Service};
use super::routes::{self, Drafted, PAGES};
use super::suggest::{Basis, Suggestion};

/// The longest name of an OpenSLO object.
const NAME_MAX: usize = 63;
/// The team of services whose owner no label says.
const NOBODY: &str = "unowned";

/// The workbook's pairs: name, factor in tenths, long window, short window, priority, word.
const PAIRS: [(&str, u64, &str, &str, &str, &str); 4] = [
    ("fast-burn", 144, "1h", "5m", "P0", "critical"),
    ("medium-burn", 60, "6h", "30m", "P1", "high"),
    ("slow-burn", 30, "1d", "2h", "P2", "medium"),
    ("long-burn", 10, "3d", "6h", "P3", "low"),
];

/// An objective to be drafted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slo {
    /// Its id.
    pub(super) id: String,
    pub(super) service: String,
    pub(super) title: String,
    /// `good` or `bad`.
    pub(super) side: &'static str,
    /// Selects the events of that side.
    pub(super) marked: String,
    /// Selects all.
    pub(super) total: String,
    pub(super) suggestion: Suggestion,
}

/// The objective of a counter of requests.
pub(super) fn availability(service: &Service, index: usize, suggestion: Suggestion) -> Option<Slo> {
    let requests = service.requests.get(index)?;
    let (suffix, words) = match requests.protocol {
        Protocol::Grpc if service.requests.len() > 1 => ("grpc-availability", "gRPC calls that are answered"),
        Protocol::Grpc => ("availability", "calls that are answered"),
        Protocol::Http => ("availability", "requests that are answered"),
    };
    Some(Slo {
        id: name(&format!("{}-{suffix}", service.name)),
        service: id(&service.name),
        title: format!("{}: {words}", service.name),
        side: "bad",
        marked: requests.bad.clone(),
        total: requests.total.clone(),
        suggestion,
    })
}

/// The objective of a histogram of durations.
pub(super) fn latency(service: &Service, le: &str, suggestion: Suggestion) -> Option<Slo> {
    let durations = service.durations.as_ref()?;
    let unit = if durations.bucket.contains("milliseconds") {
        "ms"
    } else {
        "s"
    };
    Some(Slo {
        id: name(&format!("{}-latency", service.name)),
        service: id(&service.name),
        title: format!("{}: answered within {le} {unit}", service.name),
        side: "good",
        marked: format!("{}{{{},le=\"{le}\"}}", durations.bucket, durations.matcher),
        total: durations.total.clone(),
        suggestion,
    })
}

/// What is drafted.
pub(super) struct Draft<'a> {
    /// Where it was read.
    pub(super) prometheus: &'a str,
    /// The first day of the rota.
    pub(super) today: jiff::civil::Date,
    pub(super) services: &'a [Service],
    pub(super) slos: &'a [Slo],
    pub(super) routes: &'a Drafted,
}

impl Draft<'_> {
    /// The files, by name.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("platform.yaml".to_owned(), self.platform()),
            ("oncall.yaml".to_owned(), self.oncall()),
            ("routing.yaml".to_owned(), self.routing()),
        ];
        if !self.slos.is_empty() {
            files.push(("slo/alerts.yaml".to_owned(), alerts()));
        }
        let mut by_service: BTreeMap<&str, Vec<&Slo>> = BTreeMap::new();
        for slo in self.slos {
            by_service.entry(&slo.service).or_default().push(slo);
        }
        for (service, slos) in by_service {
            let texts: Vec<String> = slos.iter().map(|slo| objective(slo)).collect();
            files.push((format!("slo/{}.yaml", name(service)), texts.join("---\n")));
        }
        files
    }

    /// The teams, those of services first.
    fn teams(&self) -> BTreeSet<String> {
        let owners = self.services.iter().map(|service| team(service).to_owned());
        owners.chain(self.routes.teams.iter().cloned()).collect()
    }

    fn platform(&self) -> String {
        let mut text = format!(
            "# Drafted by `mainstay init` from {}. What a Prometheus cannot know is made up and marked so.\n\
             apiVersion: mainstay/v1\nkind: Platform\nmetadata: {{name: drafted}}\nspec:\n  title: Drafted platform # made up\n  \
             time_zone: UTC # made up\n  availability_tiers:\n    - {{id: standard, title: Standard, target: 99%}} # made up\n",
            self.prometheus
        );
        text.push_str("---\napiVersion: mainstay/v1\nkind: Services\nitems:\n");
        let mut known = BTreeSet::new();
        for service in self.services {
            let id = id(&service.name);
            if known.insert(id.clone()) {
                let (title, team) = (scalar(&service.name), scalar(team(service)));
                let _ = writeln!(
                    text,
                    "  - {{id: {id}, title: {title}, team: {team}, tier: standard}}"
                );
            }
        }
        if self.services.is_empty() {
            text = text.replace("items:\n", "items: []\n");
        }
        text.push_str("---\napiVersion: mainstay/v1\nkind: Teams\nitems:\n");
        let teams = self.teams();
        for team in &teams {
            let team = scalar(team);
            let _ = writeln!(text, "  - {{id: {team}, title: {team}, lead: first}}");
        }
        if teams.is_empty() {
            let _ = writeln!(text, "  - {{id: {NOBODY}, title: {NOBODY}, lead: first}}");
        }
        let of = teams.first().map_or(NOBODY, String::as_str);
        let _ = write!(
            text,
            "---\n# Made up: a Prometheus knows no people. Write down who is really on call.\n\
             apiVersion: mainstay/v1\nkind: People\nitems:\n"
        );
        let mut addresses = self.routes.addresses.iter().map(String::as_str);
        for (person, role) in [("first", "First on call"), ("second", "Second on call")] {
            let made_up = format!("{person}@on-call.invalid");
            let email = scalar(addresses.next().unwrap_or(&made_up));
            let _ = writeln!(
                text,
                "  - {{id: {person}, name: {role}, role: {role}, team: {}, contacts: {{email: {email}}}}}",
                scalar(of)
            );
        }
        text
    }

    fn oncall(&self) -> String {
        let monday = self.today.nth_weekday(-1, jiff::civil::Weekday::Monday);
        let monday = monday.unwrap_or(self.today);
        format!(
            "# Made up: who is paged, and who is next after five minutes.\n\
             apiVersion: mainstay/v1\nkind: Rota\nmetadata: {{name: primary}}\nspec:\n  title: Primary\n  time_zone: UTC\n  \
             handoff: {{weekday: monday, time: \"09:00\"}}\n  start: {monday}\n  participants: [first]\n\
             ---\napiVersion: mainstay/v1\nkind: EscalationPolicy\nmetadata: {{name: {PAGES}}}\nspec:\n  title: On call\n  \
             channels: {{P0: [email], P1: [email]}}\n  levels:\n    - {{after: 0s, targets: [{{rota: primary}}]}}\n    \
             - {{after: 5m, targets: [{{person: second}}]}}\n"
        )
    }

    fn routing(&self) -> String {
        let mut text = String::from(
            "# Where messages leave. ${NAME} is taken from the environment of `mainstay serve`.\n\
             apiVersion: mainstay/v1\nkind: Channels\nmetadata: {name: channels}\nspec:\n  \
             smtp: {host: \"${MAINSTAY_SMTP_HOST}\", port: \"${MAINSTAY_SMTP_PORT}\", from: mainstay@on-call.invalid}\n",
        );
        if self.chats() {
            text.push_str("  chat: {url: \"${MAINSTAY_CHAT_URL}\"}\n");
        }
        if !self.routes.webhooks.is_empty() {
            text.push_str("  webhooks:\n");
            for webhook in &self.routes.webhooks {
                let _ = writeln!(text, "    {}: \"${{{}}}\"", scalar(webhook), variable(webhook));
            }
        }
        for warning in &self.routes.warnings {
            let _ = writeln!(
                text,
                "# Not as in the Alertmanager: {}",
                warning.replace(['\n', '\r'], " ")
            );
        }
        text.push_str(
            "---\napiVersion: mainstay/v1\nkind: Routing\nmetadata: {name: routing}\nspec:\n  receivers:\n",
        );
        let _ = writeln!(text, "    - {{name: {PAGES}, page: {PAGES}}}");
        let drafted = !self.routes.root.is_empty();
        if !drafted {
            text.push_str("    - {name: nobody} # alerts that do not page are kept and told nobody\n");
        }
        for line in &self.routes.receivers {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str("  route:\n");
        let root: Vec<String> = if drafted {
            self.routes.root.clone()
        } else {
            vec!["receiver: nobody".to_owned(), "group_by: [alertname]".to_owned()]
        };
        for line in root {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str(
            "    routes:\n      # Objectives: a budget that burns fast pages.\n      \
             - {receiver: mainstay-on-call, matchers: ['priority=~\"P[01]\"'], group_by: [slo], group_wait: 0s}\n",
        );
        for line in &self.routes.routes {
            let _ = writeln!(text, "      {line}");
        }
        text
    }

    fn chats(&self) -> bool {
        self.routes.receivers.iter().any(|line| line.contains("chat: ["))
    }

    /// What the environment of `mainstay serve` must say.
    pub(super) fn variables(&self) -> Vec<String> {
        let chat = self.chats().then(|| "MAINSTAY_CHAT_URL".to_owned());
        let smtp = ["MAINSTAY_SMTP_HOST", "MAINSTAY_SMTP_PORT"].map(str::to_owned);
        let webhooks = self.routes.webhooks.iter().map(|webhook| variable(webhook));
        smtp.into_iter().chain(chat).chain(webhooks).collect()
    }
}

fn team(service: &Service) -> &str {
    service
        .owner
        .as_deref()
        .filter(|owner| routes::is_name(owner))
        .unwrap_or(NOBODY)
}

/// `MAINSTAY_WEBHOOK_OPS`.
fn variable(webhook: &str) -> String {
    let upper = webhook.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    format!("MAINSTAY_WEBHOOK_{}", upper.collect::<String>())
}

/// A service's id: its name, with `-` for what ids do not have.
fn id(service: &str) -> String {
    let id: String = service
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    ServiceId::new(id.as_str()).map_or_else(|_| "service".to_owned(), |id| id.as_str().to_owned())
}

/// A name of OpenSLO.
fn name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        };
        if name.len() < NAME_MAX && !(c == '-' && (name.is_empty() || name.ends_with('-'))) {
            name.push(c);
        }
    }
    name.trim_end_matches('-').to_owned()
}

/// The comment that says why this target.
pub(super) fn reason(suggestion: &Suggestion) -> String {
    let evidence = suggestion.evidence;
    let target = suggestion.target.percent(2);
    if evidence.total == 0 {
        return format!("{target} is a guess: nothing happened in the last 30 days.");
    }
    let counts = format!(
        "{} of {} in the last 30 days ({} with any), as increase() has it",
        mainstay_ui::number::count(evidence.bad),
        mainstay_ui::number::count(evidence.total),
        super::days(evidence.days)
    );
    match suggestion.basis {
        Basis::Kept => format!(
            "{target} is the tightest usual target that was kept with half of the budget to spare; bad were {counts}."
        ),
        Basis::NotKept => format!(
            "No usual target was kept with half of the budget to spare, not even {target}; bad were {counts}."
        ),
        Basis::TooLittle => {
            format!("{target} is a guess: too little happened to say more; bad were {counts}.")
        }
    }
}

fn objective(slo: &Slo) -> String {
    let target = slo.suggestion.target;
    let mut text = format!(
        "# {}\napiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: {}\n  displayName: {}\nspec:\n  service: {}\n  \
         budgetingMethod: Occurrences\n  timeWindow:\n    - {{duration: 30d, isRolling: true}}\n  indicator:\n    \
         metadata: {{name: events}}\n    spec:\n      ratioMetric:\n        counter: true\n",
        reason(&slo.suggestion),
        scalar(&slo.id),
        scalar(&slo.title),
        scalar(&slo.service)
    );
    for (side, query) in [(slo.side, &slo.marked), ("total", &slo.total)] {
        let query = query.replace('\'', "''");
        let _ = writeln!(
            text,
            "        {side}: {{metricSource: {{type: Prometheus, spec: {{query: '{query}'}}}}}}"
        );
    }
    let _ = writeln!(
        text,
        "  objectives:\n    - {{target: {target}}}\n  alertPolicies:"
    );
    for (name, ..) in PAIRS.iter().filter(|pair| can_fire(pair.1, target)) {
        let _ = writeln!(text, "    - alertPolicyRef: {name}");
    }
    text
}

/// Whether a total outage burns faster than so many tenths of the budget's rate.
fn can_fire(tenths: u64, target: Ratio) -> bool {
    let budget = target.complement().unwrap_or(Ratio::ZERO);
    Ratio::new(
        budget.numerator().saturating_mul(tenths),
        budget.denominator().saturating_mul(10),
    )
    .is_ok_and(|reach| reach < Ratio::ONE)
}

/// The alert policies that all objectives share.
fn alerts() -> String {
    let policies = PAIRS.iter().map(|(name, tenths, long, short, priority, word)| {
        let factor = Ratio::new(*tenths, 10).unwrap_or(Ratio::ONE);
        format!(
            "apiVersion: openslo/v1\nkind: AlertPolicy\nmetadata:\n  name: {name}\n  \
             annotations: {{mainstay/short-window: {short}, mainstay/priority: {priority}}}\nspec:\n  alertWhenBreaching: true\n  \
             conditions:\n    - kind: AlertCondition\n      metadata: {{name: {name}}}\n      spec:\n        severity: {word}\n        \
             condition: {{kind: burnrate, op: gt, threshold: {factor}, lookbackWindow: {long}, alertAfter: 0m}}\n"
        )
    });
    policies.collect::<Vec<String>>().join("---\n")
}
