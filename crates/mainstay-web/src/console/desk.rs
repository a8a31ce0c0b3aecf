//! What people say from where they are: by a link in a mail, by a button in the chat, by a text message.

use jiff::Timestamp;

use super::{Answer, Failure};
use crate::view::{AckLink, Done, LinkedPage, SlackAnswer, SlackRequest};

/// Takes acknowledgements of people who are not signed in. Each request proves by its signature whose it is; what is not
/// believed is counted. Doing anything again changes nothing, and says who was first.
pub trait Desk: Send + Sync + 'static {
    /// What a link of a mail is about. Asking does nothing, for programs follow the links of mails.
    fn linked_page<'a>(&'a self, link: &'a AckLink) -> Answer<'a, LinkedPage, Denied>;
    /// Takes the page of a link on, in the name of whom it was sent to.
    fn acknowledge_by_link<'a>(&'a self, link: &'a AckLink) -> Answer<'a, Done, Denied>;
    /// Does what was pressed in Slack, in the name of who pressed it.
    fn slack_action<'a>(&'a self, request: &'a SlackRequest) -> Answer<'a, SlackAnswer, Denied>;
    /// Takes the newest page on that was sent to a telephone as a text message before the answer was written; the caller
    /// has proved that the telephone wrote, and when.
    fn acknowledge_newest<'a>(&'a self, number: &'a str, written_at: Timestamp) -> Answer<'a, Done>;
    /// The provider of telephony, or somebody in its name, called back and was not believed.
    fn note_refused_call(&self, _reason: &'static str) {}
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The signature is not believed.
    #[error("{0}")]
    Signature(String),
    /// It is believed, and cannot be done.
    #[error(transparent)]
    Failed(#[from] Failure),
}
