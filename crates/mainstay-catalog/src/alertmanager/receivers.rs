//! Receivers: what there is a channel for becomes an integration with an address; what there is none for is said.

use mainstay_kernel::effect::Channel;

use super::address::{Address, Login};
use super::model::{Found, Wording};
use super::tree::{Node, Value};
use super::walk::{Findings, host_port, truth};
use crate::response::{Integration, Receiver, Setting, Smtp};
use crate::spanned::Spanned;

/// Where a bot of Slack's posts, without the name of the call.
const SLACK_API: &str = "https://slack.com/api";
const POST_MESSAGE: &str = "/chat.postMessage";
const ENQUEUE: &str = "/v2/enqueue";
/// Where Mainstay takes copies of what an Alertmanager tells.
const COPIES: &str = "/api/v1/shadow/alertmanager";

/// Keys that are followed, by the kind of the integration.
const FOLLOWED: [(&str, &[&str]); 6] = [
    ("email_configs", &["to", "headers", "html", "text"]),
    (
        "slack_configs",
        &[
            "api_url",
            "api_url_file",
            "app_token",
            "app_token_file",
            "app_url",
            "channel",
            "username",
            "color",
            "title",
            "title_link",
            "pretext",
            "text",
            "fields",
            "short_fields",
            "footer",
            "fallback",
            "icon_emoji",
            "icon_url",
            "image_url",
            "thumb_url",
            "link_names",
            "mrkdwn_in",
        ],
    ),
    (
        "pagerduty_configs",
        &[
            "routing_key",
            "routing_key_file",
            "service_key",
            "service_key_file",
            "url",
            "client",
            "client_url",
            "description",
            "details",
            "images",
            "links",
            "source",
            "severity",
            "class",
            "component",
            "group",
        ],
    ),
    ("webhook_configs", &["url", "url_file", "max_alerts"]),
    (
        "msteams_configs",
        &["webhook_url", "webhook_url_file", "title", "text"],
    ),
    (
        "msteamsv2_configs",
        &["webhook_url", "webhook_url_file", "title", "text"],
    ),
];

/// Keys of a mail that Mainstay has once for all mail.
const MAIL_SERVER: [&str; 7] = [
    "from",
    "smarthost",
    "auth_username",
    "auth_password",
    "auth_password_file",
    "require_tls",
    "force_implicit_tls",
];

/// Whether those who are told hear of the end, where nothing is said.
fn send_resolved_by_default(kind: &str) -> bool {
    !matches!(kind, "email_configs" | "slack_configs" | "wechat_configs")
}

/// Reads the receivers into what was found.
pub(super) fn read(root: &Node, findings: &mut Findings<'_>, found: &mut Found) {
    let global = root.get("global");
    let first_mail = mails(root).next();
    let mut known = Vec::new();
    for node in root.list("receivers") {
        let name = node.filled("name");
        let at = name.as_ref().map_or(node.at, |name| name.at);
        let before = known.len();
        let text = name.as_ref().map(|name| name.as_str());
        findings.unique("a receiver", at, text, &mut known);
        let Some(name) = name.filter(|_| known.len() > before) else {
            continue;
        };
        let receiver = Reader {
            global,
            first_mail,
            findings,
            found,
            receiver: name.clone(),
        }
        .receiver(node);
        found.spec.receivers.push(receiver);
    }
    found.smtp = smtp(root, findings, found);
    if let Some(global) = global {
        for (key, value) in global.entries() {
            if let Value::Null = value.value {
                continue;
            }
            match key.as_str() {
                "resolve_timeout" => findings.loss(
                    key.at,
                    "`resolve_timeout` is not followed: an alert with `endsAt` fires until then, one without until its end is told",
                    "leave it out",
                ),
                "smtp_hello" | "smtp_auth_identity" | "smtp_auth_secret" | "smtp_auth_secret_file" | "smtp_tls_config" => {
                    findings.without_effect("global", key);
                }
                "http_config" => global_http(root, value, findings),
                // What belongs to integrations without a channel is said where they are used.
                _ => {}
            }
        }
    }
    if let Some(tracing) = root.get("tracing") {
        findings.loss(
            tracing.at,
            "`tracing` has no effect: Mainstay has its own",
            "leave it out",
        );
    }
}

