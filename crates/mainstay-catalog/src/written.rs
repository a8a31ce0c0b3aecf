//! How values are written into the documents that this program makes.

/// Words that YAML 1.1 or 1.2 reads as something else than a text.
const NO_TEXTS: [&str; 12] = [
    "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity",
];

/// A text as a YAML scalar on one line: plain where nobody can misread it, else in double quotes.
#[must_use]
pub fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c))
        && !text.ends_with(':')
        && !NO_TEXTS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) || c == '\u{feff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Pairs as a YAML mapping on one line: `{team: shop, tier: "2"}`.
#[must_use]
pub fn mapping<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}: {}", scalar(name.as_ref()), scalar(value.as_ref())))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for text in [
            "shop",
            "a: b",
            "yes",
            "No",
            "1.5",
            "",
            " x",
            "#x",
            "a #b",
            "-",
            "~",
            "{{ $value }}",
            "a\nb\t\"c\"\\",
            "é",
            "\u{1}",
            "a:",
            "2024-01-01",
            "*x",
            "&x",
            "!x",
            "x,y",
            "[x]",
            "@x",
            "`x`",
            "%x",
            "0x10",
            "\u{2028}",
        ] {
            let document = mapping([("key", text)]);
            let read: BTreeMap<String, String> = serde_saphyr::from_str(&document).expect(&document);
            assert_eq!(read["key"], text, "{document}");
        }
    }
}
