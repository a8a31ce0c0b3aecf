//! The services of the platform, one module each. `run` of a role returns when its pod was told to stop.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod clearing;
pub(crate) mod fraud;
pub(crate) mod gateway;
pub(crate) mod notification;
pub(crate) mod payment;
pub(crate) mod saga;
pub(crate) mod validation;
