//! Sums against plain lists of events.

use super::*;
use crate::codec::{Reader, Writer};

const T0: i64 = 1_700_000_100_000;

#[test]
fn slices_are_closed_on_the_right() {
    let mut sums = PrefixSums::<1>::default();
    sums.add(T0, [5]);
    sums.add(T0 + 1, [7]);
    assert_eq!(sums.window(Edges::default(), T0 - SLICE_MS, T0).sums, [5]);
    assert_eq!(sums.window(Edges::default(), T0, T0 + SLICE_MS).sums, [7]);
    assert_eq!(
        sums.window(Edges::default(), T0 - SLICE_MS, T0 + 1).sums,
        [12],
        "the slice that is being filled counts"
    );
}

#[test]
fn compaction_keeps_every_count_between_the_edges_it_states() {
    let mut sums = PrefixSums::<1>::default();
    let mut events = Vec::new();
    let mut edges = Edges::default();
    for step in 0..60_000_i64 {
        let t = T0 + step * 15_000;
        sums.add(t, [step % 7]);
        events.push((t, step % 7));
        if step % 240 == 0 {
            edges = Edges::at(t);
            sums.thin_out(edges);
        }
    }
    let end = T0 + 59_999 * 15_000;
    for back_ms in [
        1,
        5 * 60_000,
        6 * 3_600_000,
        2 * 86_400_000,
        5 * 86_400_000,
        10 * 86_400_000,
    ] {
        let span = sums.window(edges, end - back_ms, end);
        let counted: i64 = events
            .iter()
            .filter(|(t, _)| *t > span.from_ms && *t <= span.to_ms)
            .map(|(_, n)| n)
            .sum();
        assert_eq!(span.sums, [counted.unsigned_abs()], "{back_ms}");
        assert!(end - back_ms - span.from_ms < 15 * 60_000 && span.from_ms <= end - back_ms);
    }
    let packed = sums.packed.iter().flatten().map(Chunk::len);
    let entries: usize = packed.sum::<usize>() + sums.open.len();
    assert!(entries < 2_900 + 5_900 + 700, "{entries} slices are kept");
}

/// Against a plain list of events: in order and late, years of them, thinned out now and then.
#[test]
fn any_window_is_the_sum_of_its_events() {
    for seed in 0..20 {
        let entropy = mainstay_kernel::testing::SeededEntropy::new(seed);
        let mut sums = PrefixSums::<2>::default();
        let mut events: Vec<(i64, [i64; 2])> = Vec::new();
        let (mut now, mut edges) = (T0, Edges::default());
        let mut thinned = now;
        let new_begins = || [900_000, 30 * 86_400_000].map(|length_ms| (Begin::default(), length_ms));
        let (mut begins, mut found_again) = (new_begins(), 0);
        for step in 0..12_000 {
            let pace = [15_000, 60_000, 900_000, 20_000_000][(step / 1_000 + seed as usize) % 4];
            now += entropy.below(pace) as i64;
            let late = match entropy.below(40) {
                0 => entropy.below(600_000),
                1 => entropy.below(400_000_000),
                2 => entropy.below(20_000_000_000),
                _ => 0,
            };
            let t = now - late as i64;
            if t > edges_lost_ms(edges) {
                let all = entropy.below(5_000) as i64;
                let some = if entropy.below(3) == 0 {
                    entropy.below(9) as i64
                } else {
                    0
                };
                let change = if seed.is_multiple_of(2) {
                    [some, all]
                } else {
                    [all, all + some]
                };
                sums.add(t, change);
                events.push((t, change));
            }
            if now - thinned > 3_600_000 {
                thinned = now;
                edges = Edges::at(now);
                sums.thin_out(edges);
            }
            // A beginning that is remembered is the one that is looked up.
            for (begin, length_ms) in &mut begins {
                let from_ms = now - *length_ms;
                let looked_up = sums.window(edges, from_ms, now);
                let remembered = sums.window_after(begin, edges, from_ms, now);
                assert_eq!(remembered, looked_up, "seed {seed}, step {step}");
                found_again += u32::from(begin.0.is_some());
            }
            if step % 2_000 == 1_999 {
                check(&sums, edges, &events, now, &entropy, seed);
                let mut out = Writer::default();
                sums.encode(&mut out);
                let bytes = out.into_bytes();
                let back = PrefixSums::decode(&mut Reader::new(&bytes)).expect("what was written");
                check(&back, edges, &events, now, &entropy, seed);
                let mut again = Writer::default();
                back.encode(&mut again);
                assert_eq!(bytes, again.into_bytes(), "seed {seed}");
                sums = back;
                begins = new_begins();
            }
        }
        assert!(found_again > 10_000, "seed {seed}: only {found_again}");
    }
}

fn edges_lost_ms(edges: Edges) -> i64 {
    slot_ms(edges.lost)
}

fn check(
    sums: &PrefixSums<2>,
    edges: Edges,
    events: &[(i64, [i64; 2])],
    now: i64,
    entropy: &mainstay_kernel::testing::SeededEntropy,
    seed: u64,
) {
    for _ in 0..60 {
        let longest = [600_000, 40_000_000, 900_000_000, 34_000_000_000][entropy.below(4) as usize];
        let from = now - entropy.below(longest) as i64;
        let to = (from + entropy.below(longest) as i64).min(now);
        let span = sums.window(edges, from, to);
        let inside = |t: i64| t > span.from_ms && t <= span.to_ms;
        let counted = events.iter().filter(|(t, _)| inside(*t));
        let counted = counted.fold([0, 0], |sum, (_, one)| [sum[0] + one[0], sum[1] + one[1]]);
        assert_eq!(span.sums.map(u64::cast_signed), counted, "seed {seed}, {span:?}");
        let stretch = sums.around(edges, from, to);
        let measure = |sums: [u64; 2]| (sums[1] - sums[0]).cast_signed() % 1_000;
        let edges = std::iter::successors(Some(from), |t| Some(t + 10_000));
        let edges = edges.take_while(|t| *t <= to && longest < 1_000_000);
        let least = edges.map(|t| measure(sums.sums_at(slot_down(t)))).min();
        assert!(
            least.is_none_or(|least| sums.least(&stretch, measure) <= least),
            "seed {seed}"
        );
    }
}

#[test]
fn a_late_event_moves_every_later_sum() {
    let mut sums = PrefixSums::<2>::default();
    sums.add(T0 + 40_000, [3, 30]);
    sums.add(T0 + 20_000, [1, 10]);
    sums.add(T0 + 40_000, [-1, -10]);
    assert_eq!(sums.window(Edges::default(), T0, T0 + 20_000).sums, [1, 10]);
    assert_eq!(sums.window(Edges::default(), T0, T0 + 40_000).sums, [3, 30]);
    assert_eq!(
        sums.window(Edges::default(), T0 + 20_000, T0 + 40_000).sums,
        [2, 20]
    );
}
