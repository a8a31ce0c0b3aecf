//! Which keys an Alertmanager's configuration may have, and what their values are. A key that is not here is refused, as
//! Alertmanager refuses it. Keys of the versions from 0.25 on.

mod receivers;

/// What a value is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// What must not be shown.
    Secret,
    /// A URL.
    Url,
    /// A URL that must not be shown: whoever knows it can post.
    SecretUrl,
    Bool,
    Int,
    /// Prometheus's: `1h30m`.
    Duration,
    /// Prometheus's or Go's: `1.5h`.
    AnyDuration,
    HostPort,
    /// Names and texts.
    TextMap,
    /// Names and texts that are not shown.
    SecretMap,
    /// Names and lists of texts that are not shown.
    SecretLists,
    Texts,
    /// What is not looked into.
    Any,
    Struct(&'static Shape),
    Structs(&'static Shape),
}

/// The keys of a mapping.
pub(super) struct Shape {
    /// What it is, for messages.
    pub(super) what: &'static str,
    pub(super) fields: &'static [(&'static str, Kind)],
}

use Kind::{
    Any, Bool, Duration, HostPort, Secret, SecretLists, SecretMap, SecretUrl, Struct, Structs, Text, TextMap,
    Texts, Url,
};
use receivers::{
    DISCORD, EMAIL, INCIDENTIO, JIRA, MATTERMOST, OPSGENIE, PAGERDUTY, PUSHOVER, ROCKETCHAT, SLACK, SNS,
    TEAMS, TEAMS_V2, TELEGRAM, VICTOROPS, WEBEX, WEBHOOK, WECHAT,
};

pub(super) static CONFIG: Shape = Shape {
    what: "the configuration",
    fields: &[
        ("global", Struct(&GLOBAL)),
        ("route", Struct(&ROUTE)),
        ("inhibit_rules", Structs(&INHIBIT_RULE)),
        ("receivers", Structs(&RECEIVER)),
        ("templates", Texts),
        ("mute_time_intervals", Structs(&TIME_INTERVALS)),
        ("time_intervals", Structs(&TIME_INTERVALS)),
        ("tracing", Any),
    ],
};

pub(super) static GLOBAL: Shape = Shape {
    what: "global",
    fields: &[
        ("resolve_timeout", Duration),
        ("http_config", Struct(&HTTP)),
        ("smtp_from", Text),
        ("smtp_hello", Text),
        ("smtp_smarthost", HostPort),
        ("smtp_auth_username", Text),
        ("smtp_auth_password", Secret),
        ("smtp_auth_password_file", Text),
        ("smtp_auth_secret", Secret),
        ("smtp_auth_secret_file", Text),
        ("smtp_auth_identity", Text),
        ("smtp_require_tls", Bool),
        ("smtp_force_implicit_tls", Bool),
        ("smtp_tls_config", Struct(&TLS)),
        ("slack_api_url", SecretUrl),
        ("slack_api_url_file", Text),
        ("slack_app_token", Secret),
        ("slack_app_token_file", Text),
        ("slack_app_url", Url),
        ("pagerduty_url", Url),
        ("opsgenie_api_url", Url),
        ("opsgenie_api_key", Secret),
        ("opsgenie_api_key_file", Text),
        ("wechat_api_url", Url),
        ("wechat_api_secret", Secret),
        ("wechat_api_secret_file", Text),
        ("wechat_api_corp_id", Text),
        ("victorops_api_url", Url),
        ("victorops_api_key", Secret),
        ("victorops_api_key_file", Text),
        ("telegram_api_url", Url),
        ("telegram_bot_token", Secret),
        ("telegram_bot_token_file", Text),
        ("webex_api_url", Url),
        ("jira_api_url", Url),
        ("rocketchat_api_url", Url),
        ("rocketchat_token", Secret),
        ("rocketchat_token_file", Text),
        ("rocketchat_token_id", Secret),
        ("rocketchat_token_id_file", Text),
        ("mattermost_webhook_url", SecretUrl),
        ("mattermost_webhook_url_file", Text),
    ],
};

pub(super) static ROUTE: Shape = Shape {
    what: "a route",
    fields: &[
        ("receiver", Text),
        ("group_by", Texts),
        ("match", TextMap),
        ("match_re", TextMap),
        ("matchers", Texts),
        ("mute_time_intervals", Texts),
        ("active_time_intervals", Texts),
        ("continue", Bool),
        ("routes", Structs(&ROUTE)),
        ("group_wait", Duration),
        ("group_interval", Duration),
        ("repeat_interval", Duration),
    ],
};

