//! Numbers as people read them.

use maud::{Markup, html};

const SECOND_MS: f64 = 1_000.0;

/// As wide as a plus, which a hyphen is not.
const MINUS: &str = "\u{2212}";

/// Whole numbers in groups of three.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("\u{202f}")
}

/// A share, as a percentage.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0).replace('-', MINUS)
}

/// A change, as a percentage with its sign.
pub fn change(share: f64) -> String {
    if is_none(share) {
        return "0.0 %".into();
    }
    format!("{:+.1} %", share * 100.0).replace('-', MINUS)
}

/// Whether a change is too small to be shown.
fn is_none(share: f64) -> bool {
    share.abs() < 0.000_5
}

/// A change of a time: less of it is good.
pub fn coloured_change(share: f64) -> Markup {
    let class = match share {
        share if is_none(share) => "quiet",
        share if share < 0.0 => "good",
        _ => "bad",
    };
    html! { span class=(class) { (change(share)) } }
}

/// A time in milliseconds, or in seconds when it is long.
pub fn time(ms: f64) -> String {
    match ms {
        ms if ms < SECOND_MS => format!("{ms:.0} ms"),
        ms if ms < 10.0 * SECOND_MS => format!("{:.2} s", ms / SECOND_MS),
        ms => format!("{:.1} s", ms / SECOND_MS),
    }
}

/// A round time in milliseconds, as short as it can be.
pub fn round_time(ms: f64) -> String {
    if ms < SECOND_MS { format!("{ms} ms") } else { format!("{} s", ms / SECOND_MS) }
}

/// Bytes, with three digits that mean something.
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes;
    let mut unit = 0;
    while value.abs() >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let decimals = if unit == 0 || value.abs() >= 100.0 { 0 } else { usize::from(value.abs() < 10.0) + 1 };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_for_people() {
        assert_eq!(
            [count(7), count(1_234), count(12_345_678)],
            ["7", "1\u{202f}234", "12\u{202f}345\u{202f}678"]
        );
        assert_eq!(
            [bytes(0.0), bytes(1_500.0), bytes(2e9), bytes(123.4e6)],
            ["0 B", "1.5 kB", "2 GB", "123 MB"]
        );
        assert_eq!([time(312.4), time(1_500.0), time(61_000.0)], ["312 ms", "1.50 s", "61.0 s"]);
        assert_eq!([change(-0.128), change(0.05)], ["\u{2212}12.8 %", "+5.0 %"]);
        assert_eq!([round_time(200.0), round_time(2_000.0)], ["200 ms", "2 s"]);
    }
}