/// What of the `http_config` in `global` has no effect, or not on all that it has one on in an Alertmanager.
fn global_http(root: &Node, http: &Node, findings: &mut Findings<'_>) {
    let receivers = root.list("receivers").iter();
    let configs = receivers.flat_map(|receiver| receiver.entries());
    let without_own = configs.filter(|(kind, configs)| {
        let is_told = kind.value != "email_configs" && FOLLOWED.iter().any(|(known, _)| *known == kind.value);
        is_told
            && configs
                .items()
                .iter()
                .any(|config| config.get("http_config").is_none())
    });
    let kinds: std::collections::BTreeSet<&str> = without_own
        .map(|(kind, _)| kind.value.trim_end_matches("_configs"))
        .collect();
    let others: Vec<&str> = kinds.iter().copied().filter(|kind| *kind != "webhook").collect();
    for (name, value) in http.entries() {
        if matches!(value.value, Value::Null) {
            continue;
        }
        match name.as_str() {
            "basic_auth" | "bearer_token" | "bearer_token_file" | "authorization" if !others.is_empty() => {
                findings.loss(
                    name.at,
                    format!(
                        "`{}` of `http_config` in `global` is followed for webhooks, and not for {}",
                        name.value,
                        others.join(", ")
                    ),
                    "nothing is done in its place: see to it that it is not needed",
                );
            }
            "basic_auth" | "bearer_token" | "bearer_token_file" | "authorization" | "enable_http2" => {}
            "follow_redirects" if value.text().and_then(truth) == Some(false) => {}
            _ => findings.without_effect("`http_config` in `global`", name),
        }
    }
}

/// Whether a webhook is one by which a Mainstay hears what this Alertmanager tells.
fn is_for_copies(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/').ends_with(COPIES)
}

struct Reader<'r, 'f, 'd> {
    global: Option<&'r Node>,
    first_mail: Option<&'r Node>,
    findings: &'f mut Findings<'d>,
    found: &'f mut Found,
    receiver: Spanned<String>,
}

