//! DNS messages (RFC 1035, 2782, 3596, 6891), as far as looking up records needs them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dns::RecordType;

/// How large an answer by UDP may be: what passes everywhere unfragmented.
const UDP_BYTES: u16 = 1232;
/// The longest name, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// How often a name may point elsewhere in the message.
const POINTERS_MAX: usize = 32;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    /// A service: where, and on which port.
    Service(String, u16),
    /// A mail exchange or a name server.
    Host(String),
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    Records(Vec<Record>),
    /// There is no such name.
    NoName,
    /// It does not fit: ask by TCP.
    Truncated,
    /// The server cannot or will not say: its code.
    Failed(u8),
}

fn code(record: RecordType) -> u16 {
    match record {
        RecordType::A => 1,
        RecordType::Ns => 2,
        RecordType::Mx => 15,
        RecordType::Aaaa => 28,
        RecordType::Srv => 33,
    }
}

/// A question; `None` if the name is none.
pub(super) fn question(id: u16, name: &str, record: RecordType) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    message.extend(id.to_be_bytes());
    // Recursion is desired; one question, one additional record.
    message.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    let start = message.len();
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..64).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    if message.len() - start > NAME_MAX_BYTES {
        return None;
    }
    message.extend(code(record).to_be_bytes());
    message.extend([0, 1]);
    // EDNS: how large an answer we take.
    message.extend([0, 0, 41]);
    message.extend(UDP_BYTES.to_be_bytes());
    message.extend([0; 6]);
    Some(message)
}

/// Reads the answer to a question; `None` if it is none.
pub(super) fn response(message: &[u8], question: &[u8], record: RecordType) -> Option<Response> {
    let mut cursor = Cursor { message, at: 0 };
    let id = cursor.bytes(2)?;
    let flags = cursor.number()?;
    let is_response = flags & 0x8000 != 0;
    if id != question.get(..2)? || !is_response {
        return None;
    }
    let (questions, answers) = (cursor.number()?, cursor.number()?);
    cursor.bytes(4)?;
    if flags & 0x0200 != 0 {
        return Some(Response::Truncated);
    }
    match flags & 0xf {
        0 => {}
        3 => return Some(Response::NoName),
        other => return Some(Response::Failed(u8::try_from(other).unwrap_or(u8::MAX))),
    }
    for _ in 0..questions {
        let name = cursor.name()?;
        cursor.bytes(4)?;
        let mut asked = Cursor {
            message: question,
            at: 12,
        };
        if !name.eq_ignore_ascii_case(&asked.name()?) {
            return None;
        }
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        cursor.name()?;
        let kind = cursor.number()?;
        cursor.bytes(6)?; // Class and time to live.
        let length = usize::from(cursor.number()?);
        let end = cursor.at.checked_add(length)?;
        if kind == code(record) {
            records.push(match record {
                RecordType::A => {
                    let octets: [u8; 4] = cursor.bytes(4)?.try_into().ok()?;
                    Record::Address(Ipv4Addr::from(octets).into())
                }
                RecordType::Aaaa => {
                    let octets: [u8; 16] = cursor.bytes(16)?.try_into().ok()?;
                    Record::Address(Ipv6Addr::from(octets).into())
                }
                RecordType::Srv => {
                    cursor.bytes(4)?; // Priority and weight.
                    let port = cursor.number()?;
                    Record::Service(cursor.name()?, port)
                }
                RecordType::Mx => {
                    cursor.bytes(2)?; // Preference.
                    Record::Host(cursor.name()?)
                }
                RecordType::Ns => Record::Host(cursor.name()?),
            });
        }
        cursor.at = end;
    }
    Some(Response::Records(records))
}

struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.message.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A name with the dot at its end, parts of which may stand elsewhere in the message.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut pointers = 0;
        let mut after = None;
        loop {
            let length = self.bytes(1)?[0];
            match length {
                0 => break,
                1..64 => {
                    let label = self.bytes(usize::from(length))?;
                    name.push_str(std::str::from_utf8(label).ok()?);
                    name.push('.');
                    if name.len() > NAME_MAX_BYTES {
                        return None;
                    }
                }
                0xc0.. => {
                    let low = self.bytes(1)?[0];
                    after.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    pointers += 1;
                    if pointers > POINTERS_MAX {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        if name.is_empty() {
            name.push('.');
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The answer to a question, its names pointing to the question's.
    fn answer(question: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let mut message = question[..question.len() - 11].to_vec();
        message[2] = 0x81;
        message[3] = 0x80;
        message[7] = 1;
        message[11] = 0;
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        message.extend(data);
        message
    }

    #[test]
    fn records_of_each_type() {
        let read = |record, kind, data: &[u8]| {
            let question = question(7, "_http._tcp.example.org", record).expect("a name");
            response(&answer(&question, kind, data), &question, record)
        };
        let one = |record| Some(Response::Records(vec![record]));
        assert_eq!(
            read(RecordType::A, 1, &[10, 0, 0, 7]),
            one(Record::Address(Ipv4Addr::new(10, 0, 0, 7).into()))
        );
        let v6: [u8; 16] = Ipv6Addr::LOCALHOST.octets();
        assert_eq!(
            read(RecordType::Aaaa, 28, &v6),
            one(Record::Address(Ipv6Addr::LOCALHOST.into()))
        );
        // `web.` followed by a pointer to `example.org.` in the question.
        let service = [&[0, 1, 0, 1, 0x1f, 0x90, 3][..], b"web", &[0xc0, 12 + 11]].concat();
        assert_eq!(
            read(RecordType::Srv, 33, &service),
            one(Record::Service("web.example.org.".to_owned(), 8080))
        );
        assert_eq!(
            read(RecordType::Mx, 15, &[0, 5, 2, b'm', b'x', 0]),
            one(Record::Host("mx.".to_owned()))
        );
        // An alias before the record is passed over.
        assert_eq!(
            read(RecordType::A, 5, &[0xc0, 12]),
            Some(Response::Records(Vec::new()))
        );
        assert_eq!(question(1, "a..b", RecordType::A), None);
        assert_eq!(question(1, &"x".repeat(64), RecordType::A), None);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let asked = question(7, "a.b", RecordType::A).expect("a name");
        let good = answer(&asked, 1, &[1, 2, 3, 4]);
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            response(&message, &asked, RecordType::A)
        };
        assert_eq!(with(0, 9), None, "another question's");
        assert_eq!(with(13, b'x'), None, "about another name");
        assert_eq!(with(3, 0x83), Some(Response::NoName));
        assert_eq!(with(3, 0x82), Some(Response::Failed(2)));
        assert_eq!(with(2, 0x83), Some(Response::Truncated));
        // A name that points to itself.
        let at = u8::try_from(good.len() - 16).expect("short");
        let mut circle = good.clone();
        circle[usize::from(at) + 1] = at;
        assert_eq!(response(&circle, &asked, RecordType::A), None);
        assert_eq!(response(&good[..good.len() - 1], &asked, RecordType::A), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
            let asked = question(7, "a.b", RecordType::Srv).expect("a name");
            let mut message = answer(&asked, 33, &[0, 1, 0, 1, 0x1f, 0x90, 0xc0, 12]);
            for (at, byte) in changes {
                let index = at.index(message.len());
                message[index] = byte;
            }
            response(&message, &asked, RecordType::Srv);
        }
    }
}
