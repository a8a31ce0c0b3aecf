//! What OpenSLO's own reader checks and the keys alone do not say: names, lengths, words, what excludes what, and that
//! every name refers to something.

use mainstay_catalog::document::Document;
use mainstay_catalog::{Diagnostics, Platform, Spanned, lint};

use super::openslo::{
    AlertCondition, AlertPolicy, Decimal, Metadata, Metric, RatioMetric, Sli, Slo, Target, TimeWindow,
};
use super::{Objects, annotations, bad, measure, resolve, sourced, warning};
use crate::window::Duration;

const DESCRIPTION_MAX: usize = 1_050;
const NAME_MAX: usize = 63;

/// Checks every object by itself and where it refers to others.
pub(super) fn all(objects: &Objects<'_>, platform: &Platform, diagnostics: &mut Diagnostics) {
    for slo in sourced(&objects.slos) {
        let checker = Checker {
            objects,
            document: slo.document,
        };
        checker.head(
            &slo.object.metadata,
            slo.object.spec.description.as_deref(),
            diagnostics,
        );
        annotations::check(
            slo.document,
            &slo.object.metadata,
            annotations::OF_SLO,
            diagnostics,
        );
        checker.slo(&slo.object.spec, platform, diagnostics);
    }
    for sli in sourced(&objects.slis) {
        let checker = Checker {
            objects,
            document: sli.document,
        };
        checker.head(
            &sli.object.metadata,
            sli.object.spec.description.as_deref(),
            diagnostics,
        );
        annotations::check(
            sli.document,
            &sli.object.metadata,
            annotations::OF_SLI,
            diagnostics,
        );
        checker.sli(&sli.object.spec, sli.object.metadata.name.at, diagnostics);
    }
    for policy in sourced(&objects.policies) {
        let checker = Checker {
            objects,
            document: policy.document,
        };
        checker.head(
            &policy.object.metadata,
            policy.object.spec.description.as_deref(),
            diagnostics,
        );
        annotations::check(
            policy.document,
            &policy.object.metadata,
            annotations::OF_ALERT,
            diagnostics,
        );
        checker.policy(&policy.object.spec, policy.object.metadata.name.at, diagnostics);
    }
    for condition in sourced(&objects.conditions) {
        let checker = Checker {
            objects,
            document: condition.document,
        };
        checker.head(
            &condition.object.metadata,
            condition.object.spec.description.as_deref(),
            diagnostics,
        );
        annotations::check(
            condition.document,
            &condition.object.metadata,
            annotations::OF_ALERT,
            diagnostics,
        );
        checker.condition(&condition.object.spec, diagnostics);
    }
    for target in sourced(&objects.targets) {
        let checker = Checker {
            objects,
            document: target.document,
        };
        checker.head(
            &target.object.metadata,
            target.object.spec.description.as_deref(),
            diagnostics,
        );
    }
    for service in sourced(&objects.services) {
        let checker = Checker {
            objects,
            document: service.document,
        };
        checker.head(
            &service.object.metadata,
            service.object.spec.description.as_deref(),
            diagnostics,
        );
    }
    for source in sourced(&objects.sources) {
        let checker = Checker {
            objects,
            document: source.document,
        };
        checker.head(
            &source.object.metadata,
            source.object.spec.description.as_deref(),
            diagnostics,
        );
    }
}

struct Checker<'a> {
    objects: &'a Objects<'a>,
    document: &'a Document,
}