impl Reader<'_, '_, '_> {
    fn receiver(mut self, node: &Node) -> Receiver {
        let mut integrations = Vec::new();
        let mut lost = Vec::new();
        for (key, configs) in node.entries().iter().filter(|(key, _)| key.value != "name") {
            for (index, config) in configs.items().iter().enumerate() {
                let kind = key.trim_end_matches("_configs");
                let name = format!("{}/{kind}[{index}]", self.receiver.value);
                if let Some(url) = config.filled("url").filter(|url| is_for_copies(url)) {
                    self.findings.loss(
                        url.at,
                        "this webhook takes copies for Mainstay: it tells itself nothing",
                        "take it out when the Alertmanager that sends them is gone",
                    );
                    continue;
                }
                match self.integration(&key.value, &name, config) {
                    Some(integration) => integrations.push(integration),
                    None => lost.push((kind.to_owned(), config.at)),
                }
            }
        }
        for (kind, at) in &lost {
            let message = match integrations.is_empty() {
                true => format!(
                    "there is no channel to {kind}: the receiver {:?} tells nobody",
                    self.receiver.value
                ),
                false => format!("there is no channel to {kind}: it is told nothing"),
            };
            let help = "tell it by a webhook, mail, Slack, Teams or PagerDuty, or have the receiver page by an escalation policy";
            self.findings.loss(*at, message, help);
        }
        Receiver {
            name: self.receiver,
            page: None,
            chat: Vec::new(),
            webhooks: Vec::new(),
            email: Vec::new(),
            send_resolved: true,
            integrations,
        }
    }

    fn integration(&mut self, key: &str, name: &str, config: &Node) -> Option<Integration> {
        let (_, followed) = FOLLOWED.iter().find(|(kind, _)| *kind == key)?;
        if let Value::Null = config.value {
            return None;
        }
        let (channel, address) = match key {
            "email_configs" => (Channel::Email, self.email(config)),
            "slack_configs" => (Channel::Webhook, self.slack(name, config)),
            "pagerduty_configs" => (Channel::Webhook, self.pagerduty(name, config)),
            "webhook_configs" => (Channel::Webhook, self.webhook(name, config)),
            _ => {
                let url = self.secret(name, config, "webhook_url");
                (Channel::Webhook, url.map(|url| Address::Teams { url }))
            }
        };
        for (written, value) in config.entries() {
            let own = ["send_resolved", "http_config"].contains(&written.as_str())
                || key == "email_configs" && MAIL_SERVER.contains(&written.as_str());
            if !own && !followed.contains(&written.as_str()) && !matches!(value.value, Value::Null) {
                self.findings.without_effect(key, written);
            }
        }
        self.http(key, config);
        // Without an address it was refused.
        let address = address?;
        let send_resolved = config.text_at("send_resolved").and_then(|text| truth(&text));
        self.found.addresses.insert(name.to_owned(), address);
        self.found
            .wordings
            .insert(name.to_owned(), Wording::of(key, &self.receiver.value, config));
        Some(Integration {
            name: name.to_owned(),
            channel,
            send_resolved: send_resolved.unwrap_or_else(|| send_resolved_by_default(key)),
        })
    }

    /// A secret of the integration, by the name under which it is looked up.
    fn secret(&mut self, name: &str, node: &Node, key: &str) -> Option<Setting> {
        setting(self.found, name, node, key)
    }

    fn email(&mut self, config: &Node) -> Option<Address> {
        let to = config.filled("to")?;
        for key in MAIL_SERVER {
            // That of `global`, or where there is none that of the first mail.
            let of_all = self
                .global
                .and_then(|global| global.filled(&format!("smtp_{key}")));
            let of_all = of_all.or_else(|| self.first_mail?.filled(key));
            if let Some(own) = config.filled(key).filter(|own| Some(own) != of_all.as_ref()) {
                self.findings.loss(
                    own.at,
                    format!("`{key}` is that of all mail, and not this one"),
                    "Mainstay sends all mail by one server and from one sender: leave it out",
                );
            }
        }
        Some(Address::Email { to: to.value })
    }

    fn slack(&mut self, name: &str, config: &Node) -> Option<Address> {
        let channel = config.filled("channel").map(|channel| channel.value);
        let global = self.global;
        let by_header = config
            .get("http_config")
            .and_then(|http| http.get("authorization"))
            .filter(|authorization| {
                authorization.filled("credentials").is_some()
                    || authorization.filled("credentials_file").is_some()
            });
        let own_token = self.secret(name, config, "app_token");
        let own_url = self.secret(name, config, "api_url");
        let api = config
            .filled("app_url")
            .or_else(|| global.and_then(|global| global.filled("slack_app_url")))
            .map_or_else(|| SLACK_API.to_owned(), |url| base(&url, POST_MESSAGE));
        let bot = |token: Setting, channel: Option<String>| Address::SlackBot {
            url: Setting::from(api.as_str()),
            token,
            channel: channel.unwrap_or_default(),
        };
        if let Some(token) = own_token {
            return Some(bot(token, channel));
        }
        if let (Some(authorization), None) = (by_header, &own_url) {
            let token = setting(
                self.found,
                &format!("{name}/authorization"),
                authorization,
                "credentials",
            )?;
            return Some(bot(token, channel));
        }
        if let Some(url) = own_url {
            return Some(Address::SlackWebhook { url, channel });
        }
        let global = global?;
        if let Some(token) = setting(self.found, "global", global, "slack_app_token") {
            return Some(bot(token, channel));
        }
        let url = setting(self.found, "global", global, "slack_api_url")?;
        Some(Address::SlackWebhook { url, channel })
    }

    fn pagerduty(&mut self, name: &str, config: &Node) -> Option<Address> {
        let routing_key = self
            .secret(name, config, "routing_key")
            .or_else(|| self.secret(name, config, "service_key"))?;
        if let Some(key) = config.filled("service_key").or(config.filled("service_key_file"))
            && config.filled("routing_key").is_none()
        {
            self.findings.loss(
                key.at,
                "PagerDuty is told by its Events API v2, of which this key must be one",
                "give `routing_key`, the key of an integration of Events API v2",
            );
        }
        let all = self.global.and_then(|global| global.filled("pagerduty_url"));
        let url = config
            .filled("url")
            .or(all)
            .map(|url| Setting::from(base(&url, ENQUEUE).as_str()));
        Some(Address::PagerDuty { url, routing_key })
    }

    fn webhook(&mut self, name: &str, config: &Node) -> Option<Address> {
        let url = self.secret(name, config, "url")?;
        let own = config.get("http_config").map(|http| (name.to_owned(), http));
        let all = self.global.and_then(|global| global.get("http_config"));
        // That of the integration stands for that of all, and is not mixed with it.
        let http = own.or_else(|| all.map(|http| ("global".to_owned(), http)));
        let login = http.and_then(|(name, http)| login(self.found, &name, http));
        Some(Address::Webhook { url, login })
    }

    /// What of `http_config` has no effect.
    fn http(&mut self, key: &str, config: &Node) {
        let Some(http) = config.get("http_config") else {
            return;
        };
        for (name, value) in http.entries() {
            let followed = match name.as_str() {
                "basic_auth" | "bearer_token" | "bearer_token_file" => key == "webhook_configs",
                "authorization" => key == "webhook_configs" || key == "slack_configs",
                "follow_redirects" => value.text().and_then(truth) == Some(false),
                // What is asked for happens anyhow, or nobody would notice.
                "enable_http2" => true,
                _ => false,
            };
            if !followed && !matches!(value.value, Value::Null) {
                self.findings.without_effect("http_config", name);
            }
        }
    }
}

