//! Numbers with units as filters take them. Fractions are fine: `1.5s`, `0.5M`.

const SPANS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
const COUNTS: &[(&str, u64)] = &[("", 1), ("k", 1000), ("m", 1_000_000), ("g", 1_000_000_000)];
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// Milliseconds; also of several parts, as in `1h30m`.
pub(super) fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| digits + length);
        total = total.checked_add(scaled(&rest[..unit], SPANS)?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

pub(super) fn count(text: &str) -> Option<u64> {
    scaled(text, COUNTS)
}

/// Bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    scaled(text, SIZES)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || (fraction.is_empty() && number.contains('.')) {
        return None;
    }
    let parts = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let number = u128::from(whole.parse::<u64>().ok()?) * parts + fraction;
    u64::try_from(number * u128::from(scale) / parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_read() {
        for (text, ms) in [("500ms", 500), ("5s", 5000), ("1.5s", 1500), ("1h30m", 5_400_000), ("2w", 1_209_600_000)] {
            assert_eq!(duration(text), Some(ms), "{text}");
        }
        assert_eq!((count("100k"), count("0.5M"), count("7")), (Some(100_000), Some(500_000), Some(7)));
        assert_eq!((size("10KiB"), size("1MB"), size("3")), (Some(10_240), Some(1_000_000), Some(3)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", ".5s", "5.s", "1..5s", "-5s", "5x", "5s5", "18446744073709551615w", "1.1234567890s"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!((count("k"), count("1e3"), count("99999999999999999999")), (None, None, None));
    }
}
