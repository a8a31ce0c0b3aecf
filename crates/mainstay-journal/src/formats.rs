//! The numbers of formats, and the steps from one to the next and back: the same for every database.

use crate::store::JournalError;

/// All formats of a kind of database.
pub(crate) struct Formats {
    /// Step `n` leads from format `n` to format `n + 1`. Steps are only ever added.
    pub(crate) ahead: &'static [&'static str],
    /// Step `n` leads from format `n + 2` back to format `n + 1`, for the release before. Every step ahead but the first
    /// has one: whoever upgrades must be able to go back with everything that came since.
    pub(crate) back: &'static [&'static str],
}

/// A step, with the format that it reaches.
pub(crate) type Step = (i64, &'static str);

impl Formats {
    /// The newest format.
    pub(crate) const fn newest(&self) -> i64 {
        self.ahead.len() as i64
    }

    /// The steps from `found` to the newest format.
    pub(crate) fn ahead(&self, found: i64) -> Result<impl Iterator<Item = Step>, JournalError> {
        let done = usize::try_from(found).ok();
        let steps = done
            .and_then(|done| self.ahead.get(done..))
            .ok_or(JournalError::Format {
                found,
                supported: self.newest(),
            })?;
        Ok((found + 1..).zip(steps.iter().copied()))
    }

    /// The steps from `found` back to `to`.
    pub(crate) fn back(&self, found: i64, to: i64) -> Result<Vec<Step>, JournalError> {
        if found > self.newest() {
            return Err(JournalError::Format {
                found,
                supported: self.newest(),
            });
        }
        if to < 1 || to > found {
            return Err(JournalError::Storage(format!(
                "the journal is of format {found}: it can be brought back to 1 and up to that, not to {to}"
            )));
        }
        let step = |format: i64| {
            let step = usize::try_from(format - 1).ok();
            let step = step.and_then(|step| self.back.get(step)).copied();
            let none = || JournalError::Storage(format!("there is no way back to format {format}"));
            Ok((format, step.ok_or_else(none)?))
        };
        (to..found).rev().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_step_but_the_first_has_a_way_back() {
        for formats in [crate::sqlite::FORMATS, crate::postgres::FORMATS] {
            assert_eq!(formats.back.len() + 1, formats.ahead.len());
        }
    }
}
