//! An Alertmanager's file as it is: what its receivers are told is what that Alertmanager tells them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::desk::{Desk, Told, is_end_of_held_back};
use super::{alertmanager, catalog, serve, tell};
use crate::harness::until;
use crate::told;

/// What of a message is the same whoever sends it.
fn plain(told: &Told) -> (String, Value) {
    let mut body = told.body.clone();
    if let Some(document) = body.as_object_mut() {
        document.remove("externalURL");
    }
    if let Some(alerts) = body.get_mut("alerts").and_then(Value::as_array_mut) {
        alerts.retain(|alert| !is_end_of_held_back(alert));
    }
    for alert in body
        .get_mut("alerts")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        // The times of both clocks, and where somebody would look it up.
        for key in ["startsAt", "endsAt", "generatorURL"] {
            alert.as_object_mut().expect("an alert").remove(key);
        }
    }
    for attachment in body
        .get_mut("attachments")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let attachment = attachment.as_object_mut().expect("an attachment");
        // Both name their own address there, and an empty text is none.
        attachment.retain(|key, value| !["title_link", "fallback"].contains(&key.as_str()) && value != "");
    }
    (told.path.clone(), body)
}

fn sorted(told: Vec<Told>) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = told.iter().map(plain).collect();
    all.sort_by_key(|(path, body)| (path.clone(), body.to_string()));
    all
}

#[test]
fn what_arrives_is_what_an_alertmanager_sends_groups_inhibition_and_words() {
    let desk = Desk::start();
    let catalog = catalog(&desk, false);
    let server = serve(tempfile::tempdir().expect("a directory"), catalog.path());
    let Some(theirs) = alertmanager(&desk, None) else {
        return;
    };
    let both = [server.address.as_str(), theirs.address.as_str()];
    let alerts = [
        "Down cell=c1 team=shop severity=critical",
        "Full cell=c1 team=shop severity=high",
        "Slow cell=c1 team=shop severity=low",
        "Down cell=c2 team=bank severity=critical",
        "Odd cell=c3",
    ];
    // Two webhooks of one, a post to Slack and a webhook of its own, and again when all is over.
    tell(&both, &alerts, false);
    until("all is told", || {
        [true, false].iter().all(|side| desk.all(*side).len() == 4)
    });
    let client = |arguments: &[&str]| {
        let url = format!("--alertmanager.url={}", server.address);
        let output = Command::new("amtool").args(arguments).arg(url).output();
        let output = output.expect("amtool is installed");
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(client(&["config", "routes", "test", "team=bank"]).trim(), "bank");
    let shown: Value =
        serde_json::from_str(&client(&["alert", "query", "--inhibited", "-o", "json"])).expect("JSON");
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown[0]["labels"]["alertname"], "Slow");
    tell(&both, &alerts, true);
    until("that all is over is told", || {
        [true, false].iter().all(|side| desk.all(*side).len() == 7)
    });
    let (ours, mine) = (sorted(desk.all(false)), sorted(desk.all(true)));
    for (our, their) in ours.iter().zip(&mine) {
        assert_eq!(our, their);
    }
    let slack = ours.iter().find(|(path, _)| path == "/slack").expect("a post");
    assert_eq!(slack.1["attachments"][0]["title"], "FIRING c1 2", "{}", slack.1);
}

/// A mail server that takes everything and remembers with what password it came.
fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let logins = Arc::new(Mutex::new(Vec::new()));
    let taking = Arc::clone(&logins);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let taking = Arc::clone(&taking);
            std::thread::spawn(move || {
                let _ = take_mail(stream, &taking);
            });
        }
    });
    (port, logins)
}

fn take_mail(stream: TcpStream, logins: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    reader.get_mut().write_all(b"220 mail\r\n")?;
    let (mut line, mut in_text) = (String::new(), false);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let said = line.trim_end();
        let answer = if in_text {
            if said != "." {
                continue;
            }
            in_text = false;
            "250 queued\r\n"
        } else if let Some(login) = said.strip_prefix("AUTH PLAIN ") {
            let mut logins = logins.lock().unwrap_or_else(PoisonError::into_inner);
            logins.push(login.to_owned());
            "235 welcome\r\n"
        } else if said == "DATA" {
            in_text = true;
            "354 go\r\n"
        } else if said.starts_with("EHLO") {
            "250-mail\r\n250 AUTH PLAIN\r\n"
        } else {
            "250 ok\r\n"
        };
        reader.get_mut().write_all(answer.as_bytes())?;
    }
}

#[test]
fn another_password_of_the_mail_server_is_in_force_from_the_next_apply_on() {
    let (port, logins) = mail_server();
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    let file = |password: &str| {
        format!(
            "global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: 'a@shop.example', smtp_require_tls: false, smtp_auth_username: mail, {password}}}\n\
             route: {{receiver: mail, group_wait: 0s, group_by: [alertname]}}\n\
             receivers: [{{name: mail, email_configs: [{{to: 'b@shop.example'}}]}}]\n"
        )
    };
    let platform = "apiVersion: mainstay/v1\nkind: Platform\nmetadata: {name: shop}\nspec:\n  title: Shop\n  time_zone: UTC\n  availability_tiers: [{id: standard, title: Standard, target: 99%}]\n";
    write("platform.yaml", platform);
    write("alertmanager.yml", &file("smtp_auth_password: first"));
    let server = serve(tempfile::tempdir().expect("a directory"), directory.path());
    // What is said to a server with NUL between: nobody, `mail`, the password.
    let logged_in = |count: usize, last: &str| {
        until("a mail is sent", || {
            logins.lock().expect("not poisoned").len() == count
        });
        assert_eq!(
            logins.lock().expect("not poisoned").last().map(String::as_str),
            Some(last)
        );
    };
    tell(&[&server.address], &["One cell=c1"], false);
    logged_in(1, "AG1haWwAZmlyc3Q=");

    write("alertmanager.yml", &file("smtp_auth_password: other"));
    let applied = server.ask(&["apply"]);
    assert!(told(&applied).contains("read anew"), "{}", told(&applied));
    tell(&[&server.address], &["Two cell=c1"], false);
    logged_in(2, "AG1haWwAb3RoZXI=");

    // The same from a file beside it, which is no part of the catalog.
    write("secret", "first\n");
    write("alertmanager.yml", &file("smtp_auth_password_file: secret"));
    assert_eq!(server.ask(&["apply"]).status.code(), Some(0));
    tell(&[&server.address], &["Three cell=c1"], false);
    logged_in(3, "AG1haWwAZmlyc3Q=");
    write("secret", "other\n");
    assert_eq!(server.ask(&["apply"]).status.code(), Some(0));
    tell(&[&server.address], &["Four cell=c1"], false);
    logged_in(4, "AG1haWwAb3RoZXI=");
}
