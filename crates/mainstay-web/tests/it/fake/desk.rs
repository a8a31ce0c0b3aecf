//! A page whose link is good if it is signed `good`.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use mainstay_kernel::{IncidentId, PageId, Severity};
use mainstay_web::view::*;
use mainstay_web::{Answer, Denied, Desk};

use super::data::{at, done};
use super::{Fake, INCIDENT};

fn believed(signature: &str) -> Result<(), Denied> {
    match signature {
        "good" => Ok(()),
        _ => Err(Denied::Signature("the signature does not fit".to_owned())),
    }
}

impl Desk for Fake {
    fn linked_page<'a>(&'a self, link: &'a AckLink) -> Answer<'a, LinkedPage, Denied> {
        Box::pin(async move {
            believed(&link.signature)?;
            let acknowledged = self.acknowledged.load(Ordering::SeqCst) > 0;
            Ok(LinkedPage {
                page: PageId::new("page-1").expect("a name"),
                incident: IncidentId::new(INCIDENT).expect("a name"),
                severity: Severity::P0,
                title: "Payments failing in cell-5".to_owned(),
                person: link.person.clone(),
                name: "Ada Lovelace".to_owned(),
                acknowledged: acknowledged.then(|| (at("2025-01-15T10:18:00Z"), "ada".to_owned())),
                over: false,
            })
        })
    }

    fn acknowledge_by_link<'a>(&'a self, link: &'a AckLink) -> Answer<'a, Done, Denied> {
        Box::pin(async move {
            believed(&link.signature)?;
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            Ok(done())
        })
    }

    fn slack_action<'a>(&'a self, request: &'a SlackRequest) -> Answer<'a, SlackAnswer, Denied> {
        Box::pin(async move {
            match request.signature.as_str() {
                "forged" => Err(Denied::Signature("the signature does not fit".to_owned())),
                _ => Ok(SlackAnswer {
                    response_type: "in_channel".to_owned(),
                    replace_original: false,
                    text: format!("{} bytes", request.body.len()),
                }),
            }
        })
    }

    fn acknowledge_newest<'a>(&'a self, _: &'a str, _: Timestamp) -> Answer<'a, Done> {
        Box::pin(async { Ok(done()) })
    }
}
