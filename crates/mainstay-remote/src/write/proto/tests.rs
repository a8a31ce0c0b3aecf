use super::*;

fn entries() -> Vec<Entry> {
    let up = Arc::new(Labels::from_iter([("__name__", "up"), ("job", "a")]));
    let down = Arc::new(Labels::from_iter([
        ("__name__", "down"),
        ("job", "a"),
        ("cell", "x"),
    ]));
    vec![
        Entry {
            labels: Arc::clone(&up),
            created_ms: None,
            t_ms: 300,
            value: SampleValue::Float(1.0),
        },
        Entry {
            labels: down,
            created_ms: Some(5),
            t_ms: 300,
            value: SampleValue::Float(0.0),
        },
        Entry {
            labels: up,
            created_ms: None,
            t_ms: -1,
            value: SampleValue::Float(-0.0),
        },
    ]
}

/// The bytes that the protobuf encoding of the documents gives, field by field.
#[test]
fn version_1_to_the_byte() {
    let external = Labels::from_iter([("cell", "y")]);
    let label = |name: &str, value: &str| {
        let mut bytes = vec![0x0a, (name.len() + value.len() + 4) as u8, 0x0a, name.len() as u8];
        bytes.extend(name.bytes());
        bytes.extend([0x12, value.len() as u8]);
        bytes.extend(value.bytes());
        bytes
    };
    let one = [0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02].to_vec();
    let minus_zero = [
        &[0x12, 20, 0x09, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x10][..],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ]
    .concat();
    let zero = vec![0x12, 3, 0x10, 0xac, 0x02];
    let up = [
        label("__name__", "up"),
        label("cell", "y"),
        label("job", "a"),
        one,
        minus_zero,
    ]
    .concat();
    let down = [
        label("__name__", "down"),
        label("cell", "x"),
        label("job", "a"),
        zero,
    ]
    .concat();
    let expected = [&[0x0a, up.len() as u8][..], &up, &[0x0a, down.len() as u8], &down].concat();
    assert_eq!(
        message(&entries(), &external, Protocol::V1, &Families::default()),
        expected
    );
}

#[test]
fn version_2_has_each_text_once() {
    let bytes = message(&entries(), &Labels::new(), Protocol::V2, &Families::default());
    let symbols = ["", "__name__", "up", "job", "a", "down", "cell", "x"];
    let mut expected = Vec::new();
    for symbol in symbols {
        expected.extend([0x22, symbol.len() as u8]);
        expected.extend(symbol.bytes());
    }
    let sample = [
        0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02, // 1 at 300
    ];
    assert_eq!(bytes[..expected.len()], expected);
    let up = &bytes[expected.len()..];
    assert_eq!(up[..2], [0x2a, 6 + 14 + 22]);
    assert_eq!(up[2..8], [0x0a, 4, 1, 2, 3, 4]);
    assert_eq!(up[8..22], sample);
    let down = &up[2 + 6 + 14 + 22..];
    assert_eq!(
        down,
        [
            0x2a, 15, 0x0a, 6, 1, 5, 6, 7, 3, 4, 0x12, 3, 0x10, 0xac, 0x02, 0x30, 5
        ]
    );
}

#[test]
fn long_texts_have_long_lengths() {
    let value = "x".repeat(300);
    let labels = Arc::new(Labels::from_iter([("a", value.as_str())]));
    let entry = Entry {
        labels,
        created_ms: None,
        t_ms: 1,
        value: SampleValue::Float(1.0),
    };
    let bytes = message(&[entry], &Labels::new(), Protocol::V1, &Families::default());
    // Request: 1 + 2 + series; label: 1 + 2 + (1 + 1 + 1) + (1 + 2 + 300); sample: 2 + 9 + 2.
    assert_eq!(bytes.len(), 3 + (3 + 3 + 303) + 13);
    assert_eq!(bytes[..3], [0x0a, 0xc2, 0x02]);
}
