//! Links in mails by which the person who got the mail acknowledges the page: signed, and good for a day.
//!
//! Whoever has the link may acknowledge that page in that person's name, and nothing else. Opening it does nothing by
//! itself, for programs that look at mail open every link.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::{PageId, PersonId};
use ring::hmac;

use crate::http::encoded;
use crate::signature::{SignatureError, hex, unhex};

/// How long a link is good for.
pub const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Makes links and knows its own.
#[derive(Clone)]
pub struct AckLinks {
    key: hmac::Key,
    path: &'static str,
}

impl std::fmt::Debug for AckLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AckLinks")
    }
}

impl AckLinks {
    /// Signs with a secret that nobody else knows; `path` is where the links lead, after the address of the console.
    #[must_use]
    pub fn new(secret: &[u8], path: &'static str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key, path }
    }

    /// The link for a person who was paged; `base_url` is where the console is.
    #[must_use]
    pub fn url(&self, base_url: &str, page: &PageId, person: &PersonId, now: Timestamp) -> String {
        let until = now.saturating_add(GOOD_FOR).unwrap_or(Timestamp::MAX);
        let until = until.as_second().to_string();
        let (page, person) = (page.as_str(), person.as_str());
        let signature = hmac::sign(&self.key, signed(page, person, &until).as_bytes());
        let query = encoded(&[
            ("page", page),
            ("person", person),
            ("until", &until),
            ("signature", &hex(signature.as_ref())),
        ]);
        format!("{}{}?{query}", base_url.trim_end_matches('/'), self.path)
    }

    /// Whose link it is, and to which page.
    ///
    /// # Errors
    /// If it is none of ours, or its time is over.
    pub fn verify(
        &self,
        page: &str,
        person: &str,
        until: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<(PageId, PersonId), SignatureError> {
        let given = unhex(signature).ok_or(SignatureError::Malformed)?;
        hmac::verify(&self.key, signed(page, person, until).as_bytes(), &given)
            .map_err(|_| SignatureError::Wrong)?;
        let until: i64 = until.parse().map_err(|_| SignatureError::Malformed)?;
        if now.as_second() >= until {
            return Err(SignatureError::Expired);
        }
        match (PageId::new(page), PersonId::new(person)) {
            (Ok(page), Ok(person)) => Ok((page, person)),
            _ => Err(SignatureError::Malformed),
        }
    }
}

/// Lengths stand before what they are of: nothing can be moved from one field into the next.
fn signed(page: &str, person: &str, until: &str) -> String {
    let parts = [page, person, until].map(|part| format!("{}:{part}", part.len()));
    format!("mainstay acknowledge 1 {}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    #[test]
    fn a_link_is_good_for_its_page_its_person_and_a_day() {
        let links = AckLinks::new(b"secret", "/ack");
        let (page, person) = (
            PageId::new("page-7").expect("an id"),
            PersonId::new("ana").expect("an id"),
        );
        let url = links.url("https://mainstay.example/", &page, &person, at(1_000));
        let query = url
            .strip_prefix("https://mainstay.example/ack?")
            .expect("its place");
        let fields = crate::http::decoded(query);
        let field = |name: &str| {
            let found = fields.iter().find(|(of, _)| of == name);
            found.map(|(_, value)| value.clone()).expect("the field")
        };
        let (until, signature) = (field("until"), field("signature"));
        assert_eq!(until, "87400");
        let check = |page: &str, person: &str, until: &str, signature: &str, now| {
            links.verify(page, person, until, signature, at(now)).map(|_| ())
        };
        assert_eq!(
            links.verify("page-7", "ana", &until, &signature, at(87_399)),
            Ok((page, person))
        );
        assert_eq!(
            check("page-7", "ana", &until, &signature, 87_400),
            Err(SignatureError::Expired)
        );
        for (page, person, until) in [
            ("page-8", "ana", "87400"),
            ("page-7", "ben", "87400"),
            ("page-7", "ana", "97400"),
            ("page-", "7ana", "87400"),
        ] {
            assert_eq!(
                check(page, person, until, &signature, 1_000),
                Err(SignatureError::Wrong)
            );
        }
        assert_eq!(
            check("page-7", "ana", &until, "x", 1_000),
            Err(SignatureError::Malformed)
        );
        assert_eq!(
            check("page-7", "ana", &until, "", 1_000),
            Err(SignatureError::Wrong)
        );
        let others = AckLinks::new(b"another", "/ack");
        let forged = others.verify("page-7", "ana", &until, &signature, at(1_000));
        assert_eq!(forged, Err(SignatureError::Wrong));
    }
}
