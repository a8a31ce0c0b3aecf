//! Whose samples a request is about, of all that the metrics engine holds.

use std::collections::BTreeSet;

use crate::labels::Labels;
use crate::matcher::{MatchOp, Matcher};
use crate::principal::{Principal, Tenants};

/// The label that says whose a series is.
pub const TENANT_LABEL: &str = "tenant";
/// The longest tenant that [`Reach::named`] takes, in bytes.
pub const TENANT_MAX_BYTES: usize = 150;

/// Whose samples a request reads or writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// Everybody's, and those that are nobody's.
    #[default]
    All,
    /// Those of these tenants, by the label [`TENANT_LABEL`]; never empty.
    Only(BTreeSet<String>),
}

/// Why a request reaches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The text names no tenant, or one of its tenants is empty.
    #[error("a tenant must not be empty")]
    Empty,
    /// A tenant has more than [`TENANT_MAX_BYTES`].
    #[error("a tenant has at most {TENANT_MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A tenant has a character that tenants do not have.
    #[error("a tenant has letters, digits and ! - _ . * ' ( ), not {0:?}")]
    BadCharacter(char),
    /// `.` or `..`, which are directories.
    #[error("{0:?} is no tenant")]
    Directory(String),
    /// The account does not see this tenant.
    #[error("your account is not one of tenant {0:?}")]
    Foreign(String),
    /// The account is limited to no tenant at all.
    #[error("your account is of no tenant")]
    Nobody,
}

impl Reach {
    /// What a text such as `a` or `a|b` names. What a tenant may be is what Grafana Mimir documents
    /// (<https://grafana.com/docs/mimir/latest/configure/about-tenant-ids/>), so that who writes to it can write here.
    ///
    /// # Errors
    /// If one of the names is no tenant.
    pub fn named(text: &str) -> Result<Self, ReachError> {
        let names = text
            .split('|')
            .map(|name| check_tenant(name).map(|()| name.to_owned()));
        Ok(Self::Only(names.collect::<Result<_, _>>()?))
    }

    /// What an account reaches, of what it asks for: everything that it may see, if it asks for nothing in particular.
    ///
    /// # Errors
    /// If it asks for a tenant that it may not see, or sees none.
    pub fn of(who: &Principal, asked: Option<Self>) -> Result<Self, ReachError> {
        let allowed: BTreeSet<String> = match &who.tenants {
            Tenants::All => return Ok(asked.unwrap_or_default()),
            Tenants::Only(tenants) => tenants.iter().map(|tenant| tenant.as_str().to_owned()).collect(),
        };
        match asked {
            Some(Self::Only(asked)) => match asked.iter().find(|tenant| !allowed.contains(*tenant)) {
                Some(foreign) => Err(ReachError::Foreign(foreign.clone())),
                None => Ok(Self::Only(asked)),
            },
            Some(Self::All) | None if allowed.is_empty() => Err(ReachError::Nobody),
            Some(Self::All) | None => Ok(Self::Only(allowed)),
        }
    }

    /// Whether a series with these labels, or anything else that bears them, is within.
    #[must_use]
    pub fn includes(&self, labels: &Labels) -> bool {
        match self {
            Self::All => true,
            Self::Only(tenants) => labels
                .get(TENANT_LABEL)
                .is_some_and(|tenant| tenants.contains(tenant)),
        }
    }

    /// The tenants, in order; of everybody none.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        let tenants = match self {
            Self::All => None,
            Self::Only(tenants) => Some(tenants),
        };
        tenants.into_iter().flatten().map(String::as_str)
    }

    /// What every selector has to say too; of everybody nothing.
    #[must_use]
    pub fn matcher(&self) -> Option<Matcher> {
        let Self::Only(tenants) = self else { return None };
        if let (1, Some(tenant)) = (tenants.len(), tenants.first()) {
            return Some(Matcher::equal(TENANT_LABEL, tenant));
        }
        let alternatives: Vec<String> = tenants.iter().map(|tenant| escaped(tenant)).collect();
        let matcher = Matcher::new(TENANT_LABEL, MatchOp::Matches, alternatives.join("|"));
        // Only its size can keep it from compiling. Then nothing is reached rather than everything: no name has a bar.
        Some(matcher.unwrap_or_else(|_| Matcher::equal(TENANT_LABEL, "|")))
    }
}

