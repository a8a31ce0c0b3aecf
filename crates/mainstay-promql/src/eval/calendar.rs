//! The calendar functions, in UTC.

type Field = fn(i64) -> i64;

/// The function of this name: seconds since 1970 to a field of the date.
pub(super) fn named(name: &str) -> Option<Field> {
    Some(match name {
        "minute" => |at| at.rem_euclid(3600) / 60,
        "hour" => |at| at.rem_euclid(86_400) / 3600,
        // 1970-01-01 was a Thursday.
        "day_of_week" => |at| (at.div_euclid(86_400) + 4).rem_euclid(7),
        "day_of_month" => |at| civil(at).2,
        "day_of_year" => |at| at.div_euclid(86_400) - days(civil(at).0, 1, 1) + 1,
        "days_in_month" => |at| {
            let (year, month, _) = civil(at);
            let (next_year, next) = if month == 12 {
                (year + 1, 1)
            } else {
                (year, month + 1)
            };
            days(next_year, next, 1) - days(year, month, 1)
        },
        "month" => |at| civil(at).1,
        "year" => |at| civil(at).0,
        _ => return None,
    })
}

/// A time in milliseconds since 1970 as `2024-05-01T12:30:00Z`; what is below a second goes.
pub(super) fn rfc3339(at_ms: i64) -> String {
    let at = at_ms / 1000;
    let (year, month, day) = civil(at);
    let (hour, minute, second) = (
        at.rem_euclid(86_400) / 3600,
        at.rem_euclid(3600) / 60,
        at.rem_euclid(60),
    );
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a time.
fn civil(at_seconds: i64) -> (i64, i64, i64) {
    let shifted = at_seconds.div_euclid(86_400) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for day in (-800_000..800_000).step_by(97) {
            let (year, month, day_of_month) = civil(day * 86_400);
            assert_eq!(days(year, month, day_of_month), day);
        }
        assert_eq!(civil(951_782_400), (2000, 2, 29));
    }
}
