//! Serves the console over the fixed data of the tests, to look at: `cargo run -p mainstay-web --example preview -- ok`.

#[path = "../tests/it/fake.rs"]
mod fake;

use std::sync::Arc;

use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_web::{Auth, Settings, Setup, router, serve};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mood = match std::env::args().nth(1).as_deref() {
        Some("ok") => fake::Mood::Ok,
        Some("unknown") => fake::Mood::Unknown,
        _ => fake::Mood::Breached,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/", listener.local_addr()?);
    let router = router(Setup {
        console: Arc::new(fake::Fake::new(mood)),
        auth: Auth::Open,
        clock: Arc::new(ManualClock::at(fake::NOW.parse().expect("a timestamp"))),
        entropy: Arc::new(SeededEntropy::new(1)),
        live: broadcast::channel(16).0,
        settings: Settings::default(),
    });
    serve(listener, router, std::future::pending()).await;
    Ok(())
}