/// A setting that names a secret: one that was taken out of the file, or the file that holds it.
fn setting(found: &mut Found, name: &str, node: &Node, key: &str) -> Option<Setting> {
    if let Some(secret) = node.filled(key) {
        let name = format!("sealed:{name}/{key}");
        found.secrets.insert(name.clone(), secret.value);
        return Some(Setting::from(format!("${{{name}}}").as_str()));
    }
    let path = node.filled(&format!("{key}_file"))?;
    Some(Setting::from(format!("${{file:{}}}", path.value).as_str()))
}

fn login(found: &mut Found, name: &str, http: &Node) -> Option<Login> {
    if let Some(basic) = http.get("basic_auth") {
        let user = basic.filled("username").map(|name| Setting::from(name.as_str()));
        let file = basic
            .filled("username_file")
            .map(|path| Setting::from(format!("${{file:{}}}", path.value).as_str()));
        return Some(Login::Basic {
            username: user.or(file).unwrap_or_else(|| Setting::from("")),
            password: setting(found, &format!("{name}/basic_auth"), basic, "password")
                .unwrap_or_else(|| Setting::from("")),
        });
    }
    let token = match http.get("authorization") {
        Some(authorization) => setting(
            found,
            &format!("{name}/authorization"),
            authorization,
            "credentials",
        ),
        None => setting(found, name, http, "bearer_token"),
    };
    token.map(|token| Login::Bearer { token })
}

/// A URL without the path that is added to it when it is called, nor a slash at the end.
fn base(url: &str, path: &str) -> String {
    let url = url.trim_end_matches('/');
    url.strip_suffix(path)
        .unwrap_or(url)
        .trim_end_matches('/')
        .to_owned()
}

fn mails(root: &Node) -> impl Iterator<Item = &Node> {
    let receivers = root.list("receivers").iter();
    receivers.flat_map(|receiver| receiver.list("email_configs"))
}

/// The mail server: that of `global`, or where there is none that of the first receiver that has one.
fn smtp(root: &Node, findings: &mut Findings<'_>, found: &mut Found) -> Option<Smtp> {
    // Without mail, the server is of no use.
    let first = mails(root).next()?;
    let global = root.get("global");
    let pick = |key: &str| {
        let of_all = global.and_then(|global| global.filled(&format!("smtp_{key}")));
        of_all.or_else(|| first.filled(key))
    };
    let smarthost = pick("smarthost")?;
    let (host, port) = host_port(&smarthost)?;
    let password = global
        .and_then(|global| setting(found, "global", global, "smtp_auth_password"))
        .or_else(|| setting(found, "email", first, "auth_password"));
    let tls = pick("require_tls").is_none_or(|text| truth(&text) != Some(false));
    let implicit = pick("force_implicit_tls").is_some_and(|text| truth(&text) == Some(true));
    if implicit && port != "465" {
        findings.loss(
            smarthost.at,
            "implicit TLS is used on port 465 only",
            "give the mail server's port 465",
        );
    }
    let username = pick("auth_username").filter(|_| password.is_some());
    Some(Smtp {
        host: Setting::from(if host.is_empty() { "localhost" } else { host }),
        port: Setting::from(port),
        from: Setting::from(pick("from")?.as_str()),
        tls,
        username: username.map(|name| Setting::from(name.as_str())),
        password: password.map(Spanned::nowhere),
    })
}
