//! Lifecycle events as CloudEvents 1.0, as they come over HTTP.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::Labels;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event::{CompletionBatch, CompletionEvent, LABELS_MAX, TEXT_MAX_BYTES};

/// How the types of these events begin: `initiated`, `finished` and `heartbeat` follow.
pub const TYPE_PREFIX: &str = "com.mainstay.completion.";

/// A CloudEvent in structured mode. Unknown attributes are extensions and are ignored, as the format wants.
#[derive(Deserialize)]
struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    time: Timestamp,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    data: Map<String, Value>,
}

/// Reads events: one batch for each sender and stream, in the order in which they were told.
///
/// The subject is the payment; the data hold `stream` and, of an initiation, `deadline` (RFC 3339) and `kind` where it has
/// them, and its labels, such as `tenant` and `cell`; of an end `state` and `reason`; of a heartbeat the labels of the groups
/// that the sender answers for.
///
/// # Errors
/// What is wrong with which event, in words. Then none of them is taken.
pub fn from_cloud_events(events: Vec<Value>) -> Result<Vec<CompletionBatch>, String> {
    let mut batches: BTreeMap<(String, String), Vec<CompletionEvent>> = BTreeMap::new();
    for (index, event) in events.into_iter().enumerate() {
        let wrong = |what: String| format!("event {}: {what}", index + 1);
        let event: CloudEvent =
            serde_json::from_value(event).map_err(|error| wrong(format!("not a CloudEvent: {error}")))?;
        let id = event.id.clone();
        let named = |what: String| wrong(format!("{what} (id {id:?})"));
        let (key, told) = read(event).map_err(named)?;
        batches.entry(key).or_default().push(told);
    }
    let batches = batches.into_iter();
    Ok(batches
        .map(|((stream, sender), events)| CompletionBatch {
            stream,
            sender,
            events,
        })
        .collect())
}

fn read(event: CloudEvent) -> Result<((String, String), CompletionEvent), String> {
    if event.specversion != "1.0" {
        return Err(format!("specversion {:?} is not 1.0", event.specversion));
    }
    let kind = event.event_type.strip_prefix(TYPE_PREFIX).unwrap_or_default();
    let mut data = event.data;
    let mut take = |name: &str| match data.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => short(name, text).map(Some),
        Some(_) => Err(format!("{name:?} is no text")),
    };
    let stream = take("stream")?.ok_or("its data have no \"stream\"")?;
    let sender = short("source", event.source)?;
    let payment = short("subject", event.subject)?;
    if payment.is_empty() && kind != "heartbeat" {
        return Err("it has no subject: the payment".to_owned());
    }
    let at_ms = event.time.as_millisecond();
    let told = match kind {
        "initiated" => {
            let instant = |text: String| {
                let read = text.parse::<Timestamp>();
                read.map_err(|error| format!("the deadline {text:?} is no instant: {error}"))
            };
            let deadline = take("deadline")?.map(instant).transpose()?;
            CompletionEvent::Initiated {
                payment,
                at_ms,
                deadline_ms: deadline.map(Timestamp::as_millisecond),
                kind: take("kind")?,
                labels: labels(data)?,
            }
        }
        "finished" => CompletionEvent::Finished {
            payment,
            at_ms,
            state: take("state")?.ok_or("its data have no \"state\"")?,
            reason: take("reason")?,
        },
        "heartbeat" => CompletionEvent::Heartbeat {
            at_ms,
            labels: labels(data)?,
        },
        _ => {
            let event_type = event.event_type;
            return Err(format!(
                "its type is {event_type:?}, and not {TYPE_PREFIX}initiated, .finished or .heartbeat"
            ));
        }
    };
    Ok(((stream, sender), told))
}

fn short(name: &str, text: String) -> Result<String, String> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(format!("{name:?} is longer than {TEXT_MAX_BYTES} bytes"));
    }
    Ok(text)
}

fn labels(data: Map<String, Value>) -> Result<Labels, String> {
    if data.len() > LABELS_MAX {
        return Err(format!("it has more than {LABELS_MAX} labels"));
    }
    let labels = data.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((short("a label", name.clone())?, short(&name, text)?)),
        _ => Err(format!("the label {name:?} is no text")),
    });
    let labels: Vec<(String, String)> = labels.collect::<Result<_, _>>()?;
    Ok(labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, subject: &str, data: Value) -> Value {
        json!({
            "specversion": "1.0", "id": "7", "source": "/cell-5/outbox", "type": format!("{TYPE_PREFIX}{kind}"),
            "time": "2026-03-02T10:00:00.5Z", "subject": subject, "data": data, "extension": 1
        })
    }

    #[test]
    fn events_are_read_as_they_are_told() {
        let batches = from_cloud_events(vec![
            event(
                "initiated",
                "p1",
                json!({"stream": "payments", "tenant": "bank-1", "cell": "cell-5", "deadline": "2026-03-02T10:00:05Z"}),
            ),
            event("finished", "p1", json!({"stream": "payments", "state": "FAILED", "reason": "AB03"})),
            event("heartbeat", "", json!({"stream": "payments", "cell": "cell-5"})),
        ])
        .expect("sound");
        let [batch] = &batches[..] else {
            panic!("one sender: {batches:?}")
        };
        assert_eq!(
            (batch.stream.as_str(), batch.sender.as_str()),
            ("payments", "/cell-5/outbox")
        );
        let at_ms = 1_772_445_600_500;
        let CompletionEvent::Initiated {
            deadline_ms, labels, ..
        } = &batch.events[0]
        else {
            panic!("an initiation")
        };
        assert_eq!(*deadline_ms, Some(at_ms + 4_500));
        assert_eq!(labels.to_string(), r#"{cell="cell-5", tenant="bank-1"}"#);
        assert!(batch.events.iter().all(|event| event.at_ms() == at_ms));
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_taken() {
        for (wrong, named) in [
            (json!({"id": "7"}), "not a CloudEvent"),
            (event("begun", "p1", json!({"stream": "payments"})), "begun"),
            (event("finished", "p1", json!({"stream": "payments"})), "state"),
            (event("finished", "p1", json!({"state": "COMPLETED"})), "stream"),
            (event("initiated", "", json!({"stream": "payments"})), "subject"),
            (
                event("initiated", "p1", json!({"stream": "payments", "tenant": 7})),
                "tenant",
            ),
            (
                event(
                    "initiated",
                    "p1",
                    json!({"stream": "payments", "deadline": "soon"}),
                ),
                "soon",
            ),
            (
                event("initiated", &"p".repeat(300), json!({"stream": "payments"})),
                "256",
            ),
        ] {
            let good = event("heartbeat", "", json!({"stream": "payments"}));
            let error = from_cloud_events(vec![good, wrong]).expect_err(named);
            assert!(error.starts_with("event 2") && error.contains(named), "{error}");
        }
    }
}
