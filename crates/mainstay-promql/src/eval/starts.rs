//! When counts began: a sample may say when the count that it goes on with began, in milliseconds since 1970; 0 is not
//! known.

/// The starts of the samples in a window, one for each of them, or none at all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Starts<'w>(pub(super) &'w [i64]);

impl Starts<'_> {
    /// Whether the count began anew between the sample at `index` and the next one.
    pub(super) fn is_reset<T>(self, points: &[(i64, T)], index: usize) -> bool {
        match (self.0.get(index..index + 2), points.get(index..index + 2)) {
            (Some([before, now]), Some([(before_ms, _), (now_ms, _)])) => {
                began_anew((*before, *before_ms), (*now, *now_ms))
            }
            _ => false,
        }
    }

    /// Whether a sample's start lies before the sample before it, though it is not that one's start.
    pub(super) fn overlap<T>(self, points: &[(i64, T)]) -> bool {
        self.0.windows(2).zip(points).any(|(starts, (before_ms, _))| {
            starts[1] != 0 && starts[1] < *before_ms && starts[1] != starts[0]
        })
    }

    /// The start of the first sample, if it lies in the window before that sample: there the count was zero.
    pub(super) fn zero_ms(self, start_ms: i64, first_ms: i64) -> Option<i64> {
        let first = self.0.first().copied()?;
        (first != 0 && first > start_ms && first < first_ms).then_some(first)
    }
}

/// Whether a count began anew between two samples, given by start and time. A start behind the sample before is a
/// reset. One that is that sample's time is one only if it is a difference that began where the one before it ended;
/// a count of unknown start begins there, too. A start that is not before its sample says nothing.
fn began_anew((before, before_ms): (i64, i64), (now, now_ms): (i64, i64)) -> bool {
    if now == 0 || now >= now_ms || now < before_ms {
        return false;
    }
    now > before_ms || (before != 0 && before < before_ms)
}
