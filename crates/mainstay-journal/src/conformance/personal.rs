//! Personal fields beside the chain.

use super::Subject;
use crate::envelope::{Personal, Record};
use crate::store::Journal;
use crate::verify::verify;

const PHONE: &str = "+49 30 901820";

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

fn phone(record: &Record) -> Option<&str> {
    record.personal.field("phone")
}

/// Personal fields come back with their subject, and what is stored of them says nothing.
pub async fn personal_fields_come_back<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let event = subject.personal_event("page/1", "ada", PHONE);
    let plain = subject.event("page/1", "no personal fields");
    let other = subject.personal_event("page/2", "grace", "+1 555 0100");
    subject
        .append(
            epoch,
            vec![
                event.clone(),
                plain,
                other,
                subject.personal_event("page/3", "ada", PHONE),
            ],
        )
        .await;
    let records = subject.everything().await;
    assert_eq!(
        records[0].personal,
        event.personal.map_or(Personal::None, Personal::Present)
    );
    assert_eq!(records[1].personal, Personal::None);
    assert!(records[1].sealed.is_empty());
    assert_eq!(phone(&records[2]), Some("+1 555 0100"));
    assert_eq!(phone(&records[3]), Some(PHONE));
    for record in &records {
        for secret in [PHONE, "ada", "phone"] {
            assert!(
                !contains(&record.sealed, secret),
                "{secret} can be read in the sealed bytes"
            );
        }
    }
    assert_ne!(
        records[0].sealed, records[3].sealed,
        "equal fields must not look equal"
    );
    verify(&*subject.journal).await.expect("the chain is whole");
}

/// Destroying a subject's key erases their fields everywhere, nobody else's, and the chain still verifies.
pub async fn a_destroyed_key_erases_and_the_chain_stays_whole<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let events = vec![
        subject.personal_event("page/1", "ada", PHONE),
        subject.personal_event("page/2", "grace", "+1 555 0100"),
        subject.personal_event("page/3", "ada", PHONE),
    ];
    let id = events[2].id;
    subject.append(epoch, events).await;
    let before = verify(&*subject.journal).await.expect("the chain is whole");
    let journal = &subject.journal;
    assert!(journal.destroy_key(epoch, "ada").await.expect("destroy"));
    assert!(
        !journal.destroy_key(epoch, "ada").await.expect("destroy"),
        "there is no key any more"
    );
    assert!(!journal.destroy_key(epoch, "nobody").await.expect("destroy"));
    let records = subject.everything().await;
    assert_eq!(records[0].personal, Personal::Erased);
    assert_eq!(phone(&records[1]), Some("+1 555 0100"));
    let found = journal.find(id).await.expect("find").expect("the event is there");
    assert_eq!(found.personal, Personal::Erased);
    assert_eq!(verify(&**journal).await.expect("the chain is whole"), before);
}

/// Somebody who was erased and comes back gets a new key; what was erased stays erased.
pub async fn a_subject_who_comes_back_gets_a_new_key<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    subject
        .append(epoch, vec![subject.personal_event("page/1", "ada", PHONE)])
        .await;
    assert!(subject.journal.destroy_key(epoch, "ada").await.expect("destroy"));
    subject
        .append(epoch, vec![subject.personal_event("page/2", "ada", "+49 30 2")])
        .await;
    let records = subject.everything().await;
    assert_eq!(records[0].personal, Personal::Erased);
    assert_eq!(phone(&records[1]), Some("+49 30 2"));
    verify(&*subject.journal).await.expect("the chain is whole");
}
