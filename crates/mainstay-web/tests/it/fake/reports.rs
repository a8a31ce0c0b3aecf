//! Reports and adjustments that are always the same.

use mainstay_kernel::{Principal, SloId, TenantId};
use mainstay_web::view::*;
use mainstay_web::{Answer, Reports};

use super::data::{at, done, event};
use super::{Fake, TENANT};

impl Reports for Fake {
    fn reports<'a>(&'a self, who: &'a Principal, month: Option<&'a str>) -> Answer<'a, ReportIndex> {
        self.heard("reports", who);
        let month = month.unwrap_or("2025-01").to_owned();
        let entry = |tenant: Option<&str>| ReportEntry {
            tenant: tenant.map(|tenant| tenant.parse().expect("a name")),
            name: tenant.map_or("The platform", |_| "Standard Bank").to_owned(),
            editions: vec![EditionEntry {
                number: 1,
                at: at("2025-01-02T08:00:00Z"),
                digest: "ab".repeat(32),
                event: event("2025-01-02T08:00:00Z", 5),
            }],
        };
        let own: TenantId = TENANT.parse().expect("a name");
        let platform = who.sees(None).then(|| entry(None));
        let tenant = who.sees(Some(&own)).then(|| entry(Some(TENANT)));
        let index = ReportIndex {
            months: vec!["2025-01".to_owned(), "2024-12".to_owned()],
            is_running: month == "2025-01",
            month,
            reports: platform.into_iter().chain(tenant).collect(),
        };
        Box::pin(async { Ok(index) })
    }

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
        let adjustment = Adjustment {
            number: Some(1),
            window: None,
            of: vec!["the objective payments-availability".to_owned()],
            place: "for std-001".to_owned(),
            from: at("2025-01-14T02:00:00Z"),
            to: at("2025-01-14T04:00:00Z"),
            reason: "the bank's own firewall".to_owned(),
            ticket: Some("CHG-17".to_owned()),
            author: "person:ada".to_owned(),
            written_at: Some(at("2025-01-14T09:00:00Z")),
            withdrawn: None,
            silences_burn: false,
        };
        Box::pin(async { Ok(Self::if_seen(who, "", adjustment).into_iter().collect()) })
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
