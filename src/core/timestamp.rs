//! Moments in UTC, to the second, as AWS's caches and environment variables write them.

use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z. `Display` gives `2026-11-22T17:00:00Z`, the one form that every SDK's
/// cache reader accepts (`protocol.md` 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    pub(crate) const fn from_epoch(seconds: i64) -> Self {
        Self(seconds)
    }

    pub(crate) const fn epoch(self) -> i64 {
        self.0
    }

    /// This moment moved by `seconds`, forwards or (negative) backwards.
    pub(crate) const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative if this moment is the earlier one.
    pub(crate) const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads what the AWS CLI (all ages), the SDKs and their peers write: RFC 3339 with `Z` or an offset, a
    /// fraction of a second or none, `T` or a blank, and the `…UTC` ending of AWS CLI 2.0.
    ///
    /// A time without a zone is refused: no two readers agree on what it means.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |from: usize, to: usize| -> Option<i64> {
            let part = text.get(from..to)?;
            if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
        };
        let bytes = text.as_bytes();
        let separators = [(4, b"-" as &[u8]), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")];
        if separators.iter().any(|(at, allowed)| bytes.get(*at).is_none_or(|b| !allowed.contains(b))) {
            return None;
        }
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        if !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let zone = text.get(19..)?;
        let zone = match zone.strip_prefix('.') {
            Some(fraction) => {
                let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
                if rest.len() == fraction.len() {
                    return None;
                }
                rest
            }
            None => zone,
        };
        let offset = match zone {
            "Z" | "z" | "UTC" => 0,
            _ => offset_seconds(zone)?,
        };
        let days = days_from_civil(year, month, day);
        Some(Self(days * 86_400 + hour * 3_600 + minute * 60 + second - offset))
    }

    /// `2026-11-22T17:00:00+00:00`, as `aws configure export-credentials` prints it.
    pub(crate) fn with_numeric_offset(self) -> String {
        let text = self.to_string();
        format!("{}+00:00", &text[..text.len() - 1])
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(86_400));
        let of_day = self.0.rem_euclid(86_400);
        // Digit by digit: one of these is written at every `cd`.
        let mut text = *b"0000-00-00T00:00:00Z";
        let parts = [(0, year / 100), (2, year), (5, month), (8, day)];
        for (at, part) in parts.into_iter().chain([(11, of_day / 3_600), (14, of_day / 60 % 60), (17, of_day % 60)]) {
            let digit = |digit: i64| u8::try_from(digit.rem_euclid(10)).unwrap_or_default();
            text[at] += digit(part / 10);
            text[at + 1] += digit(part);
        }
        match year {
            0..=9999 => f.write_str(std::str::from_utf8(&text).unwrap_or_default()),
            // As RFC 3339 cannot.
            _ => write!(f, "{year}{}", std::str::from_utf8(&text[4..]).unwrap_or_default()),
        }
    }
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (years counted from March, so that the
/// leap day comes last; eras of 400 years = 146,097 days).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_form_that_is_written_into_the_caches() {
        let expected = Some(Timestamp::from_epoch(1_795_366_800));
        for text in [
            "2026-11-22T17:00:00Z",
            "2026-11-22T17:00:00.123456Z",
            "2026-11-22T17:00:00.123456789Z",
            "2026-11-22T17:00:00+00:00",
            "2026-11-22T17:00:00UTC",
            "2026-11-22 17:00:00Z",
            "2026-11-22T19:30:00+02:30",
            "2026-11-22T12:00:00-0500",
        ] {
            assert_eq!(Timestamp::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_means_no_moment() {
        for text in [
            "",
            "2026-11-22T17:00:00",
            "2026-13-22T17:00:00Z",
            "2026-02-29T17:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T17:00:00.Z",
            "2026-11-22T17:00:00Zz",
            "2026-11-22T17:00:00+1",
            "1795366800",
            "+026-11-22T17:00:00Z",
            "2026-11-22T17:00:0éZ",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_time_crate(seconds in -62_135_596_800i64..253_402_300_799) {
            let theirs = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap()
                .format(&time::format_description::well_known::Rfc3339).unwrap();
            let ours = Timestamp::from_epoch(seconds);
            prop_assert_eq!(ours.to_string(), theirs.clone());
            prop_assert_eq!(Timestamp::parse(&theirs), Some(ours));
            prop_assert_eq!(Timestamp::parse(&ours.with_numeric_offset()), Some(ours));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
