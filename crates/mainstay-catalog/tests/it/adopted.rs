//! What of an Alertmanager's configuration is told otherwise here, or not at all.

use mainstay_catalog::{Catalog, Documents, Level};

use crate::alertmanager::check;

/// The warnings about a file: their places and what they say.
fn lost(text: &str) -> Vec<(String, String)> {
    let (_, found) = check(text);
    let warnings = found.iter().filter(|found| found.level == Level::Warning);
    let of_file = warnings.filter(|found| *found.file == *"alertmanager.yml");
    of_file
        .map(|found| (found.place(), found.message.clone()))
        .collect()
}

#[test]
fn what_is_said_of_http_for_all_and_has_no_effect_is_a_warning_with_its_place() {
    let file = |http: &str, configs: &str| {
        format!(
            "global: {{http_config: {{{http}}}}}\nroute: {{receiver: a}}\nreceivers: [{{name: a, {configs}}}]\n"
        )
    };
    let webhook = "webhook_configs: [{url: 'https://a.example/hook'}]";
    let slack = "slack_configs: [{api_url: 'https://slack.example/hook', channel: '#a'}]";
    let expected = |place: &str, words: &str| vec![(format!("alertmanager.yml:{place}"), words.to_owned())];
    let no_effect = |key: &str| format!("`{key}` of `http_config` in `global` has no effect");
    for key in [
        "proxy_url: 'http://proxy.example:3128'",
        "tls_config: {insecure_skip_verify: true}",
        "oauth2: {client_id: a, client_secret: b, token_url: 'https://a.example/token'}",
        "follow_redirects: true",
    ] {
        let name = key.split(':').next().unwrap_or_default();
        assert_eq!(
            lost(&file(key, webhook)),
            expected("1:24", &no_effect(name)),
            "{key}"
        );
    }
    for login in [
        "basic_auth: {username: a, password: b}",
        "authorization: {credentials: b}",
        "bearer_token: b",
    ] {
        assert_eq!(lost(&file(login, webhook)), [], "webhooks log in: {login}");
        let name = login.split(':').next().unwrap_or_default();
        let words =
            format!("`{name}` of `http_config` in `global` is followed for webhooks, and not for slack");
        let both = format!("{webhook}, {slack}");
        assert_eq!(lost(&file(login, &both)), expected("1:24", &words), "{login}");
    }
    assert_eq!(
        lost(&file("follow_redirects: false, enable_http2: true", webhook)),
        []
    );
}

#[test]
fn a_webhook_that_takes_copies_for_mainstay_tells_nobody_here() {
    let (catalog, found) = check(
        "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'https://a.example/hook'}, {url: 'http://mainstay.example/api/v1/shadow/alertmanager'}]}]\n",
    );
    let receiver = &catalog.response.routing.receivers["a"];
    assert_eq!(receiver.recipients().len(), 1, "{receiver:?}");
    let said: Vec<_> = found
        .iter()
        .filter(|found| found.message.contains("takes copies"))
        .collect();
    assert_eq!(said.len(), 1, "{}", found.render_short());
    assert_eq!(said[0].place(), "alertmanager.yml:2:80");
}

#[test]
fn a_whole_file_is_put_in_shadow_by_the_document_that_names_it() {
    let routing = |more: &str| {
        let named = format!(
            "apiVersion: mainstay/v1\nkind: AlertmanagerRouting\nmetadata: {{name: r}}\nspec: {{file: alertmanager.yml{more}}}\n"
        );
        let file = "route: {receiver: a, routes: [{match: {team: shop}}]}\nreceivers: [{name: a}]\n";
        let (documents, mut found) =
            Documents::from_texts([("alertmanager.yml", file), ("r.yaml", named.as_str())]);
        let catalog = Catalog::build(documents, &mut found);
        assert!(
            !found
                .iter()
                .any(|one| *one.file == *"r.yaml" && one.level == Level::Error),
            "{}",
            found.render_short()
        );
        let routes = catalog.response.routing.routes().into_iter();
        routes.map(|named| named.route.shadow).collect::<Vec<bool>>()
    };
    assert_eq!(routing(", shadow: true"), [true, true]);
    assert_eq!(routing(""), [false, false]);
}
