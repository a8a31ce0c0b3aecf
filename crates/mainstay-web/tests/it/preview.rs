//! The fixed data in a real browser: `cargo test -p mainstay-web --test it preview -- --ignored --nocapture`.

use std::time::Duration;

use jiff::SignedDuration;
use mainstay_kernel::IncidentId;
use mainstay_web::Topic;
use tokio::net::TcpListener;

use crate::fake::{INCIDENT, Mood};
use crate::harness::Web;

/// How often something happens there.
const PACE: Duration = Duration::from_secs(2);

#[tokio::test]
#[ignore = "serves until it is stopped"]
async fn preview() {
    let mut webs = Vec::new();
    for (port, web) in [
        (8471, Web::open(Mood::Ok)),
        (8472, Web::open(Mood::Breached)),
        (8473, Web::open(Mood::Unknown)),
        (8474, Web::with_tokens(Mood::Breached)),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("the port is free");
        println!("http://127.0.0.1:{port}/");
        let router = web.router.clone();
        tokio::spawn(mainstay_web::serve(listener, router, std::future::pending()));
        webs.push(web);
    }
    let incident = Topic::incident(&IncidentId::new(INCIDENT).expect("a name"));
    loop {
        tokio::time::sleep(PACE).await;
        for web in &webs {
            web.clock.advance(SignedDuration::try_from(PACE).expect("short"));
            // Nobody may be looking.
            let _ = web.live.send(Topic::overview());
            let _ = web.live.send(incident.clone());
        }
    }
}
