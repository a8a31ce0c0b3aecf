//! Bodies of remote write that are too large, cut short or damaged.

use mainstay_ingest::remote_write::{RemoteWriteError, Request, Series, Version, WireError, decompress};
use proptest::prelude::*;
use prost::Message;

use crate::prompb::{self, series, symbols, v2};
use crate::remote_write::{lines, whole};

#[test]
fn bodies_are_unpacked_within_their_limit() {
    let text = b"abcdabcdabcdabcdabcdabcdabcdabcd".repeat(100);
    let packed = snap::raw::Encoder::new().compress_vec(&text).expect("packs");
    let mut buffer = vec![7; 3];
    decompress(&packed, text.len(), &mut buffer).expect("fits");
    assert_eq!(buffer, text);
    assert_eq!(
        decompress(&packed, text.len() - 1, &mut buffer),
        Err(RemoteWriteError::TooLarge {
            declared_bytes: 3200,
            limit_bytes: 3199
        })
    );
    // 1 GiB declared by six bytes: refused by what snappy can pack, though the limit would allow it.
    let mut buffer = Vec::new();
    let bomb = [0x80, 0x80, 0x80, 0x80, 0x04, 0x00];
    let refused = decompress(&bomb, 2 << 30, &mut buffer).expect_err("a lie");
    assert!(matches!(refused, RemoteWriteError::Compression(_)), "{refused}");
    assert_eq!(buffer.capacity(), 0, "nothing is allocated for a lie");
    for noise in [&b""[..], b"not snappy", &packed[..packed.len() - 1]] {
        decompress(noise, 1 << 20, &mut buffer).expect_err("not snappy");
    }
}

/// An empty symbol takes two bytes on the wire, and packed next to none.
#[test]
fn a_table_of_symbols_that_is_too_long_is_refused() {
    let refused = Request::parse(Version::V2, &[0x22, 0].repeat(2 << 20)).expect_err("too many");
    assert!(
        matches!(refused, RemoteWriteError::TooManySymbols { .. }),
        "{refused}"
    );
    assert_eq!((refused.status(), refused.refuses_request()), (413, true));
}

#[test]
fn a_body_cut_short_is_malformed_and_nothing_follows() {
    let body = prompb::WriteRequest {
        timeseries: vec![
            series(&[("__name__", "x")], &[(1, 1.0)]),
            series(&[("__name__", "y")], &[(1, 1.0)]),
        ],
        ..Default::default()
    }
    .encode_to_vec();
    let cut = Request::parse(Version::V1, &body[..body.len() - 1]).expect("1.0 is read lazily");
    let outcomes: Vec<_> = cut.series().map(|series| series.map(|_| ())).collect();
    assert_eq!(
        outcomes,
        [Ok(()), Err(RemoteWriteError::Malformed(WireError::Truncated))]
    );
}

proptest! {
    #[test]
    fn noise_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        lines(Version::V1, &body);
        lines(Version::V2, &body);
        let _ = decompress(&body, 1 << 16, &mut Vec::new());
    }

    /// Noise that is nearly right: a good request with bytes changed.
    #[test]
    fn damage_never_panics(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut of = series(&[("__name__", "x"), ("job", "a")], &[(1, 1.0)]);
        of.histograms = vec![whole()];
        let mut v1 = prompb::WriteRequest { timeseries: vec![of], ..Default::default() }.encode_to_vec();
        let mut v2 = v2::Request {
            symbols: symbols(&["", "__name__", "x"]),
            timeseries: vec![v2::TimeSeries {
                labels_refs: vec![1, 2],
                histograms: vec![whole()],
                metadata: Some(v2::Metadata { r#type: 1, help_ref: 2, unit_ref: 0 }),
                ..Default::default()
            }],
        }
        .encode_to_vec();
        for (at, byte) in changes {
            let index = at.index(v1.len());
            v1[index] = byte;
            let index = at.index(v2.len());
            v2[index] = byte;
        }
        lines(Version::V1, &v1);
        lines(Version::V2, &v2);
    }
}

/// Refused when its frame is read: nothing of it is looked at, and it is counted no further than to the limit.
#[test]
fn a_request_that_holds_too_much_is_refused_before_it_is_read() {
    const MOST: usize = 1 << 20;
    let nothing = |tag: u8, count: usize| [tag, 0].repeat(count);
    let series = |tag: u8, content: &[u8]| {
        let mut message = vec![tag];
        let mut length = content.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        [&message, content].concat()
    };
    let parsed =
        |version, message: &[u8]| Request::parse(version, message).map(|request| request.series().count());
    assert_eq!(parsed(Version::V1, &nothing(0x0a, MOST)), Ok(MOST));
    let too_many = Err(RemoteWriteError::TooManyEntries { limit: MOST });
    for (version, series_tag, entries) in [
        (Version::V1, 0x0a, [0x12, 0x1a, 0x22]),
        (Version::V2, 0x2a, [0x12, 0x1a, 0x22]),
    ] {
        // In 2.0 the first symbol is "".
        let before = if version == Version::V2 {
            &[0x22, 0][..]
        } else {
            &[]
        };
        let message = [before, &nothing(series_tag, MOST + 1)].concat();
        assert_eq!(parsed(version, &message), too_many);
        for tag in entries {
            let full = [before, &series(series_tag, &nothing(tag, MOST - 1))].concat();
            assert_eq!(parsed(version, &full), Ok(1), "{tag:#x}");
            let message = [before, &series(series_tag, &nothing(tag, MOST))].concat();
            assert_eq!(parsed(version, &message), too_many, "{tag:#x}");
        }
    }
    assert_eq!(parsed(Version::V1, &nothing(0x1a, MOST + 1)), too_many);
}

/// Right or wrong, a guess changes nothing of what is read.
#[test]
fn a_guess_of_the_labels_changes_nothing() {
    let sets: [&[(&str, &str)]; 5] = [
        &[("__name__", "up")],
        &[("__name__", "up"), ("job", "a")],
        &[("job", "a"), ("__name__", "up")],
        &[("__name__", "up"), ("job", "b")],
        &[],
    ];
    let mut timeseries: Vec<_> = sets
        .iter()
        .map(|set| series(set, &[(1, 1.0), (2, 2.0)]))
        .collect();
    timeseries.push(series(sets[1], &[]));
    let mut body = prompb::WriteRequest {
        timeseries,
        metadata: Vec::new(),
    }
    .encode_to_vec();
    // A label behind the samples: the guess of those before them must not stand.
    let split = [series(sets[0], &[(3, 3.0)]), series(&[("job", "a")], &[])];
    let split: Vec<u8> = split.iter().flat_map(Message::encode_to_vec).collect();
    body.extend([&[0x0a, u8::try_from(split.len()).expect("short")][..], &split].concat());
    let request = Request::parse(Version::V1, &body).expect("reads");
    let plain: Vec<_> = request.series().map(|series| series.expect("reads")).collect();
    let key = |series: &Series<'_>| series.key().expect("a key");
    for guessed in &plain {
        let guess = guessed.guess(key(guessed));
        let mut all = request.series();
        for expected in &plain {
            let series = all.next_guessed(guess).expect("a series").expect("reads");
            assert_eq!(key(&series), key(expected));
            assert_eq!(series.counts(), expected.counts());
            assert_eq!(
                format!("{:?}", series.labels()),
                format!("{:?}", expected.labels())
            );
        }
        assert!(all.next_guessed(guess).is_none());
    }
    assert_eq!(key(&plain[1]), key(&plain[5]));
    assert_eq!(plain[6].labels().expect("labels").to_string(), r#"up{job="a"}"#);
}