impl Checker<'_> {
    fn error<T>(&self, value: &Spanned<T>, message: String, help: &str, diagnostics: &mut Diagnostics) {
        diagnostics.push(bad(self.document, value, message, help));
    }

    fn head(&self, metadata: &Metadata, description: Option<&str>, diagnostics: &mut Diagnostics) {
        let name = &metadata.name;
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let sound = (1..=NAME_MAX).contains(&name.len())
            && name.chars().all(|c| inner(c) || c == '-')
            && name.starts_with(inner)
            && name.ends_with(inner);
        if !sound {
            let message = format!("{:?} is not a name", name.value);
            let help = "a name has at most 63 lower-case letters, digits and -, and begins and ends with one of the first two";
            self.error(name, message, help, diagnostics);
        }
        if description.is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
            let message = format!("a description has at most {DESCRIPTION_MAX} characters");
            self.error(name, message, "shorten it", diagnostics);
        }
    }

    fn slo(&self, slo: &Slo, platform: &Platform, diagnostics: &mut Diagnostics) {
        let documents = &self.objects.services;
        let service = &slo.service;
        let declared = documents.contains_key(&service.value)
            || platform
                .services
                .keys()
                .any(|known| known.as_str() == service.value);
        let nothing_known = documents.is_empty() && platform.services.is_empty();
        if !declared && !nothing_known {
            let services = platform.services.keys().map(|known| known.as_str());
            let known = services.chain(documents.keys().map(String::as_str));
            diagnostics.push(self.document.unknown_reference("service", service, known));
        }
        self.word(&slo.budgeting_method, &measure::METHODS, diagnostics);
        let own = |target: &Target| {
            usize::from(target.indicator.is_some()) + usize::from(target.indicator_ref.is_some())
        };
        let composite = slo.objectives.iter().any(|target| own(target) > 0);
        let whole = usize::from(slo.indicator.is_some()) + usize::from(slo.indicator_ref.is_some());
        if whole + usize::from(composite) != 1 {
            let message = "an SLO has one indicator: inline, by name, or in every objective".to_owned();
            let help = "write either `indicator` or `indicatorRef`, in the spec or in each objective";
            self.error(&slo.budgeting_method, message, help, diagnostics);
        }
        if composite && slo.objectives.iter().any(|target| own(target) != 1) {
            let message = "each objective of a composite has one indicator, inline or by name".to_owned();
            let help = "write either `indicator` or `indicatorRef` in every objective";
            self.error(&slo.budgeting_method, message, help, diagnostics);
        }
        if let Some(name) = &slo.indicator_ref {
            resolve(&self.objects.slis, "SLI", name, self.document, diagnostics);
        }
        if let Some(inline) = &slo.indicator {
            self.head(&inline.metadata, inline.spec.description.as_deref(), diagnostics);
            self.sli(&inline.spec, inline.metadata.name.at, diagnostics);
        }
        let windows = slo.time_window.as_deref().unwrap_or_default();
        if let Some(second) = windows.get(1) {
            let message = "an SLO has one time window".to_owned();
            self.error(&second.duration, message, "make a second SLO", diagnostics);
        }
        windows.iter().for_each(|window| self.window(window, diagnostics));
        if slo.objectives.is_empty() {
            let message = "an SLO needs at least one objective".to_owned();
            self.error(
                &slo.budgeting_method,
                message,
                "add one with a `target`",
                diagnostics,
            );
        }
        slo.objectives
            .iter()
            .for_each(|target| self.target(slo, target, diagnostics));
        for policy in slo.alert_policies.iter().flatten() {
            let at = policy
                .kind
                .as_ref()
                .map_or(slo.budgeting_method.at, |kind| kind.at);
            match (&policy.alert_policy_ref, &policy.spec) {
                (Some(name), None) => {
                    resolve(
                        &self.objects.policies,
                        "AlertPolicy",
                        name,
                        self.document,
                        diagnostics,
                    );
                }
                (None, Some(inline)) => self.policy(inline, at, diagnostics),
                _ => self.either(at, "alertPolicyRef", diagnostics),
            }
        }
    }

    fn either(&self, at: mainstay_catalog::At, reference: &str, diagnostics: &mut Diagnostics) {
        let message = format!("either `{reference}` or `kind`, `metadata` and `spec`");
        diagnostics.push(
            self.document
                .diagnostic(lint::BAD_VALUE, at, message)
                .help("leave one of the two out"),
        );
    }

    fn word(&self, word: &Spanned<String>, known: &[&str], diagnostics: &mut Diagnostics) {
        if !known.contains(&word.as_str()) {
            let message = format!("{:?} is none of the words expected here", word.value);
            self.error(
                word,
                message,
                &format!("expected {}", known.join(", ")),
                diagnostics,
            );
        }
    }

    fn window(&self, window: &TimeWindow, diagnostics: &mut Diagnostics) {
        let duration = &window.duration;
        match Duration::parse(duration) {
            Err(error) => self.error(duration, error.to_string(), "such as 28d or 1M", diagnostics),
            Ok(parsed) if parsed.nominal_ms() < 3_600_000 => {
                let message = format!("a window of {parsed} is shorter than an hour");
                let found = warning(self.document, duration.at, message);
                diagnostics.push(found.help("m is minutes; a month is M"));
            }
            Ok(_) => {}
        }
        match (&window.calendar, window.is_rolling) {
            (Some(calendar), true) => {
                let message = "a rolling window has no calendar".to_owned();
                self.error(
                    &calendar.start_time,
                    message,
                    "leave out one of `isRolling` and `calendar`",
                    diagnostics,
                );
            }
            (None, false) => {
                let message = "a window that is not rolling needs a calendar".to_owned();
                self.error(
                    duration,
                    message,
                    "add `isRolling: true`, or a `calendar`",
                    diagnostics,
                );
            }
            _ => {}
        }
    }

    fn target(&self, slo: &Slo, target: &Target, diagnostics: &mut Diagnostics) {
        let written = [&target.target, &target.target_percent]
            .into_iter()
            .flatten()
            .next();
        let named = target.display_name.as_ref().map(|name| name.at);
        let at = named
            .or(written.map(|share| share.at))
            .unwrap_or(slo.budgeting_method.at);
        match (&target.target, &target.target_percent) {
            (Some(share), None) => self.share(share, "", diagnostics),
            (None, Some(percent)) => self.share(percent, "%", diagnostics),
            _ => {
                let message = "an objective has either a `target` or a `targetPercent`";
                let found = self.document.diagnostic(lint::BAD_VALUE, at, message);
                diagnostics.push(found.help("write one of the two, such as `target: 0.9995`"));
            }
        }
        if let Some(op) = &target.op {
            self.word(op, &["lte", "gte", "lt", "gt"], diagnostics);
            if slo
                .indicator
                .as_ref()
                .is_some_and(|inline| inline.spec.ratio_metric.is_some())
            {
                let message = "`op` says nothing about a ratio";
                diagnostics.push(warning(self.document, op.at, message).help("leave it out"));
            }
        }
        measure::check(self.document, slo, target, diagnostics);
        if let Some(name) = &target.indicator_ref {
            resolve(&self.objects.slis, "SLI", name, self.document, diagnostics);
        }
        if let Some(inline) = &target.indicator {
            self.head(&inline.metadata, inline.spec.description.as_deref(), diagnostics);
            self.sli(&inline.spec, inline.metadata.name.at, diagnostics);
        }
    }

    fn share(&self, share: &Spanned<Decimal>, unit: &str, diagnostics: &mut Diagnostics) {
        let parsed = format!("{}{unit}", share.value.0).parse::<mainstay_kernel::Ratio>();
        match parsed {
            Err(error) => self.error(share, error.to_string(), "such as 0.9995 or 99.95", diagnostics),
            Ok(target) if target >= mainstay_kernel::Ratio::ONE => {
                let message = format!("a target of {} leaves no budget", target.percent(0));
                self.error(
                    share,
                    message,
                    "a target is below 1, a targetPercent below 100",
                    diagnostics,
                );
            }
            Ok(_) => {}
        }
    }

    fn sli(&self, sli: &Sli, at: mainstay_catalog::At, diagnostics: &mut Diagnostics) {
        match (&sli.threshold_metric, &sli.ratio_metric) {
            (Some(metric), None) => self.metric(metric, at, diagnostics),
            (None, Some(ratio)) => self.ratio(ratio, at, diagnostics),
            _ => {
                let message = "an indicator has either a `thresholdMetric` or a `ratioMetric`";
                let found = self.document.diagnostic(lint::BAD_VALUE, at, message);
                diagnostics.push(found.help("write one of the two"));
            }
        }
    }

    fn ratio(&self, ratio: &RatioMetric, at: mainstay_catalog::At, diagnostics: &mut Diagnostics) {
        let sides = [&ratio.good, &ratio.bad].into_iter().flatten().count();
        let sound = match (&ratio.total, &ratio.raw) {
            (Some(_), None) => sides == 1,
            (None, Some(_)) => sides == 0 && ratio.raw_type.is_some(),
            _ => false,
        };
        if !sound {
            let message = "a ratio is `good` or `bad` beside `total`, or `raw` with its `rawType`";
            let found = self.document.diagnostic(lint::BAD_VALUE, at, message);
            diagnostics.push(found.help("write one of these"));
        }
        if let Some(word) = &ratio.raw_type {
            self.word(word, &["success", "failure"], diagnostics);
        }
        for metric in [&ratio.good, &ratio.bad, &ratio.total, &ratio.raw]
            .into_iter()
            .flatten()
        {
            self.metric(metric, at, diagnostics);
        }
    }

    fn metric(&self, metric: &Metric, at: mainstay_catalog::At, diagnostics: &mut Diagnostics) {
        let source = &metric.metric_source;
        if source.spec.is_empty() {
            let found =
                self.document
                    .diagnostic(lint::BAD_VALUE, at, "the `spec` of a metric source is empty");
            diagnostics.push(found.help("say what to ask it, such as `query: ...`"));
        }
        if let Some(name) = source
            .metric_source_ref
            .as_ref()
            .filter(|_| !self.objects.sources.is_empty())
        {
            resolve(
                &self.objects.sources,
                "DataSource",
                name,
                self.document,
                diagnostics,
            );
        }
    }

    fn policy(&self, policy: &AlertPolicy, at: mainstay_catalog::At, diagnostics: &mut Diagnostics) {
        if policy.conditions.len() != 1 {
            let message = format!(
                "an alert policy has one condition, not {}",
                policy.conditions.len()
            );
            let found = self.document.diagnostic(lint::BAD_VALUE, at, message);
            diagnostics.push(found.help("make one policy per condition"));
        }
        for condition in &policy.conditions {
            match (&condition.condition_ref, &condition.spec) {
                (Some(name), None) => {
                    resolve(
                        &self.objects.conditions,
                        "AlertCondition",
                        name,
                        self.document,
                        diagnostics,
                    );
                }
                (None, Some(inline)) => self.condition(inline, diagnostics),
                _ => self.either(at, "conditionRef", diagnostics),
            }
        }
        for target in &policy.notification_targets {
            match (&target.target_ref, &target.spec) {
                (Some(name), None) => {
                    let (what, targets) = ("AlertNotificationTarget", &self.objects.targets);
                    resolve(targets, what, name, self.document, diagnostics);
                }
                (None, Some(_)) => {}
                _ => self.either(at, "targetRef", diagnostics),
            }
        }
    }

    fn condition(&self, condition: &AlertCondition, diagnostics: &mut Diagnostics) {
        let burn = &condition.condition;
        self.word(&burn.kind, &["burnrate"], diagnostics);
        self.word(&burn.op, &["lte", "gte", "lt", "gt"], diagnostics);
        if let Err(error) = Duration::parse(&burn.lookback_window) {
            self.error(
                &burn.lookback_window,
                error.to_string(),
                "such as 1h",
                diagnostics,
            );
        }
    }
}
