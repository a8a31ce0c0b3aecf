//! Keys that are pressed in a call, and text messages, acknowledge the page as the button does.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_catalog::Catalog;
use mainstay_delivery::signature::SignatureError;
use mainstay_delivery::telephone::{Acknowledge, Callbacks};
use mainstay_kernel::{PageId, PersonId};
use mainstay_web::Console;
use mainstay_web::view::AckTarget;
use tokio::net::TcpListener;

use super::{ServeError, environment};
use crate::console::desk::responder;

/// Listens where the catalog says that the provider of telephony calls back.
pub(super) async fn listen(
    catalog: &Catalog,
    callbacks: Option<Callbacks>,
) -> Result<Option<(Callbacks, TcpListener)>, ServeError> {
    let telephone = catalog.response.channels.telephone.as_ref();
    let address = telephone.and_then(|telephone| telephone.callback_listen.as_ref());
    let (Some(callbacks), Some(address)) = (callbacks, address) else {
        return Ok(None);
    };
    let address = address.resolve(environment)?;
    let address = address.parse().map_err(|_| {
        ServeError::Channel(format!(
            "`callback_listen` is {address:?}, not an address with a port"
        ))
    })?;
    let (listener, _) = super::listen(address).await?;
    Ok(Some((callbacks, listener)))
}

/// Takes what people say by key.
pub(crate) struct Desk<C>(Arc<C>);

impl<C: Console + 'static> Desk<C> {
    pub(crate) fn new(console: Arc<C>) -> Self {
        Self(console)
    }
}

impl<C: Console + 'static> Acknowledge for Desk<C> {
    async fn acknowledge(&self, person: PersonId, page: PageId) -> Option<String> {
        let who = responder(person.as_str());
        match self.0.acknowledge(&who, &AckTarget::Page(page)).await {
            Ok(done) => Some(done.message),
            Err(failure) => {
                tracing::warn!(?failure, "a page could not be acknowledged by key");
                None
            }
        }
    }

    async fn acknowledge_newest(&self, number: String, written_at: Timestamp) -> Option<String> {
        match self.0.acknowledge_newest(&number, written_at).await {
            Ok(done) => Some(done.message),
            Err(failure) => {
                tracing::warn!(?failure, "no page could be acknowledged by a text message");
                None
            }
        }
    }

    fn refused(&self, error: SignatureError) {
        self.0.note_refused_call(error.word());
    }
}
