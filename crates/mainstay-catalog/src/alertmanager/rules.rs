//! What Alertmanager refuses although every key and every type is right: two of what there may be one of, none of what
//! there must be one of.

use super::seal::is_masked;
use super::tree::{Node, Value};
use super::walk::{Findings, truth};
use crate::lint;
use crate::spanned::At;

/// Where Slack's bots post; as `slack_api_url` it was the way to use one before there were tokens.
const CHAT_POST_MESSAGE: &str = "https://slack.com/api/chat.postMessage";

/// A secret that stands in the file or in a file that it names.
const GLOBAL_PAIRS: [&str; 11] = [
    "smtp_auth_password",
    "smtp_auth_secret",
    "slack_api_url",
    "slack_app_token",
    "opsgenie_api_key",
    "victorops_api_key",
    "wechat_api_secret",
    "telegram_bot_token",
    "rocketchat_token",
    "rocketchat_token_id",
    "mattermost_webhook_url",
];

pub(super) fn check(root: &Node, findings: &mut Findings<'_>) {
    let global = root.get("global");
    if let Some(global) = global {
        for key in GLOBAL_PAIRS {
            findings.one_of_pair(global, key);
        }
        findings.slack_token_or_url(global);
        findings.http(global);
    }
    for receiver in root.list("receivers") {
        for (key, configs) in receiver.entries() {
            for config in configs.items() {
                findings.http(config);
                findings.integration(&key.value, config, global);
            }
        }
    }
}

/// Whether a key, or the key of the file that holds it, is given.
fn has(node: &Node, key: &str) -> bool {
    node.filled(key).is_some() || node.filled(&format!("{key}_file")).is_some()
}

fn global_has(global: Option<&Node>, key: &str) -> bool {
    global.is_some_and(|global| has(global, key))
}

