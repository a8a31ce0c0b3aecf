//! What people see of alerts, silences, rotas and heartbeats, and the doors by which they acknowledge.

use crate::fake::Mood;
use crate::harness::Web;
use crate::pages::main_of;

#[tokio::test]
async fn an_alert_leads_to_why_and_says_what_holds_it_back_and_where_it_goes() {
    let html = main_of(Mood::Breached, "/alerts").await;
    let why = html.split("href=\"/why/").nth(1).expect("an alert has a why");
    let fingerprint = why.split('"').next().expect("the link ends");
    assert_eq!(fingerprint.len(), 64, "{fingerprint}");
    for needed in [
        "<b>silenced</b> by <a href=\"/silences\">ada until 2025-01-15T11:00:00Z: planned</a>",
        "<b>inhibited</b> by <a href=\"/why/c0ffee\">CellDown</a>",
        "pages by payments, chat #sre-alerts",
        "root &gt; {priority=~&quot;P[01]&quot;}",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
}

#[tokio::test]
async fn a_silence_shows_what_it_would_hold_back_before_it_is_made() {
    let web = Web::with_tokens(Mood::Breached);
    let read = async |account: &str, query: &str| {
        let request = crate::harness::get(&format!("/silences{query}"))
            .header("authorization", format!("Bearer {account}-token"));
        web.send(request.body(axum::body::Body::empty()).expect("well formed"))
            .await
            .text()
    };
    let html = read("responder", "?matchers=cell%3Dcell-5&for=2h").await;
    for needed in [
        "It would hold back 1 of the 1 alerts",
        "P0 among them",
        "Say why first.",
        "value=\"2h\" selected",
        "1, worst",
        "silenced already",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    let html = read(
        "responder",
        "?matchers=cell%3Dcell-6&comment=disks&from=2025-01-15T22:00",
    )
    .await;
    for needed in [
        "It would hold back 0 of the 1 alerts",
        "P0 not left out",
        "Silence from 22:00:00 UTC until 23:00:00 UTC",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    let excluded = "?matchers=cell%3Dcell-6,priority!%3DP0&comment=disks";
    assert!(!read("responder", excluded).await.contains("P0 not left out"));
    let all = read("responder", "?matchers=cell%3D~%22.*%22&comment=all").await;
    assert!(all.contains("matches everything") && !all.contains("until 11:18"));
    let bad = read("responder", "?matchers=%3Cscript%3E").await;
    assert!(bad.contains("cannot be read") && bad.contains("value=\"&lt;script&gt;\""));
    let viewer = read("viewer", "?matchers=cell%3Dcell-5").await;
    assert!(!viewer.contains("New silence") && !viewer.contains("End now"));
}

#[tokio::test]
async fn a_silence_is_made_in_the_name_of_who_makes_it_and_never_without_a_reason() {
    let web = Web::with_tokens(Mood::Ok);
    let send = async |body: &'static str| {
        let request = crate::harness::post("/silences")
            .header("authorization", "Bearer responder-token")
            .header(crate::harness::FORM.0, crate::harness::FORM.1);
        web.send(request.body(axum::body::Body::from(body)).expect("well formed"))
            .await
    };
    for wrong in [
        "",
        "matchers=cell%3Dcell-5",
        "matchers=cell&comment=x",
        "matchers=a%3Db&for=5y&comment=x",
    ] {
        assert_eq!(send(wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(
        web.fake.last_asked().map(|(what, _)| what),
        None,
        "nothing was made"
    );
    let reply = send("matchers=cell%3Dcell-5&for=2h&comment=disks").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header(http::header::LOCATION)),
        (303, "/silences")
    );
    let made = web
        .fake
        .silenced
        .lock()
        .expect("no test panics")
        .clone()
        .expect("it was made");
    assert_eq!(
        (made.created_by.as_str(), made.comment.as_str()),
        ("responder", "disks")
    );
    assert_eq!(made.ends_at.to_string(), "2025-01-15T12:18:04Z");
}

#[tokio::test]
async fn the_rotas_of_four_weeks_are_shown_in_the_readers_zone_with_gaps_and_overrides() {
    let html = main_of(Mood::Ok, "/oncall?zone=Africa%2FJohannesburg").await;
    for needed in [
        "Thu 2025-01-16 18:00",
        "Fri 2025-01-17 08:00",
        "2 h",
        "Four weeks, in Africa/Johannesburg",
        "Tue 2025-02-11",
        "it is the turn of person grace: the incident before began with rota primary",
        "rota nights</span><span class=\"dim\"> (passed over)</span>",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    let friday = crate::harness::between(&html, "Fri 2025-01-17</th>", "</tr>");
    for needed in [
        "<b>grace</b> <span class=\"status s-warning\"><span class=\"shape\" aria-hidden=\"true\">▲</span> override</span> until 08:00",
        "✖</span> nobody</span> 08:00–10:00",
        "<b>ada</b> from 10:00",
    ] {
        assert!(friday.contains(needed), "{needed} in {friday}");
    }
    assert!(
        !html.contains("Decides") && !html.contains("turn 3"),
        "nothing was asked to be explained"
    );
    let web = Web::open(Mood::Ok);
    let html = web
        .get("/oncall?at=2025-01-16T18:00&zone=Africa/Johannesburg")
        .await
        .text();
    assert!(html.contains("turn 3 of the layer") && html.contains("16:00:00 UTC"));
    for wrong in ["zone=Atlantis", "at=soon"] {
        assert_eq!(web.get(&format!("/oncall?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn heartbeats_show_the_missed_first_and_what_never_came_is_not_well() {
    let html = main_of(Mood::Ok, "/heartbeats?fragment=1").await;
    let place = |text: &str| html.find(text).expect(text);
    assert!(place("reconciliation") < place("settlement") && place("settlement") < place("nightly-backup"));
    assert!(html.contains("?</span> none came yet") && html.contains("✖</span> missed"));
}

#[tokio::test]
async fn the_link_of_a_mail_asks_first_and_its_button_acknowledges_without_an_account() {
    let web = Web::with_tokens(Mood::Breached);
    let link = "/ack?page=page-1&person=ada&until=1736936284&signature=";
    let asked = || web.fake.acknowledged.load(std::sync::atomic::Ordering::SeqCst);
    let html = web.get(&format!("{link}good")).await.text();
    assert!(html.contains("Acknowledge as Ada Lovelace") && html.contains("method=\"post\" action=\"/ack\""));
    assert_eq!(asked(), 0, "programs that look at mail open every link");
    for wrong in [format!("{link}forged"), "/ack?page=page-1".to_owned()] {
        let reply = web.get(&wrong).await;
        assert!(
            [400, 403].contains(&reply.status.as_u16()),
            "{wrong}: {}",
            reply.status
        );
        assert!(
            !reply.text().contains("cell-5"),
            "nobody else learns what it is about"
        );
    }
    let press = async |signature: &str| {
        let request = crate::harness::post("/ack").header(crate::harness::FORM.0, crate::harness::FORM.1);
        let body = format!("page=page-1&person=ada&until=1736936284&signature={signature}");
        web.send(request.body(axum::body::Body::from(body)).expect("well formed"))
            .await
    };
    assert_eq!((press("forged").await.status.as_u16(), asked()), (403, 0));
    for _ in 0..2 {
        let reply = press("good").await;
        assert_eq!(reply.header(http::header::LOCATION), format!("{link}good"));
    }
    let html = web.get(&format!("{link}good")).await.text();
    assert!(html.contains("You have it") && !html.contains("<form"));
    let other = web
        .get(
            &link
                .replace("ada", "grace")
                .replace("signature=", "signature=good"),
        )
        .await
        .text();
    assert!(other.contains("ada was first"), "{other}");
    let slack = async |signature: &str| {
        let request = crate::harness::post("/api/v1/slack/actions")
            .header(crate::harness::FORM.0, crate::harness::FORM.1)
            .header("x-slack-signature", signature);
        web.send(
            request
                .body(axum::body::Body::from("payload=%7B%7D"))
                .expect("well formed"),
        )
        .await
    };
    assert_eq!(slack("forged").await.status, 403);
    assert_eq!(
        slack("v0=1").await.json()["text"],
        "14 bytes",
        "the body comes as it was signed"
    );
}
