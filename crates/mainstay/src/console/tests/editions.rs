//! Editions of the report of a month: issued once, corrected, and believed without the program.

use mainstay_plane::signing::PublicKey;
use mainstay_slo::report::edition::{EditionError, Signed, canonical, read_signed};
use mainstay_web::Reports as _;
use mainstay_web::view::{ReportForm, Wanted};

use super::super::*;
use super::reports::{after_the_month, draft, exclusion, issue, promise, text};
use super::world::*;

#[tokio::test]
async fn an_edition_is_issued_once_and_what_changes_afterwards_is_a_correction() {
    let world = after_the_month().await;
    let bank = Some("STD-001");
    let first = issue(&world, bank).await;
    assert_eq!((first.number, first.is_new, first.differences), (1, true, None));
    let again = issue(&world, bank).await;
    assert_eq!(
        (again.number, again.is_new, again.events.len()),
        (1, false, 0),
        "{}",
        again.message
    );
    assert_eq!(issue(&world, None).await.number, 1, "each has its own numbers");

    let raw = promise(&draft(&world, bank).await, "api-availability-sla")
        .raw
        .clone();
    world
        .console
        .adjust(&reader(&[]), &exclusion(bank))
        .await
        .expect("it is taken");
    let second = issue(&world, bank).await;
    assert_eq!((second.number, second.is_new), (2, true));
    let json = text(&world, bank, Wanted::Last, ReportForm::Json).await;
    let signed: Signed = serde_json::from_str(&json).expect("an edition");
    let corrected = signed.edition.corrects.as_ref().expect("a correction");
    assert_eq!((corrected.number, &corrected.digest), (1, &first.digest));
    let difference = |what: &str| {
        let found = corrected
            .differences
            .iter()
            .find(|one| one.what == format!("promises[api-availability-sla].{what}"));
        found.map(|one| {
            (
                one.before.clone().unwrap_or_default(),
                one.after.clone().unwrap_or_default(),
            )
        })
    };
    assert_eq!(
        difference("adjusted.bad"),
        Some((raw.bad.to_string(), "0".to_owned()))
    );
    assert_eq!(
        difference("verdict"),
        Some(("breached".to_owned(), "unknown".to_owned())),
        "all of it was excluded"
    );
    assert_eq!(difference("raw.bad"), None, "what was counted stays");
    let markdown = text(&world, bank, Wanted::Last, ReportForm::Markdown).await;
    assert!(
        markdown.contains("Differences to edition 1") && markdown.contains("CHG-7"),
        "{markdown}"
    );
    // The first edition stays what it was.
    let old = text(&world, bank, Wanted::Number(1), ReportForm::Json).await;
    let old: Signed = serde_json::from_str(&old).expect("an edition");
    assert_eq!(
        (&old.digest, old.edition.report.adjustments.len()),
        (&first.digest, 5),
        "the agreed Sundays alone"
    );

    world
        .console
        .withdraw(&reader(&[]), 1, "the bank disagrees")
        .await
        .expect("it is taken back");
    let third = issue(&world, bank).await;
    assert_eq!(third.number, 3);
    let report = draft(&world, bank).await;
    assert_eq!(promise(&report, "api-availability-sla").adjusted, raw);
    let mut entries = report.adjustments.iter();
    let entry = entries.find(|one| one.source == "ledger 1").expect("it stays");
    assert!(
        entry
            .withdrawn
            .as_ref()
            .is_some_and(|words| words.contains("disagrees"))
    );
    let world = world.restarted().await;
    assert!(
        !issue(&world, bank).await.is_new,
        "the register is in the journal"
    );
}

#[tokio::test]
async fn an_edition_is_believed_without_the_program_and_only_as_it_was_signed() {
    let world = after_the_month().await;
    issue(&world, Some("STD-001")).await;
    let json = text(&world, Some("STD-001"), Wanted::Last, ReportForm::Json).await;
    let key = world
        .console
        .signing_key(&reader(&[]))
        .await
        .expect("a key")
        .public_key;
    let key = PublicKey::parse(&key).expect("a key");
    let (signed, message) = read_signed(json.as_bytes()).expect("an edition");
    assert!(key.verifies(&message, &signed.signature));
    // Written by another program, with other spaces and another order of keys, it is the same.
    let value: Value = serde_json::from_str(&json).expect("JSON");
    let (_, again) = read_signed(&canonical(&value)).expect("an edition");
    assert_eq!(message, again);

    let mut forged = value.clone();
    forged["edition"]["report"]["promises"][0]["raw"]["bad"] = 0.into();
    let refused = read_signed(forged.to_string().as_bytes());
    assert!(matches!(refused, Err(EditionError::Digest { .. })));
    forged["digest"] = Digest::of(&canonical(&forged["edition"])).to_string().into();
    let (signed, message) = read_signed(forged.to_string().as_bytes()).expect("the digest was forged too");
    assert!(!key.verifies(&message, &signed.signature));
}
