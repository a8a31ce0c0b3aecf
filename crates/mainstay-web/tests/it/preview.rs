//! The fixed data in a real browser: `cargo test -p mainstay-web --test it preview -- --ignored --nocapture`.

use tokio::net::TcpListener;

use crate::fake::Mood;
use crate::harness::Web;

#[tokio::test]
#[ignore = "serves until it is stopped"]
async fn preview() {
    let mut servers = Vec::new();
    for (port, mood) in [(8471, Mood::Ok), (8472, Mood::Breached), (8473, Mood::Unknown)] {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("the port is free");
        println!("http://127.0.0.1:{port}/");
        let router = Web::open(mood).router;
        servers.push(tokio::spawn(mainstay_web::serve(
            listener,
            router,
            std::future::pending(),
        )));
    }
    for server in servers {
        server.await.expect("it does not panic");
    }
}
