//! Rows of bars.

/// Eight heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar of `value` where `largest` is the whole height; the smallest one for nothing.
pub(super) fn bar(value: u64, largest: u64) -> char {
    let step = if largest == 0 { 0 } else { (u128::from(value.min(largest)) * 7).div_ceil(u128::from(largest)) };
    usize::try_from(step).ok().and_then(|step| BARS.get(step)).copied().unwrap_or(' ')
}

/// One bar for each value.
pub(super) fn bars(values: &[u64]) -> String {
    let largest = values.iter().copied().max().unwrap_or(0);
    values.iter().map(|value| bar(*value, largest)).collect()
}

/// A column of `height` cells that is filled up to `value`, the lowest first.
pub(super) fn column(value: u64, largest: u64, height: usize) -> Vec<char> {
    let eighths = if largest == 0 { 0 } else { value.min(largest).saturating_mul(8 * height as u64).div_ceil(largest) };
    (0..height as u64)
        .map(|cell| match eighths.saturating_sub(cell * 8).min(8) {
            0 => ' ',
            filled => usize::try_from(filled - 1).ok().and_then(|at| BARS.get(at)).copied().unwrap_or(' '),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_values() {
        assert_eq!(bars(&[0, 1, 50, 100]), "▁▂▅█");
        assert_eq!(bars(&[0, 0]), "▁▁");
        assert_eq!(bars(&[]), "");
        assert_eq!(bar(u64::MAX, u64::MAX), '█');
        assert_eq!(column(100, 100, 2), ['█', '█']);
        assert_eq!(column(60, 100, 2), ['█', '▂']);
        assert_eq!(column(1, 100, 2), ['▁', ' ']);
        assert_eq!((column(0, 100, 1), column(0, 0, 1)), (vec![' '], vec![' ']));
    }
}
