//! Change records: deploys, rollbacks and configuration changes of the platform, as they are reported by whoever made
//! them (CloudEvents 1.0). An incident asks here what changed shortly before it began.

pub mod cloudevent;
mod machine;

pub use cloudevent::{CloudEvent, CloudEventError};
pub use machine::{Change, ChangeCommand, ChangeEvent, ChangeRefusal, ChangeSpec, ChangeState};
