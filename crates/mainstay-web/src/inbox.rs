//! What the demo's inbox received: proof that a page arrives, without a mail account.

mod api;
mod page;

use crate::route::Route;
use crate::view::InboxMessage;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/inbox", "What the demo's inbox received", page::inbox).platform(),
        Route::get("/api/v1/inbox", "What the demo's inbox received", api::inbox)
            .platform()
            .gives::<Vec<InboxMessage>>(),
    ]
}
