//! New priorities that make endpoints stand in a wished order, with as few of them changed as possible.

/// `now`: in the wished order, each endpoint's priority as it is and its place in the file. Endpoints of equal priority
/// that stand next to each other keep sharing the load where the file has them in that order: equals are shown as they
/// stand there, so what was asked for would not be seen otherwise. All others come one after the other.
pub(super) fn priorities(now: &[(i64, usize)]) -> Vec<i64> {
    let runs = runs(now);
    let values = kept(&runs).and_then(|kept| filled(&runs, &kept)).unwrap_or_else(|| (1..).take(runs.len()).collect());
    values.iter().zip(&runs).flat_map(|(value, (_, length))| std::iter::repeat_n(*value, *length)).collect()
}

/// Endpoints that share one priority, and how many each time.
fn runs(now: &[(i64, usize)]) -> Vec<(i64, usize)> {
    let together = |a: &(i64, usize), b: &(i64, usize)| a.0 == b.0 && a.1 < b.1;
    now.chunk_by(together).map(|run| (run[0].0, run.len())).collect()
}

/// The runs whose priority can stay: the most endpoints such that whole numbers fit between them; of several such
/// choices one that needs no priority below 1.
fn kept(runs: &[(i64, usize)]) -> Option<Vec<usize>> {
    // What is left of a priority when the runs before it have one each.
    let room = |at: usize| i128::from(runs[at].0) - i128::try_from(at).unwrap_or(i128::MAX);
    let mut best: Vec<((usize, bool), Option<usize>)> = Vec::new();
    for (at, (_, length)) in runs.iter().enumerate() {
        let joins = (0..at).filter(|before| room(*before) <= room(at)).max_by_key(|before| best[*before].0);
        let alone = ((0, room(at) >= 1), None);
        let ((count, positive), before) = match joins {
            Some(before) if best[before].0 > alone.0 => (best[before].0, Some(before)),
            _ => alone,
        };
        best.push(((count + length, positive), before));
    }
    let mut at = (0..best.len()).max_by_key(|at| best[*at].0);
    let mut kept = Vec::new();
    while let Some(run) = at {
        kept.push(run);
        at = best[run].1;
    }
    kept.reverse();
    (!kept.is_empty()).then_some(kept)
}

/// Each other run comes right behind the one before it, and those before the first kept one right before that.
fn filled(runs: &[(i64, usize)], kept: &[usize]) -> Option<Vec<i64>> {
    let first = *kept.first()?;
    let mut values: Vec<i64> = Vec::new();
    for (at, (priority, _)) in runs.iter().enumerate() {
        let value = if kept.contains(&at) {
            *priority
        } else if at < first {
            runs[first].0.checked_sub_unsigned(u64::try_from(first - at).ok()?)?
        } else {
            values.last()?.checked_add(1)?
        };
        values.push(value);
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In the wished order as the file has it.
    fn in_file_order(now: &[i64]) -> Vec<(i64, usize)> {
        now.iter().copied().zip(0..).collect()
    }

    fn changed(now: &[(i64, usize)], then: &[i64]) -> usize {
        now.iter().zip(then).filter(|((before, _), after)| before != *after).count()
    }

    #[test]
    fn few_priorities_change_and_equals_keep_sharing() {
        for (now, then) in [
            (&[1, 2, 3][..], &[1, 2, 3][..]),
            (&[1, 1, 1], &[1, 1, 1]),
            (&[2, 1], &[2, 3]),
            (&[3, 1, 2], &[0, 1, 2]),
            (&[30, 10, 20], &[9, 10, 20]),
            (&[1, 3, 2, 4], &[1, 2, 3, 4]),
            (&[2, 1, 1], &[0, 1, 1]),
            (&[1, 2, 1], &[1, 2, 3]),
            (&[1, 5, 2, 5, 5], &[1, 2, 3, 5, 5]),
            (&[i64::MAX, 1], &[1, 2]),
            (&[i64::MAX, i64::MIN], &[1, 2]),
            (&[], &[]),
        ] {
            let now = in_file_order(now);
            let found = priorities(&now);
            assert!(changed(&now, &found) <= changed(&now, then), "{now:?}: {found:?}");
            holds(&now, &found);
        }
    }

    #[test]
    fn equals_asked_for_in_another_order_than_the_files_come_one_after_the_other() {
        for (now, then) in [
            (&[(1, 2), (1, 0), (1, 1)][..], &[0, 1, 1][..]),
            (&[(1, 1), (1, 2), (1, 0)], &[1, 1, 2]),
            (&[(1, 2), (1, 1), (1, 0)], &[1, 2, 3]),
            (&[(1, 0), (2, 2), (2, 1)], &[1, 2, 3]),
        ] {
            assert_eq!(priorities(now), then, "{now:?}");
        }
    }

    /// Whoever lists them by priority, and equals as they stand in the file, sees the wished order.
    fn holds(now: &[(i64, usize)], then: &[i64]) {
        for (old, new) in now.windows(2).zip(then.windows(2)) {
            let together = old[0].0 == old[1].0 && old[0].1 < old[1].1;
            assert!(if together { new[0] == new[1] } else { new[0] < new[1] }, "{now:?} {then:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_holds_and_no_smaller_change_does(
            priorities_now in proptest::collection::vec(1_i64..6, 6),
            places in Just((0_usize..6).collect::<Vec<_>>()).prop_shuffle(),
            count in 0_usize..6,
        ) {
            let now: Vec<(i64, usize)> = priorities_now.into_iter().zip(places).take(count).collect();
            let then = priorities(&now);
            holds(&now, &then);
            let runs = runs(&now);
            let room = |at: usize| runs[at].0 - i64::try_from(at).unwrap();
            let fits = |set: &u32| {
                let chosen: Vec<usize> = (0..runs.len()).filter(|at| set & (1 << at) != 0).collect();
                chosen.windows(2).all(|pair| room(pair[0]) <= room(pair[1]))
            };
            let size = |set: u32| (0..runs.len()).filter(|at| set & (1 << at) != 0).map(|at| runs[at].1).sum::<usize>();
            let most = (0..1_u32 << runs.len()).filter(fits).map(size).max().unwrap();
            let kept = now.len() - changed(&now, &then);
            prop_assert!(kept >= most, "{:?} {:?}", now, then);
        }
    }
}
