//! Nothing in shadow.

use mainstay_kernel::Principal;
use mainstay_web::view::{CutOver, Done, RouteInForce, ShadowReport, ToldElsewhere};
use mainstay_web::{Answer, Shadow};

use super::{Fake, done};

impl Shadow for Fake {
    fn told_elsewhere<'a>(&'a self, who: &'a Principal, _: ToldElsewhere) -> Answer<'a, Done> {
        self.heard("told_elsewhere", who);
        Box::pin(async { Ok(done()) })
    }

    fn shadow_report<'a>(
        &'a self,
        who: &'a Principal,
        since: Option<jiff::Timestamp>,
    ) -> Answer<'a, ShadowReport> {
        self.heard("shadow_report", who);
        Box::pin(async move {
            Ok(ShadowReport {
                since: since.unwrap_or_default(),
                both: Vec::new(),
                only_ours: Vec::new(),
                only_theirs: Vec::new(),
                truncated: false,
            })
        })
    }

    fn routes_in_force<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<RouteInForce>> {
        self.heard("routes_in_force", who);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn cut_over<'a>(&'a self, who: &'a Principal, _: CutOver) -> Answer<'a, Done> {
        self.heard("cut_over", who);
        Box::pin(async { Ok(done()) })
    }
}
