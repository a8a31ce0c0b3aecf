use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_slo::spec::contradictions;
use std::path::Path;

fn of_catalog(name: &str) -> Diagnostics {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../catalogs")
        .join(name);
    let (documents, mut unread) = Documents::load(&folder);
    let platform = Platform::build(&documents, &mut unread);
    let mut diagnostics = Diagnostics::new();
    contradictions::check(&documents, &platform, &mut diagnostics);
    diagnostics
}

#[test]
fn as_written() {
    println!("{}", of_catalog("as-written").render_short());
    println!("PAYMENTS");
    println!("{}", of_catalog("payments").render_short());
}
