//! The URL of a database, which must not show its password anywhere.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::serve::without_password;

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// With everything, for whoever connects.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

/// Takes anything: what is wrong with it is said where nothing of it is shown.
impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Host, port and database; passwords may be in the account and in the options.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.split('?').next().unwrap_or_default();
        if shown.contains("://") {
            f.write_str(&without_password(shown))
        } else {
            f.write_str("(not a URL)")
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for text in [
            "postgres://ada:sec@ret@db:5432/mainstay",
            "postgres://ada@db:5432/mainstay?password=secret",
            "postgres://db:5432/mainstay?user=a&password=p@sec://ret",
        ] {
            let url: DatabaseUrl = text.parse().expect("anything is taken");
            assert_eq!(url.to_string(), "postgres://db:5432/mainstay");
            assert_eq!(format!("{url:?}"), "postgres://db:5432/mainstay");
            assert_eq!(url.secret(), text);
        }
        let url: DatabaseUrl = "ada:secret".parse().expect("anything is taken");
        assert_eq!(url.to_string(), "(not a URL)");
    }
}
