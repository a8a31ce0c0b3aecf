//! The ways to tell somebody.

use super::Kind::{
    Any, AnyDuration, Bool, Duration, HostPort, Int, Secret, SecretUrl, Struct, Structs, Text, TextMap,
    Texts, Url,
};
use super::{HTTP, Shape, TLS};

pub(super) static EMAIL: Shape = Shape {
    what: "email_configs",
    fields: &[
        ("send_resolved", Bool),
        ("to", Text),
        ("from", Text),
        ("hello", Text),
        ("smarthost", HostPort),
        ("auth_username", Text),
        ("auth_password", Secret),
        ("auth_password_file", Text),
        ("auth_secret", Secret),
        ("auth_secret_file", Text),
        ("auth_identity", Text),
        ("headers", TextMap),
        ("html", Text),
        ("text", Text),
        ("require_tls", Bool),
        ("force_implicit_tls", Bool),
        ("tls_config", Struct(&TLS)),
        ("threading", Struct(&THREADING)),
    ],
};

pub(super) static THREADING: Shape = Shape {
    what: "threading",
    fields: &[("enabled", Bool), ("thread_by_date", Text)],
};

pub(super) static PAGERDUTY: Shape = Shape {
    what: "pagerduty_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("service_key", Secret),
        ("service_key_file", Text),
        ("routing_key", Secret),
        ("routing_key_file", Text),
        ("url", Url),
        ("client", Text),
        ("client_url", Text),
        ("description", Text),
        ("details", Any),
        ("images", Structs(&IMAGE)),
        ("links", Structs(&LINK)),
        ("source", Text),
        ("severity", Text),
        ("class", Text),
        ("component", Text),
        ("group", Text),
        ("timeout", AnyDuration),
    ],
};

pub(super) static IMAGE: Shape = Shape {
    what: "an image",
    fields: &[("src", Text), ("alt", Text), ("href", Text)],
};

pub(super) static LINK: Shape = Shape {
    what: "a link",
    fields: &[("href", Text), ("text", Text)],
};

pub(super) static SLACK: Shape = Shape {
    what: "slack_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_url", SecretUrl),
        ("api_url_file", Text),
        ("app_token", Secret),
        ("app_token_file", Text),
        ("app_url", Url),
        ("channel", Text),
        ("username", Text),
        ("color", Text),
        ("title", Text),
        ("title_link", Text),
        ("pretext", Text),
        ("text", Text),
        ("message_text", Text),
        ("fields", Structs(&SLACK_FIELD)),
        ("short_fields", Bool),
        ("footer", Text),
        ("fallback", Text),
        ("callback_id", Text),
        ("icon_emoji", Text),
        ("icon_url", Text),
        ("image_url", Text),
        ("thumb_url", Text),
        ("link_names", Bool),
        ("mrkdwn_in", Texts),
        ("actions", Structs(&SLACK_ACTION)),
        ("update_message", Bool),
        ("post_updates_to_thread", Bool),
        ("timeout", AnyDuration),
    ],
};

pub(super) static SLACK_FIELD: Shape = Shape {
    what: "a field",
    fields: &[("title", Text), ("value", Text), ("short", Bool)],
};

pub(super) static SLACK_ACTION: Shape = Shape {
    what: "an action",
    fields: &[
        ("type", Text),
        ("text", Text),
        ("url", Text),
        ("style", Text),
        ("name", Text),
        ("value", Text),
        ("confirm", Struct(&SLACK_CONFIRM)),
    ],
};

pub(super) static SLACK_CONFIRM: Shape = Shape {
    what: "a confirmation",
    fields: &[
        ("text", Text),
        ("title", Text),
        ("ok_text", Text),
        ("dismiss_text", Text),
    ],
};

pub(super) static WEBHOOK: Shape = Shape {
    what: "webhook_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("url", SecretUrl),
        ("url_file", Text),
        ("max_alerts", Int),
        ("timeout", AnyDuration),
        ("payload", Any),
    ],
};

pub(super) static TEAMS: Shape = Shape {
    what: "msteams_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("webhook_url", SecretUrl),
        ("webhook_url_file", Text),
        ("title", Text),
        ("summary", Text),
        ("text", Text),
    ],
};

pub(super) static TEAMS_V2: Shape = Shape {
    what: "msteamsv2_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("webhook_url", SecretUrl),
        ("webhook_url_file", Text),
        ("title", Text),
        ("text", Text),
    ],
};

pub(super) static OPSGENIE: Shape = Shape {
    what: "opsgenie_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_key", Secret),
        ("api_key_file", Text),
        ("api_url", Url),
        ("message", Text),
        ("description", Text),
        ("source", Text),
        ("details", TextMap),
        ("entity", Text),
        ("responders", Structs(&RESPONDER)),
        ("actions", Text),
        ("tags", Text),
        ("note", Text),
        ("priority", Text),
        ("update_alerts", Bool),
    ],
};

pub(super) static RESPONDER: Shape = Shape {
    what: "a responder",
    fields: &[("id", Text), ("name", Text), ("username", Text), ("type", Text)],
};

