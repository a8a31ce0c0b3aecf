//! What people see.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use mainstay_web::route::{self, Kind};

use crate::fake::{INCIDENT, Mood};
use crate::harness::Web;

/// The page as text to compare, one element a line; digests of assets and random tokens are replaced.
fn snapshot(name: &str, html: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"console-[0-9a-f]{12}", "console-DIGEST");
    settings.add_filter(
        r#"name="csrf" value="[0-9a-f]{64}""#,
        r#"name="csrf" value="TOKEN""#,
    );
    settings.bind(|| insta::assert_snapshot!(name, html.replace('>', ">\n")));
}

pub(crate) async fn main_of(mood: Mood, path: &str) -> String {
    let reply = Web::open(mood).get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

#[tokio::test]
async fn overview_when_all_is_well() {
    let html = main_of(Mood::Ok, "/?fragment=1").await;
    assert!(html.contains("All objectives are kept."));
    assert!(!html.contains("s-breached"), "red is only for bad");
    snapshot("overview_ok", &html);
}

#[tokio::test]
async fn overview_in_the_outage_names_service_cell_tenants_and_suspect() {
    let html = main_of(Mood::Breached, "/").await;
    let sentence = crate::harness::between(&html, "<h1>", "</h1>");
    assert_eq!(
        sentence,
        "Payments failing in cell-5 since 10:15 UTC, hitting tenants std-001 and std-014. \
         Suspect: v1.6.0 of payment-service, deployed 10:00 UTC."
    );
    assert!(!html.contains("All objectives are kept"));
    snapshot("overview_breached", &html);
}

#[tokio::test]
async fn overview_without_data_is_nowhere_green() {
    let html = main_of(Mood::Unknown, "/?fragment=1").await;
    assert!(html.contains("nothing is known about the platform"));
    assert!(!html.contains("status s-ok"), "no data is not good data");
    snapshot("overview_unknown", &html);
}

#[tokio::test]
async fn data_that_stop_coming_do_not_stay_green() {
    let web = Web::open(Mood::Ok);
    web.clock.advance(jiff::SignedDuration::from_mins(10));
    let html = web.get("/").await.text();
    assert_eq!(
        crate::harness::between(&html, "<h1>", "</h1>"),
        "The newest data is 10 min 4 s old: how the platform stands now is not known."
    );
    assert!(html.contains("firing unknown"));
    let status = &web.get("/api/v1/overview").await.json()["data"]["sentence"]["status"];
    assert_eq!(status, "unknown");
}

#[tokio::test]
async fn incident_page() {
    let html = main_of(Mood::Breached, &format!("/incidents/{INCIDENT}?fragment=1")).await;
    for needed in [
        "Acknowledge",
        "Run: roll back payment-service in cell-5",
        "v1.6.0",
        "250 2.0.0 Ok",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    snapshot("incident", &html);
}

#[tokio::test]
async fn an_objective_shows_both_counts_what_spent_it_and_what_hangs_on_it() {
    let html = main_of(Mood::Breached, "/slos/payments-availability?cell=cell-5").await;
    for needed in [
        "everything that was counted",
        "the budget goes by this",
        "99.9%",
        "12,155",
        "href=\"/incidents/2025-01-15-001\"",
        "19,142",
        "In no incident",
        "refused",
        "changes are frozen",
        "href=\"/api/v1/slos/payments-availability/explain?cell=cell-5\"",
        "href=\"/api/v1/reports/2025-01?format=html\"",
        "name=\"cell\" value=\"cell-5\"",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
}

#[tokio::test]
async fn what_if_is_asked_by_a_plain_form_and_wrong_targets_are_explained_on_the_page() {
    let path = "/slos/payments-availability?targets=99.9%2C+0.9995&over=7d";
    let web = Web::open(Mood::Ok);
    let html = web.get(path).await.text();
    for needed in [
        "99.9%",
        "99.95%",
        "exhausted",
        "value=\"7d\" selected",
        "changes are frozen",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    // What keeps the page up to date does not ask again.
    web.fake.forget();
    web.get(&format!("{path}&fragment=1")).await;
    assert_eq!(web.fake.last_asked().map(|(what, _)| what), Some("slo"));
    let reply = web
        .get("/slos/payments-availability?targets=%3Cscript%3E,many")
        .await;
    assert_eq!(reply.status, 200);
    let html = reply.text();
    assert!(html.contains("cannot be answered") && html.contains("write 99.95%"));
    assert!(
        html.contains("value=\"&lt;script&gt;,many\""),
        "what was typed stays"
    );
}

#[tokio::test]
async fn objectives_are_grouped_by_service_and_narrowed_by_state() {
    let html = main_of(Mood::Breached, "/slos?cell=cell-5").await;
    assert!(html.contains("<h2>payment-service</h2>"));
    assert!(html.contains("href=\"/slos?cell=cell-5&amp;state=exhausted\""));
    let place = |text: &str| html.find(text).expect(text);
    assert!(
        place(">API availability<") < place(">API latency"),
        "the worst is first"
    );
    let html = main_of(Mood::Breached, "/slos?state=exhausted").await;
    assert!(html.contains(">API availability<") && !html.contains(">API latency"));
    let refused = Web::open(Mood::Ok).get("/slos?state=fine").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn the_gate_names_what_is_refused_and_green_is_not_for_what_is_unseen() {
    let html = main_of(Mood::Breached, "/gate").await;
    for needed in [
        "refused",
        "since 10:17:00 UTC",
        "changes are frozen",
        "href=\"/slos/payments-availability?cell=cell-5\"",
        "certificates end",
        "it mends the pool",
        "v1.6.1",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    let html = main_of(Mood::Unknown, "/gate").await;
    let now = crate::harness::between(&html, "id=\"places\"", "id=\"answers\"");
    assert!(now.contains("allowed, unseen") && !now.contains("s-ok"), "{now}");
}

#[tokio::test]
async fn reports_lead_to_every_edition_in_every_form() {
    let web = Web::with_tokens(Mood::Ok);
    let read = async |account: &str| {
        let request = crate::harness::get("/reports?month=2024-12")
            .header("authorization", format!("Bearer {account}-token"));
        web.send(request.body(axum::body::Body::empty()).expect("well formed"))
            .await
            .text()
    };
    let html = read("viewer").await;
    for form in ["html", "md", "csv", "json"] {
        let edition =
            format!("href=\"/api/v1/reports/2024-12?tenant=std-001&amp;edition=1&amp;format={form}\"");
        assert!(html.contains(&edition), "{edition}");
        assert!(html.contains(&format!("href=\"/api/v1/reports/2024-12?format={form}\"")));
    }
    let own = read("own-viewer").await;
    assert!(own.contains("Standard Bank") && !own.contains("The platform"));
    let foreign = read("foreign-viewer").await;
    assert!(!foreign.contains("Standard Bank") && foreign.contains("There is no report"));
}

/// Every page a reader can open, with what exists for its parameters.
fn page_paths() -> Vec<String> {
    route::table()
        .into_iter()
        .map(|route| route.info)
        .filter(|info| info.kind == Kind::Page && info.method == http::Method::GET)
        .filter(|info| !["/login", "/assets/{name}", "/healthz", "/ack"].contains(&info.path))
        .map(|info| {
            info.path
                .replace("/slos/{id}", "/slos/payments-availability")
                .replace("{id}", INCIDENT)
                .replace("{event}", "01JHM8C1E0041061050R3GG28A")
        })
        .chain(["/query?query=up", "/search?q=payment"].map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn every_page_is_complete_without_script_small_and_free_of_inline_code() {
    for mood in [Mood::Ok, Mood::Breached, Mood::Unknown] {
        let web = Web::open(mood);
        for path in page_paths() {
            let reply = web.get(&path).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            let html = reply.text();
            for forbidden in [
                " style=",
                "<style",
                " onclick=",
                " onload=",
                "javascript:",
                "<script>",
            ] {
                assert!(!html.contains(forbidden), "{path} has {forbidden}");
            }
            assert_eq!(html.matches("<script").count(), 1, "{path}: only the one file");
            for landmark in [
                "<header",
                "<nav",
                "<main",
                "<footer",
                "<h1>",
                "lang=\"en\"",
                "Skip to content",
            ] {
                assert!(html.contains(landmark), "{path} lacks {landmark}");
            }
            assert_unique_ids(&path, &html);
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(html.as_bytes()).expect("memory takes all");
            gzip.write_all(mainstay_ui::assets::STYLE.content.as_bytes())
                .expect("memory takes all");
            gzip.write_all(mainstay_ui::assets::SCRIPT.content.as_bytes())
                .expect("memory takes all");
            let bytes = gzip.finish().expect("memory takes all").len();
            assert!(bytes < 100_000, "{path} has {bytes} bytes with its assets");
        }
    }
}

fn assert_unique_ids(path: &str, html: &str) {
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "{path} has an id twice");
}

#[tokio::test]
async fn each_live_region_of_a_page_is_in_its_fragment() {
    let web = Web::open(Mood::Breached);
    for path in page_paths() {
        let separator = if path.contains('?') { '&' } else { '?' };
        let regions = |html: &str| -> Vec<String> {
            html.split("<div class=\"live\" id=\"")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
                .collect()
        };
        let page = web.get(&path).await.text();
        let fragment = web.get(&format!("{path}{separator}fragment=1")).await.text();
        assert_eq!(regions(&page), regions(&fragment), "{path}");
        assert!(!regions(&page).is_empty(), "{path} follows nothing");
        assert!(fragment.len() < page.len());
    }
}

#[tokio::test]
async fn a_link_keeps_the_scope_and_wrong_scopes_are_explained() {
    let web = Web::open(Mood::Breached);
    let html = web.get("/alerts?cell=cell-5&range=6h").await.text();
    assert!(html.contains("href=\"/incidents?cell=cell-5&amp;range=6h\""));
    assert!(html.contains("<option value=\"cell-5\" selected>"));
    let refused = web.get("/alerts?range=5y").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("Use 1h, 6h, 24h, 7d or 30d."));
}

#[tokio::test]
async fn what_comes_from_outside_is_text_and_never_markup() {
    let web = Web::open(Mood::Breached);
    let html = web.get(&format!("/incidents/{INCIDENT}/postmortem")).await.text();
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let html = web
        .get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E")
        .await
        .text();
    assert!(!html.contains("<script>alert"));
}

#[tokio::test]
async fn search_leads_straight_to_an_id() {
    let web = Web::open(Mood::Breached);
    let reply = web.get(&format!("/search?q={INCIDENT}")).await;
    assert_eq!(
        reply.header(http::header::LOCATION),
        format!("/incidents/{INCIDENT}")
    );
    let found = web.get("/search?q=PAYMENTS%20cell-5").await.text();
    assert!(found.contains("Payments failing in cell-5"));
    let nothing = web.get("/search?q=zebra").await.text();
    assert!(nothing.contains("Nothing that you may see matches."));
}
