//! Wall-clock time, derived from the body's timestamps: what outlives a page is kept in it.

use edgeweave_protocol::Timestamp;

const MS_PER_DAY: u64 = 86_400_000;

/// Converts between the body's timestamps and milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    unix_ms_at_zero: u64,
}

impl Clock {
    pub(crate) fn new(unix_ms_at_zero: u64) -> Self {
        Self { unix_ms_at_zero }
    }

    pub(crate) fn unix_ms(self, at: Timestamp) -> u64 {
        self.unix_ms_at_zero.saturating_add(at.as_micros() / 1000)
    }

    /// Days since 1970.
    pub(crate) fn day(self, at: Timestamp) -> u32 {
        (self.unix_ms(at) / MS_PER_DAY) as u32
    }

    /// Calendar months since March of year 0, in UTC. Howard Hinnant's `civil_from_days`
    /// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap day is last.
    pub(crate) fn month(self, at: Timestamp) -> u32 {
        let days = u64::from(self.day(at)) + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        ((era * 400 + year_of_era) * 12 + month_from_march) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_change_when_the_calendar_does() {
        let month = |unix_ms| Clock::new(unix_ms).month(Timestamp::ZERO);
        let last_of_february_2028 = 1_835_395_200_000; // The 29th, 00:00 UTC.
        assert_eq!(month(last_of_february_2028 + MS_PER_DAY - 1), month(last_of_february_2028));
        assert_eq!(month(last_of_february_2028 + MS_PER_DAY), month(last_of_february_2028) + 1);
        assert_eq!(month(last_of_february_2028 - 28 * MS_PER_DAY), month(last_of_february_2028));
        assert_eq!(month(last_of_february_2028 - 29 * MS_PER_DAY), month(last_of_february_2028) - 1);
    }
}
