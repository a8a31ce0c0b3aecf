//! Quantities in texts: `21.9 minutes`, `99.95%`, `p95 < 200ms`, `50,000 req/sec`.
//!
//! The grammar, as small as it is: a number is digits with commas between groups of three and at most one point, not a
//! part of a longer word (`p95`, `v1.6.0` and `2025-01-15` hold none); its unit is the word, or the sign `%`, that
//! follows at once or after one space. What follows is no unit that is known: no quantity.

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A share of a whole: 0.9995 for `99.95%`.
    Share(f64),
    /// A time in seconds.
    Seconds(f64),
}

/// A quantity and the bytes of the text that say it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What.
    pub quantity: Quantity,
    /// Half a unit of the last digit that was written, in the quantity's own measure: how exact it is.
    pub tolerance: f64,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Every quantity of a text, in order.
#[must_use]
pub fn quantities(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..]
        .find(|c: char| c.is_ascii_digit())
        .map(|next| at + next)
    {
        let len = text[start..]
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','))
            .unwrap_or(text.len() - start);
        let number = text[start..start + len].trim_end_matches(['.', ',']);
        at = start + len;
        let joined = text[..start]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let after = start + number.len();
        if joined || text[after..].starts_with('-') {
            continue;
        }
        let Some((value, half)) = decimal(number) else {
            continue;
        };
        let spaced = usize::from(text[after..].starts_with(' '));
        let rest = &text[after + spaced..];
        let word = rest
            .find(|c: char| !c.is_alphabetic())
            .map_or(rest, |end| &rest[..end]);
        let (word, is_share) = if rest.starts_with('%') {
            ("%", true)
        } else {
            (word, false)
        };
        let unit = if is_share { Some(0.01) } else { seconds(word) };
        let Some(unit) = unit else { continue };
        // `1 minute`, but `50 h/week` and `req/s` are rates.
        if rest[word.len()..].starts_with('/') && word.len() < 3 {
            continue;
        }
        let quantity = if is_share {
            Quantity::Share(value * unit)
        } else {
            Quantity::Seconds(value * unit)
        };
        found.push(Found {
            quantity,
            tolerance: half * unit,
            start,
            end: after + spaced + word.len(),
        });
    }
    found
}

/// The shares of a text.
pub fn shares(text: &str) -> impl Iterator<Item = (f64, Found)> {
    quantities(text)
        .into_iter()
        .filter_map(|found| match found.quantity {
            Quantity::Share(share) => Some((share, found)),
            Quantity::Seconds(_) => None,
        })
}

/// The times of a text, in seconds.
pub fn times(text: &str) -> impl Iterator<Item = (f64, Found)> {
    quantities(text)
        .into_iter()
        .filter_map(|found| match found.quantity {
            Quantity::Seconds(seconds) => Some((seconds, found)),
            Quantity::Share(_) => None,
        })
}

/// A number and half a unit of its last digit.
fn decimal(text: &str) -> Option<(f64, f64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let grouped = groups.clone().next().is_some();
    let sound = !first.is_empty()
        && (!grouped || first.len() <= 3)
        && groups.all(|group| group.len() == 3)
        && !fraction.contains([',', '.']);
    let value: f64 = text.replace(',', "").parse().ok().filter(|_| sound)?;
    let digits = i32::try_from(fraction.len()).ok()?;
    Some((value, 0.5 * 10_f64.powi(-digits)))
}

fn seconds(word: &str) -> Option<f64> {
    Some(match word {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// The words of a text or a name in lower case: `kafka_producer_acksTotal` is kafka, producer, acks, total.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in text.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if begins {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_nothing_else() {
        let read = |text: &str| -> Vec<String> {
            quantities(text)
                .into_iter()
                .map(|found| match found.quantity {
                    Quantity::Share(share) => format!("{:.4}%", share * 100.0),
                    Quantity::Seconds(seconds) => format!("{seconds}s"),
                })
                .collect()
        };
        assert_eq!(read("Error Budget: 21.9 minutes/month"), ["1314s"]);
        assert_eq!(read("SLO: p95 < 200ms (95% of requests)"), ["0.2s", "95.0000%"]);
        assert_eq!(read("> 99.999% (five nines), 1,440 min"), ["99.9990%", "86400s"]);
        assert_eq!(read("Throughput: > 50,000 req/sec at 300 s/day"), [""; 0]);
        assert_eq!(read("v1.6.0 of 2025-01-15, p95, 14.4 times, 1,5 s"), [""; 0]);
        assert_eq!(read("0.08% ✅ after 3 h."), ["0.0800%", "10800s"]);
    }

    #[test]
    fn exactness_is_half_the_last_digit() {
        let found = &quantities("30%")[0];
        assert!((found.tolerance - 0.005).abs() < 1e-12);
        let found = &quantities("99.97 %")[0];
        assert!((found.tolerance - 0.000_05).abs() < 1e-12);
        assert_eq!((found.start, found.end), (0, 7));
    }

    #[test]
    fn names_are_made_of_words() {
        assert_eq!(
            words("kafka_producerAcks_total{x}"),
            ["kafka", "producer", "acks", "total", "x"]
        );
        assert_eq!(words("COMPLETED"), ["completed"]);
    }
}
