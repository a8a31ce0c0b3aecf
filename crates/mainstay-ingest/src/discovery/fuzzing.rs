//! The private decoders, for the fuzzer alone: whatever a server says, they give a value or a reason.

use super::dns::RecordType;
use super::dns_message::{question, response};
use super::kubernetes;

const RECORD_TYPES: [RecordType; 5] = [
    RecordType::Srv,
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Mx,
    RecordType::Ns,
];

/// An answer of a name server to each question; it need not guess the question's number.
pub fn dns(message: &[u8]) {
    let mut message = message.to_vec();
    for record in RECORD_TYPES {
        let Some(question) = question(7, "cell.example", record) else {
            return;
        };
        if let (Some(head), Some(id)) = (message.get_mut(..3), question.get(..2)) {
            head[..2].copy_from_slice(id);
            head[2] |= 0x80;
        }
        drop(response(&message, &question, record));
    }
}

/// A list of objects as the Kubernetes API sends it, taken for objects of every kind; the targets of each role.
pub fn kubernetes(body: &[u8]) {
    kubernetes::targets_of(body);
}
