//! Service discovery: who is there to be scraped. Static lists and files are the caller's affair.

mod dns;
mod dns_message;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
#[cfg(feature = "kubernetes")]
mod kubernetes;

use crate::config::TargetGroup;

pub use self::dns::{DnsDiscovery, RecordType, Resolver};
pub use self::http::HttpDiscovery;
#[cfg(feature = "kubernetes")]
pub use self::kubernetes::{KubernetesDiscovery, KubernetesRole, KubernetesSelector};

/// Why nothing was discovered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DiscoveryError(String);

/// The groups that were found.
pub type Discovered = Result<Vec<TargetGroup>, DiscoveryError>;
