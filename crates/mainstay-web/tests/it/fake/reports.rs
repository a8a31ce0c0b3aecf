//! Reports and adjustments that are always the same.

use mainstay_kernel::{Principal, SloId};
use mainstay_web::view::*;
use mainstay_web::{Answer, Reports};

use super::Fake;
use super::data::done;

impl Reports for Fake {
    fn report<'a>(&'a self, who: &'a Principal, ask: &'a ReportAsk) -> Answer<'a, ReportFile> {
        self.heard("report", who);
        let file = ReportFile {
            form: ask.form,
            text: "{}\n".to_owned(),
        };
        Box::pin(async { Self::if_seen(who, "the report", file) })
    }

    fn issue_report<'a>(&'a self, who: &'a Principal, _: &'a ReportAsk) -> Answer<'a, IssuedReport> {
        self.heard("issue_report", who);
        Box::pin(async {
            let issued = IssuedReport {
                message: "Edition 1 is issued.".to_owned(),
                number: 1,
                is_new: true,
                digest: "00".to_owned(),
                differences: None,
                events: Vec::new(),
            };
            Self::if_seen(who, "the report", issued)
        })
    }

    fn signing_key<'a>(&'a self, who: &'a Principal) -> Answer<'a, SigningKeyInfo> {
        self.heard("signing_key", who);
        Box::pin(async {
            Ok(SigningKeyInfo {
                algorithm: "Ed25519".to_owned(),
                public_key: "AA==".to_owned(),
            })
        })
    }

    fn adjustments<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Adjustment>> {
        self.heard("adjustments", who);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn adjust<'a>(&'a self, who: &'a Principal, _: &'a NewAdjustment) -> Answer<'a, Done> {
        self.heard("adjust", who);
        Box::pin(async { Ok(done()) })
    }

    fn withdraw<'a>(&'a self, who: &'a Principal, _: u32, _: &'a str) -> Answer<'a, Done> {
        self.heard("withdraw", who);
        Box::pin(async { Ok(done()) })
    }

    fn explain<'a>(&'a self, who: &'a Principal, _: &'a SloId, _: &'a Look) -> Answer<'a, String> {
        self.heard("explain", who);
        Box::pin(async { Self::if_seen(who, "the objective", "# API availability\n".to_owned()) })
    }
}