static INHIBIT_RULE: Shape = Shape {
    what: "an inhibition rule",
    fields: &[
        ("name", Text),
        ("source_match", TextMap),
        ("source_match_re", TextMap),
        ("source_matchers", Texts),
        ("target_match", TextMap),
        ("target_match_re", TextMap),
        ("target_matchers", Texts),
        ("equal", Texts),
    ],
};

static TIME_INTERVALS: Shape = Shape {
    what: "a time interval",
    fields: &[("name", Text), ("time_intervals", Structs(&TIME_INTERVAL))],
};

static TIME_INTERVAL: Shape = Shape {
    what: "a time interval",
    fields: &[
        ("times", Structs(&TIMES)),
        ("weekdays", Texts),
        ("days_of_month", Texts),
        ("months", Texts),
        ("years", Texts),
        ("location", Text),
    ],
};

static TIMES: Shape = Shape {
    what: "a range of times",
    fields: &[("start_time", Text), ("end_time", Text)],
};

static HTTP: Shape = Shape {
    what: "http_config",
    fields: &[
        ("basic_auth", Struct(&BASIC)),
        ("authorization", Struct(&AUTHORIZATION)),
        ("oauth2", Struct(&OAUTH2)),
        ("bearer_token", Secret),
        ("bearer_token_file", Text),
        ("tls_config", Struct(&TLS)),
        ("follow_redirects", Bool),
        ("enable_http2", Bool),
        ("proxy_url", Secret),
        ("no_proxy", Text),
        ("proxy_from_environment", Bool),
        ("proxy_connect_header", SecretLists),
        ("http_headers", SecretLists),
    ],
};

static BASIC: Shape = Shape {
    what: "basic_auth",
    fields: &[
        ("username", Text),
        ("username_file", Text),
        ("username_ref", Text),
        ("password", Secret),
        ("password_file", Text),
        ("password_ref", Text),
    ],
};

static AUTHORIZATION: Shape = Shape {
    what: "authorization",
    fields: &[
        ("type", Text),
        ("credentials", Secret),
        ("credentials_file", Text),
        ("credentials_ref", Text),
    ],
};

static OAUTH2: Shape = Shape {
    what: "oauth2",
    fields: &[
        ("client_id", Text),
        ("client_secret", Secret),
        ("client_secret_file", Text),
        ("client_secret_ref", Text),
        ("client_certificate_key_id", Text),
        ("client_certificate_key", Secret),
        ("client_certificate_key_file", Text),
        ("client_certificate_key_ref", Text),
        ("grant_type", Text),
        ("signature_algorithm", Text),
        ("iss", Text),
        ("audience", Text),
        ("claims", Any),
        ("scopes", Texts),
        ("token_url", Text),
        ("endpoint_params", SecretMap),
        ("tls_config", Struct(&TLS)),
        ("proxy_url", Secret),
        ("no_proxy", Text),
        ("proxy_from_environment", Bool),
        ("proxy_connect_header", SecretLists),
    ],
};

pub(super) static TLS: Shape = Shape {
    what: "tls_config",
    fields: &[
        ("ca", Text),
        ("ca_file", Text),
        ("ca_ref", Text),
        ("cert", Text),
        ("cert_file", Text),
        ("cert_ref", Text),
        ("key", Secret),
        ("key_file", Text),
        ("key_ref", Text),
        ("server_name", Text),
        ("insecure_skip_verify", Bool),
        ("min_version", Text),
        ("max_version", Text),
    ],
};

static RECEIVER: Shape = Shape {
    what: "a receiver",
    fields: &[
        ("name", Text),
        ("discord_configs", Structs(&DISCORD)),
        ("email_configs", Structs(&EMAIL)),
        ("incidentio_configs", Structs(&INCIDENTIO)),
        ("jira_configs", Structs(&JIRA)),
        ("mattermost_configs", Structs(&MATTERMOST)),
        ("msteams_configs", Structs(&TEAMS)),
        ("msteamsv2_configs", Structs(&TEAMS_V2)),
        ("opsgenie_configs", Structs(&OPSGENIE)),
        ("pagerduty_configs", Structs(&PAGERDUTY)),
        ("pushover_configs", Structs(&PUSHOVER)),
        ("rocketchat_configs", Structs(&ROCKETCHAT)),
        ("slack_configs", Structs(&SLACK)),
        ("sns_configs", Structs(&SNS)),
        ("telegram_configs", Structs(&TELEGRAM)),
        ("victorops_configs", Structs(&VICTOROPS)),
        ("webex_configs", Structs(&WEBEX)),
        ("webhook_configs", Structs(&WEBHOOK)),
        ("wechat_configs", Structs(&WECHAT)),
    ],
};
