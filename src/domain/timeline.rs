//! When a stream's pieces went down, in few enough marks to be kept with its record however long it was.
//!
//! A mark is left out only where the time from the mark before it to the mark after it is at most `step`; where marks
//! become too many, `step` grows. So every silence longer than `step` stands between two marks that are both there, and
//! two marks further apart than that have nothing between them.

/// What a record keeps at most.
pub const MOST: usize = 120;
/// What is left when there were too many, so that thinning is rare.
const ENOUGH: usize = 80;
/// The first `step` in milliseconds: nobody sees less.
const FIRST_STEP: u64 = 10;

/// Milliseconds since the request began, and bytes so far.
pub type Mark = [u64; 2];

#[derive(Clone, Debug, Default)]
pub struct Timeline {
    marks: Vec<Mark>,
    step: u64,
    bytes: u64,
}

impl Timeline {
    /// That many more bytes went down. Times do not go back.
    pub fn pass(&mut self, at_ms: u64, bytes: usize) {
        self.bytes += bytes as u64;
        let mark = [at_ms, self.bytes];
        if let [.., before, last] = &mut *self.marks
            && at_ms.saturating_sub(before[0]) <= self.step
        {
            *last = mark;
            return;
        }
        if self.marks.len() == MOST {
            self.thin();
        }
        self.marks.push(mark);
    }

    /// `step` in milliseconds and the marks; `None` for what went down all at once.
    pub fn into_marks(self) -> Option<(u64, Vec<Mark>)> {
        (self.marks.len() > 1).then_some((self.step, self.marks))
    }

    fn thin(&mut self) {
        while self.marks.len() > ENOUGH {
            self.step = FIRST_STEP.max(self.step + self.step / 2);
            let mut kept = 0;
            for at in 1..self.marks.len() {
                let next = self.marks.get(at + 1);
                let is_between = next.is_some_and(|next| next[0] - self.marks[kept][0] <= self.step);
                if !is_between {
                    kept += 1;
                    self.marks[kept] = self.marks[at];
                }
            }
            self.marks.truncate(kept + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The timeline of pieces of one byte at these times.
    fn of(times: &[u64]) -> (Vec<Mark>, u64) {
        let mut timeline = Timeline::default();
        for at in times {
            timeline.pass(*at, 1);
        }
        (timeline.marks, timeline.step)
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        assert_eq!(of(&[]).0, Vec::<Mark>::new());
        assert_eq!(of(&[7]).0, [[7, 1]]);
        assert_eq!(of(&[7, 7, 7, 9]).0, [[7, 1], [7, 3], [9, 4]], "what cannot be told apart is one mark");
        let times: Vec<u64> = (0..MOST as u64).map(|n| n * 40).collect();
        assert_eq!(of(&times).0, (1..).zip(&times).map(|(n, at)| [*at, n]).collect::<Vec<_>>());
    }

    #[test]
    fn the_pauses_of_a_long_stream_stay() {
        // Ten minutes of an event each 20 ms, and three pauses.
        let mut at = 0;
        let mut times = Vec::new();
        for n in 0..30_000 {
            at += match n {
                5_000 => 60_000,
                20_000 => 15_000,
                29_990 => 20_000,
                _ => 20,
            };
            times.push(at);
        }
        let (marks, step) = of(&times);
        assert!(marks.len() <= MOST && step < 10_000, "{} marks, {step} ms", marks.len());
        let pauses: Vec<u64> =
            marks.windows(2).map(|pair| pair[1][0] - pair[0][0]).filter(|pause| *pause > 10_000).collect();
        assert_eq!(pauses, [60_000, 15_000, 20_000]);
        assert_eq!((marks[0], marks[marks.len() - 1]), ([20, 1], [at, 30_000]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_longer_than_the_step_is_there_to_the_millisecond(
            pauses in prop::collection::vec(prop_oneof![0u64..3, 0u64..100, 0u64..20_000], 0..2000),
        ) {
            let times: Vec<u64> = pauses.iter().scan(0, |at, pause| { *at += pause; Some(*at) }).collect();
            let (marks, step) = of(&times);
            prop_assert!(marks.len() <= MOST);
            prop_assert!(marks.is_sorted());
            for pair in times.windows(2).filter(|pair| pair[1] - pair[0] > step) {
                prop_assert!(marks.windows(2).any(|kept| kept[0][0] == pair[0] && kept[1][0] == pair[1]), "{pair:?}");
            }
            for kept in marks.windows(2).filter(|kept| kept[1][0] - kept[0][0] > step) {
                prop_assert!(times.windows(2).any(|pair| pair == [kept[0][0], kept[1][0]]), "{kept:?}");
            }
            prop_assert_eq!(marks.last().map(|last| last[1]), (!times.is_empty()).then_some(times.len() as u64));
        }
    }
}