fn check_tenant(name: &str) -> Result<(), ReachError> {
    match name {
        "" => return Err(ReachError::Empty),
        "." | ".." => return Err(ReachError::Directory(name.to_owned())),
        _ if name.len() > TENANT_MAX_BYTES => return Err(ReachError::TooLong(name.len())),
        _ => {}
    }
    let bad = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "!-_.*'()".contains(*c)));
    bad.map_or(Ok(()), |bad| Err(ReachError::BadCharacter(bad)))
}

/// A text as a regular expression that means itself, in RE2 and here.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if ".*()".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TenantId;
    use crate::principal::{Actor, Role};

    fn account(tenants: Tenants) -> Principal {
        Principal {
            actor: Actor::token("t"),
            role: Role::Viewer,
            tenants,
        }
    }

    fn only(names: &[&str]) -> Reach {
        Reach::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_are_those_that_mimir_takes() {
        assert_eq!(Reach::named("a"), Ok(only(&["a"])));
        assert_eq!(Reach::named("b|a|b"), Ok(only(&["a", "b"])));
        assert_eq!(Reach::named("Az09!-_.*'()"), Ok(only(&["Az09!-_.*'()"])));
        assert!(Reach::named(&"x".repeat(150)).is_ok());
        assert_eq!(Reach::named(&"x".repeat(151)), Err(ReachError::TooLong(151)));
        for (text, error) in [
            ("", ReachError::Empty),
            ("a|", ReachError::Empty),
            (".", ReachError::Directory(".".to_owned())),
            ("a|..", ReachError::Directory("..".to_owned())),
            ("a b", ReachError::BadCharacter(' ')),
            ("a/b", ReachError::BadCharacter('/')),
            ("ä", ReachError::BadCharacter('ä')),
        ] {
            assert_eq!(Reach::named(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn an_account_reaches_its_tenants_and_no_others() {
        let everybody = account(Tenants::All);
        assert_eq!(Reach::of(&everybody, None), Ok(Reach::All));
        assert_eq!(Reach::of(&everybody, Some(only(&["x"]))), Ok(only(&["x"])));
        let ids = ["a", "b"].map(|id| TenantId::new(id).expect("a name"));
        let some = account(Tenants::Only(BTreeSet::from(ids)));
        assert_eq!(Reach::of(&some, None), Ok(only(&["a", "b"])));
        assert_eq!(Reach::of(&some, Some(Reach::All)), Ok(only(&["a", "b"])));
        assert_eq!(Reach::of(&some, Some(only(&["b"]))), Ok(only(&["b"])));
        let foreign = Reach::of(&some, Some(only(&["a", "c"])));
        assert_eq!(foreign, Err(ReachError::Foreign("c".to_owned())));
        let nobody = account(Tenants::Only(BTreeSet::new()));
        assert_eq!(Reach::of(&nobody, None), Err(ReachError::Nobody));
    }

    #[test]
    fn the_matcher_means_exactly_the_tenants() {
        let labels = |tenant: &str| Labels::from_iter([("__name__", "up"), ("tenant", tenant)]);
        assert_eq!(Reach::All.matcher(), None);
        for reach in [only(&["a.b"]), only(&["a.b", "c*(d)", "e"])] {
            let matcher = reach.matcher().expect("it is limited");
            for tenant in ["a.b", "axb", "c*(d)", "cd", "c", "e", "", "a.b|e"] {
                let labels = labels(tenant);
                assert_eq!(
                    matcher.matches(&labels),
                    reach.includes(&labels),
                    "{tenant:?} of {reach:?}"
                );
            }
            assert!(!reach.includes(&Labels::from_iter([("__name__", "up")])));
        }
    }
}
