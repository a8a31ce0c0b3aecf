//! "Did you mean …?"

/// The candidate nearest to `wanted` by edit distance, if it is near enough to be a slip of the pen: at most a third
/// of the letters differ.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short; anything longer is not a slip of the pen and would cost quadratic time.
    const LONGEST_BYTES: usize = 128;
    if wanted.len() > LONGEST_BYTES {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_BYTES)
        .map(|candidate| (distance(wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A help text: the nearest candidate, or else all of them if they are few.
pub fn suggest<'a>(wanted: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut candidates: Vec<&str> = candidates.into_iter().collect();
    candidates.sort_unstable();
    candidates.dedup();
    if let Some(near) = nearest(wanted, candidates.iter().copied()) {
        return format!("did you mean {near:?}?");
    }
    match candidates.len() {
        0 => format!("there is no {what} yet: declare it first"),
        1..=SHOWN => format!("known: {}", candidates.join(", ")),
        more => format!(
            "known: {}, and {} more",
            candidates[..SHOWN].join(", "),
            more - SHOWN
        ),
    }
}

/// Levenshtein's distance, with a swap of two neighbours counted as one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before_last[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let known = ["payment-service", "validation-service", "fraud-service"];
        assert_eq!(nearest("payments-service", known), Some("payment-service"));
        assert_eq!(nearest("paymnet-service", known), Some("payment-service"));
        assert_eq!(nearest("ledger", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