impl Findings<'_> {
    fn at_most_one(&mut self, node: &Node, keys: &[&str]) {
        let given: Vec<_> = keys
            .iter()
            .filter_map(|key| Some((key, node.get(key)?)))
            .collect();
        let given: Vec<_> = given
            .into_iter()
            .filter(|(_, value)| value.text().is_none_or(|text| !text.is_empty()))
            .collect();
        if let [_, .., (_, second)] = given.as_slice() {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let message = format!("more than one of {} is given", keys.join(", "));
            self.bad(second.at, message, "keep one of them");
        }
    }

    fn one_of_pair(&mut self, node: &Node, key: &str) {
        self.at_most_one(node, &[key, &format!("{key}_file")]);
    }

    fn needs(&mut self, node: &Node, what: &str, keys: &[&str]) {
        if !keys.iter().any(|key| node.filled(key).is_some()) {
            let wanted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let wanted = wanted.join(" or ");
            self.missing(
                node.at,
                format!("{what} without {wanted}"),
                format!("add {wanted}"),
            );
        }
    }

    /// Something that is given here or for all.
    fn needs_somewhere(&mut self, node: &Node, global: Option<&Node>, own: &str, for_all: &str) {
        if !has(node, own) && !global_has(global, for_all) {
            self.missing(
                node.at,
                format!("neither `{own}` here nor `{for_all}` in `global`"),
                format!("add `{for_all}` or `{for_all}_file` to `global`, or `{own}` here"),
            );
        }
    }

    /// A bot's token and a webhook's URL are two ways to post; only the old way to name a bot's address may stand beside a
    /// token.
    fn slack_token_or_url(&mut self, global: &Node) {
        let url = global
            .filled("slack_api_url")
            .or(global.filled("slack_api_url_file"));
        let old_way = global
            .filled("slack_api_url")
            .is_some_and(|url| is_masked(&url) || url.value == slack_app_url(global));
        if let (true, Some(url)) = (has(global, "slack_app_token"), url.filter(|_| !old_way)) {
            let message = "both a bot's token and a webhook's URL are given for Slack";
            self.bad(url.at, message, "keep `slack_app_token` or `slack_api_url`");
        }
    }

    fn http(&mut self, of: &Node) {
        let Some(http) = of.get("http_config") else { return };
        self.at_most_one(
            http,
            &[
                "basic_auth",
                "authorization",
                "oauth2",
                "bearer_token",
                "bearer_token_file",
            ],
        );
        if let Some(basic) = http.get("basic_auth") {
            self.one_of_pair(basic, "username");
            self.one_of_pair(basic, "password");
        }
        if let Some(authorization) = http.get("authorization") {
            self.one_of_pair(authorization, "credentials");
            if let Some(kind) = authorization
                .filled("type")
                .filter(|kind| kind.eq_ignore_ascii_case("basic"))
            {
                self.bad(kind.at, "`authorization` of the type basic", "use `basic_auth`");
            }
        }
        if let Some(oauth2) = http.get("oauth2") {
            self.one_of_pair(oauth2, "client_secret");
            self.needs(oauth2, "oauth2", &["client_id"]);
            self.needs(oauth2, "oauth2", &["token_url"]);
        }
        let by_environment = http
            .filled("proxy_from_environment")
            .is_some_and(|text| truth(&text) == Some(true));
        for key in ["proxy_url", "no_proxy"] {
            if let (true, Some(value)) = (by_environment, http.filled(key)) {
                let message = format!("`{key}` beside `proxy_from_environment`");
                self.bad(value.at, message, "keep one of them");
            }
        }
        if let (Some(none), None, false) = (http.filled("no_proxy"), http.filled("proxy_url"), by_environment)
        {
            self.bad(
                none.at,
                "`no_proxy` without `proxy_url`",
                "leave it out, or name a proxy",
            );
        }
        if let Some(tls) = http.get("tls_config") {
            self.tls(tls);
        }
    }

    fn tls(&mut self, tls: &Node) {
        for key in ["ca", "cert", "key"] {
            self.one_of_pair(tls, key);
        }
        for (one, other) in [("cert", "key"), ("key", "cert")] {
            if has(tls, one) && !has(tls, other) {
                self.missing(
                    tls.at,
                    format!("`{one}` without `{other}`"),
                    format!("add `{other}_file`"),
                );
            }
        }
    }

    fn integration(&mut self, kind: &str, config: &Node, global: Option<&Node>) {
        if let Value::Null = config.value {
            return;
        }
        let what = kind.trim_end_matches('s');
        match kind {
            "email_configs" => self.email(config, global),
            "slack_configs" => self.slack(config, global),
            "pagerduty_configs" => {
                self.needs(
                    config,
                    what,
                    &[
                        "routing_key",
                        "routing_key_file",
                        "service_key",
                        "service_key_file",
                    ],
                );
                self.one_of_pair(config, "routing_key");
                self.one_of_pair(config, "service_key");
            }
            "webhook_configs" => {
                self.needs(config, what, &["url", "url_file"]);
                self.one_of_pair(config, "url");
            }
            "discord_configs" | "msteams_configs" | "msteamsv2_configs" => {
                self.needs(config, what, &["webhook_url", "webhook_url_file"]);
                self.one_of_pair(config, "webhook_url");
            }
            "mattermost_configs" => {
                self.one_of_pair(config, "webhook_url");
                self.needs_somewhere(config, global, "webhook_url", "mattermost_webhook_url");
            }
            "opsgenie_configs" => {
                self.one_of_pair(config, "api_key");
                self.needs_somewhere(config, global, "api_key", "opsgenie_api_key");
                for responder in config.list("responders") {
                    self.responder(responder);
                }
            }
            "victorops_configs" => {
                self.one_of_pair(config, "api_key");
                self.needs(config, what, &["routing_key"]);
                self.needs_somewhere(config, global, "api_key", "victorops_api_key");
                self.reserved_fields(config);
            }
            "pushover_configs" => {
                self.one_of_pair(config, "user_key");
                self.one_of_pair(config, "token");
                self.needs(config, what, &["user_key", "user_key_file"]);
                self.needs(config, what, &["token", "token_file"]);
            }
            "sns_configs" => {
                self.needs(config, what, &["topic_arn", "phone_number", "target_arn"]);
                if let Some(sigv4) = config.get("sigv4")
                    && (sigv4.filled("access_key").is_some() != sigv4.filled("secret_key").is_some())
                {
                    let message = "one of `access_key` and `secret_key` without the other";
                    self.missing(sigv4.at, message, "give both, or none");
                }
            }
            "telegram_configs" => {
                self.one_of_pair(config, "bot_token");
                self.needs_somewhere(config, global, "bot_token", "telegram_bot_token");
                let none = |id: &str| id.is_empty() || id == "0";
                let without = config.text_at("chat_id").is_none_or(|id| none(&id));
                if without && config.filled("chat_id_file").is_none() {
                    self.missing(config.at, "telegram_config without `chat_id`", "add `chat_id`");
                }
                self.word(config, "parse_mode", &["", "MarkdownV2", "Markdown", "HTML"]);
            }
            "webex_configs" => {
                self.needs(config, what, &["room_id"]);
                let authorization = config
                    .get("http_config")
                    .and_then(|http| http.get("authorization"));
                if authorization.is_none() {
                    let message = "webex_config without `http_config.authorization`";
                    self.missing(config.at, message, "add the bot's token there");
                }
            }
            "jira_configs" => {
                self.needs(config, what, &["project"]);
                self.needs(config, what, &["issue_type"]);
                self.needs_somewhere(config, global, "api_url", "jira_api_url");
            }
            "rocketchat_configs" => {
                for key in ["token", "token_id"] {
                    self.one_of_pair(config, key);
                    self.needs_somewhere(config, global, key, &format!("rocketchat_{key}"));
                }
            }
            "wechat_configs" => {
                self.one_of_pair(config, "api_secret");
                self.needs_somewhere(config, global, "api_secret", "wechat_api_secret");
                self.needs_somewhere(config, global, "corp_id", "wechat_api_corp_id");
                self.word(config, "message_type", &["", "text", "markdown"]);
            }
            "incidentio_configs" => {
                self.needs(config, what, &["url", "url_file"]);
                self.one_of_pair(config, "url");
                self.one_of_pair(config, "alert_source_token");
            }
            _ => {}
        }
    }

    fn email(&mut self, config: &Node, global: Option<&Node>) {
        self.needs(config, "email_config", &["to"]);
        self.one_of_pair(config, "auth_password");
        self.one_of_pair(config, "auth_secret");
        self.needs_somewhere(config, global, "smarthost", "smtp_smarthost");
        self.needs_somewhere(config, global, "from", "smtp_from");
        let mut names: Vec<String> = Vec::new();
        for (name, _) in config.get("headers").map_or(&[][..], Node::entries) {
            let plain = name.to_ascii_lowercase();
            if names.contains(&plain) {
                let message = format!("the header {:?} is there twice", name.value);
                self.push(lint::DUPLICATE_KEY, name.at, message, "keep one of the two");
            }
            names.push(plain);
        }
        if let Some(tls) = config.get("tls_config") {
            self.tls(tls);
        }
    }

    fn slack(&mut self, config: &Node, global: Option<&Node>) {
        self.one_of_pair(config, "api_url");
        self.one_of_pair(config, "app_token");
        if has(config, "app_token") && has(config, "api_url") {
            let message = "both a bot's token and a webhook's URL are given";
            self.bad(config.at, message, "keep `app_token` or `api_url`");
        }
        let reached = ["slack_api_url", "slack_app_token"]
            .iter()
            .any(|key| global_has(global, key));
        if !reached && !has(config, "api_url") && !has(config, "app_token") {
            self.missing(
                config.at,
                "neither `api_url` nor `app_token` here, nor `slack_api_url` or `slack_app_token` in `global`",
                "add `slack_api_url` or `slack_app_token` to `global`, or one of them here",
            );
        }
        if let Some(update) = config
            .text_at("update_message")
            .filter(|text| truth(text) == Some(true))
        {
            // A file is read when something is posted: what is in it is not known here.
            let own = has(config, "api_url") || has(config, "app_token");
            let url = match own {
                true => config.filled("api_url"),
                false => global.and_then(|global| global.filled("slack_api_url")),
            };
            let cannot = url.is_some_and(|url| !is_masked(&url) && url.value != CHAT_POST_MESSAGE);
            let by_token = !own && global_has(global, "slack_app_token");
            if cannot && !by_token {
                let message = "a webhook cannot change what it has posted";
                self.bad(
                    update.at,
                    message,
                    "post by a bot: give `app_token`, or leave `update_message` out",
                );
            }
        }
        for field in config.list("fields") {
            self.needs(field, "a field", &["title"]);
            self.needs(field, "a field", &["value"]);
        }
        for action in config.list("actions") {
            self.needs(action, "an action", &["type"]);
            self.needs(action, "an action", &["text"]);
            self.needs(action, "an action", &["url", "name"]);
            if let Some(confirm) = action.get("confirm") {
                self.needs(confirm, "a confirmation", &["text"]);
            }
        }
    }

    fn responder(&mut self, responder: &Node) {
        self.needs(responder, "a responder", &["id", "name", "username"]);
        let kinds = ["team", "teams", "user", "escalation", "schedule"];
        match responder.filled("type") {
            Some(kind) if kind.contains("{{") => {}
            Some(kind) if kinds.contains(&kind.to_lowercase().as_str()) => {}
            Some(kind) => self.bad(
                kind.at,
                format!("{:?} is no kind of responder", kind.value),
                format!("one of {}", kinds.join(", ")),
            ),
            None => self.missing(
                responder.at,
                "a responder without `type`",
                "add `type: team` or another",
            ),
        }
    }

    fn reserved_fields(&mut self, config: &Node) {
        const RESERVED: [&str; 6] = [
            "routing_key",
            "message_type",
            "state_message",
            "entity_display_name",
            "monitoring_tool",
            "entity_id",
        ];
        for (name, _) in config.get("custom_fields").map_or(&[][..], Node::entries) {
            if RESERVED.contains(&name.as_str()) || name.value == "entity_state" {
                let message = format!("{:?} is a field that VictorOps has already", name.value);
                self.bad(name.at, message, "give it another name");
            }
        }
    }

    fn word(&mut self, config: &Node, key: &str, words: &[&str]) {
        if let Some(word) = config.filled(key).filter(|word| !words.contains(&word.as_str())) {
            let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
            let message = format!("{:?} is no `{key}`", word.value);
            self.bad(word.at, message, format!("one of {}", words.join(", ")));
        }
    }

    /// A name that is missing or there twice.
    pub(super) fn unique(&mut self, what: &str, at: At, name: Option<&str>, known: &mut Vec<String>) {
        match name.filter(|name| !name.is_empty()) {
            None => self.missing(at, format!("{what} without a name"), "add `name`"),
            Some(name) if known.iter().any(|other| other == name) => {
                let message = format!("{what} {name:?} is there twice");
                self.push(lint::DUPLICATE_NAME, at, message, "give one of them another name");
            }
            Some(name) => known.push(name.to_owned()),
        }
    }
}

/// Where a bot of Slack's posts.
fn slack_app_url(global: &Node) -> String {
    global
        .filled("slack_app_url")
        .map_or_else(|| CHAT_POST_MESSAGE.to_owned(), |url| url.value)
}
