//! Durations and sizes as people write them: `500ms 2s 1m 30d`, `10KiB 1MiB`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// A hundred years: adding more than this to a point in time could overflow.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

const SPAN_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000)];
const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A duration in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number of bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// # Errors
/// What is wrong, and after a line break what to write.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let expected = "expected a duration\nwrite a number and a unit: 500ms, 2s, 1m, 12h or 30d";
    let (number, unit) = split(text).ok_or(expected)?;
    let scale = SPAN_UNITS.iter().find(|(name, _)| *name == unit).ok_or(expected)?.1;
    let too_long = "this duration is too long\nthe longest is 36500d";
    let span = Duration::from_millis(number.checked_mul(scale).ok_or(too_long)?);
    if span > LONGEST { Err(too_long.to_owned()) } else { Ok(span) }
}

/// # Errors
/// What is wrong, and after a line break what to write.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let expected = "expected a size\nwrite a number and a unit: 512B, 10KiB, 1MiB or 2GiB";
    let (number, unit) = split(text).ok_or(expected)?;
    let scale = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(expected)?.1;
    number.checked_mul(scale).ok_or_else(|| "this size is too large\nthe largest is 16777215TiB".to_owned())
}

/// `30s` into 30 and `s`; a space between them is fine.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

impl fmt::Display for Span {
    /// In the largest unit that leaves no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = |scale: u64| millis != 0 && millis.is_multiple_of(u128::from(scale));
        let (unit, scale) = SPAN_UNITS.iter().rev().find(|(_, scale)| fits(*scale)).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", millis / u128::from(*scale))
    }
}

impl fmt::Display for Size {
    /// In the largest binary unit that leaves no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZE_UNITS.iter().rev().filter(|(name, _)| name.ends_with("iB"));
        let (unit, scale) =
            binary.into_iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

/// Takes text only: a bare number gets told to add a unit.
struct Measured<T> {
    expected: &'static str,
    example: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Measured<T> {
    fn bare<E: Error>(&self, number: impl fmt::Display) -> E {
        let number = number.to_string();
        let advice = if number.len() <= 9 { format!("{number}{}", self.example) } else { format!("1{}", self.example) };
        E::custom(format!("this number needs a unit\nwrite `{advice}`"))
    }
}

impl<T> Visitor<'_> for Measured<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(self.bare(text));
        }
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        Err(self.bare(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        if number < 0 {
            return Err(E::custom("must not be negative"));
        }
        Err(self.bare(number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Err(E::custom(format!(
            "expected {}\nwrite a whole number and a unit, such as 1{}",
            self.expected, self.example
        )))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = Measured { expected: "a duration", example: "s", parse: parse_span };
        deserializer.deserialize_any(visitor).map(Span)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = Measured { expected: "a size", example: "MiB", parse: parse_size };
        deserializer.deserialize_any(visitor).map(Size)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$", "examples": ["500ms", "2s", "1m", "30d"] })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = "^[0-9]+ ?([bB]|[kKmMgGtT][iI]?[bB])$";
        json_schema!({ "type": "string", "pattern": pattern, "examples": ["10KiB", "1MiB", "1GiB"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_parses_to_the_same() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("90s", 90_000),
            ("1m", 60_000),
            ("12h", 43_200_000),
            ("30d", 2_592_000_000),
        ] {
            let span = parse_span(text).unwrap();
            assert_eq!(span, Duration::from_millis(millis), "{text}");
            assert_eq!(parse_span(&Span(span).to_string()).unwrap(), span);
        }
        assert_eq!(Span(Duration::ZERO).to_string(), "0s");
        assert_eq!(Span(Duration::from_secs(140)).to_string(), "140s");
        for (text, bytes) in [("0B", 0), ("10KiB", 10_240), ("1MB", 1_000_000), ("64MiB", 64 << 20), ("1 gib", 1 << 30)]
        {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
            assert_eq!(parse_size(&Size(bytes).to_string()).unwrap(), bytes);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "s", "1", "1.5s", "-1s", "1w", "99999999999999999999s", "36501d", "213503982334602d", "1M", "1s2"]
        {
            assert!(parse_span(text).is_err() || text == "1M", "{text}");
        }
        for text in ["", "B", "10", "1.5MiB", "-1B", "10K", "99999999999999999TiB", "16777216TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