pub(super) static VICTOROPS: Shape = Shape {
    what: "victorops_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_key", Secret),
        ("api_key_file", Text),
        ("api_url", Url),
        ("routing_key", Text),
        ("message_type", Text),
        ("state_message", Text),
        ("entity_display_name", Text),
        ("monitoring_tool", Text),
        ("custom_fields", TextMap),
    ],
};

pub(super) static PUSHOVER: Shape = Shape {
    what: "pushover_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("user_key", Secret),
        ("user_key_file", Text),
        ("token", Secret),
        ("token_file", Text),
        ("title", Text),
        ("message", Text),
        ("url", Text),
        ("url_title", Text),
        ("device", Text),
        ("sound", Text),
        ("priority", Text),
        ("retry", AnyDuration),
        ("expire", AnyDuration),
        ("ttl", AnyDuration),
        ("html", Bool),
        ("monospace", Bool),
    ],
};

pub(super) static SNS: Shape = Shape {
    what: "sns_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_url", Text),
        ("sigv4", Struct(&SIGV4)),
        ("topic_arn", Text),
        ("phone_number", Text),
        ("target_arn", Text),
        ("subject", Text),
        ("message", Text),
        ("attributes", TextMap),
    ],
};

pub(super) static SIGV4: Shape = Shape {
    what: "sigv4",
    fields: &[
        ("region", Text),
        ("access_key", Secret),
        ("secret_key", Secret),
        ("profile", Text),
        ("role_arn", Text),
        ("external_id", Secret),
        ("use_fips_sts_endpoint", Bool),
    ],
};

pub(super) static TELEGRAM: Shape = Shape {
    what: "telegram_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_url", Url),
        ("bot_token", Secret),
        ("bot_token_file", Text),
        ("chat_id", Int),
        ("chat_id_file", Text),
        ("message_thread_id", Int),
        ("message", Text),
        ("disable_notifications", Bool),
        ("parse_mode", Text),
    ],
};

pub(super) static WEBEX: Shape = Shape {
    what: "webex_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_url", Url),
        ("room_id", Text),
        ("message", Text),
    ],
};

pub(super) static DISCORD: Shape = Shape {
    what: "discord_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("webhook_url", SecretUrl),
        ("webhook_url_file", Text),
        ("title", Text),
        ("message", Text),
        ("content", Text),
        ("username", Text),
        ("avatar_url", Text),
    ],
};

pub(super) static JIRA: Shape = Shape {
    what: "jira_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_url", Url),
        ("api_type", Text),
        ("project", Text),
        ("summary", Any),
        ("description", Any),
        ("labels", Texts),
        ("priority", Text),
        ("issue_type", Text),
        ("reopen_transition", Text),
        ("resolve_transition", Text),
        ("wont_fix_resolution", Text),
        ("reopen_duration", Duration),
        ("fields", Any),
        ("custom_fields", Any),
    ],
};

pub(super) static ROCKETCHAT: Shape = Shape {
    what: "rocketchat_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_url", Url),
        ("token", Secret),
        ("token_file", Text),
        ("token_id", Secret),
        ("token_id_file", Text),
        ("channel", Text),
        ("color", Text),
        ("title", Text),
        ("title_link", Text),
        ("text", Text),
        ("fields", Structs(&SLACK_FIELD)),
        ("short_fields", Bool),
        ("emoji", Text),
        ("icon_url", Text),
        ("image_url", Text),
        ("thumb_url", Text),
        ("link_names", Bool),
        ("actions", Structs(&ROCKETCHAT_ACTION)),
    ],
};

pub(super) static ROCKETCHAT_ACTION: Shape = Shape {
    what: "an action",
    fields: &[("type", Text), ("text", Text), ("url", Text), ("msg", Text)],
};

pub(super) static WECHAT: Shape = Shape {
    what: "wechat_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("api_secret", Secret),
        ("api_secret_file", Text),
        ("corp_id", Text),
        ("message", Text),
        ("api_url", Url),
        ("to_user", Text),
        ("to_party", Text),
        ("to_tag", Text),
        ("agent_id", Text),
        ("message_type", Text),
    ],
};

pub(super) static MATTERMOST: Shape = Shape {
    what: "mattermost_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("webhook_url", SecretUrl),
        ("webhook_url_file", Text),
        ("channel", Text),
        ("username", Text),
        ("text", Text),
        ("icon_url", Text),
        ("icon_emoji", Text),
        ("attachments", Any),
        ("props", Any),
        ("priority", Any),
        ("type", Text),
    ],
};

pub(super) static INCIDENTIO: Shape = Shape {
    what: "incidentio_configs",
    fields: &[
        ("send_resolved", Bool),
        ("http_config", Struct(&HTTP)),
        ("url", Url),
        ("url_file", Text),
        ("alert_source_token", Secret),
        ("alert_source_token_file", Text),
        ("max_alerts", Int),
        ("timeout", AnyDuration),
        ("metadata", TextMap),
    ],
};
