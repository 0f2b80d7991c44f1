//! What came of it, in numbers.
//!
//! **Invariant:** pure; intervals are drawn with a fixed seed, so that the same views give the same figures.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde::Serialize;

/// How often views are drawn again for an interval.
const RESAMPLES: usize = 2_000;
/// The seed of those draws.
const SEED: u64 = 0x1ab;
/// Positions in a visitor's history that are told apart; later ones are alike.
const POSITIONS: usize = 8;

/// Load times of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Loads {
    /// Page views.
    pub(crate) n: usize,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
}

impl Loads {
    /// Of load times in milliseconds, in any order.
    pub(crate) fn of(times: impl IntoIterator<Item = f64>) -> Self {
        let mut times: Vec<f64> = times.into_iter().collect();
        times.sort_by(f64::total_cmp);
        Self {
            n: times.len(),
            mean_ms: mean(&times),
            p50_ms: quantile(&times, 0.5),
            p95_ms: quantile(&times, 0.95),
        }
    }
}

/// One of each arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Arms<T> {
    pub(crate) holdout: T,
    pub(crate) mesh: T,
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The value that a share of sorted values does not exceed (nearest rank).
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

/// By how much the mesh's mean differs from the holdout's, as a share of that.
pub(crate) fn change(arms: &Arms<Loads>) -> f64 {
    ratio_less_one(arms.mesh.mean_ms, arms.holdout.mean_ms)
}

fn ratio_less_one(mesh: f64, holdout: f64) -> f64 {
    if holdout > 0.0 { mesh / holdout - 1.0 } else { 0.0 }
}

/// A page view of one visitor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How many pages the visitor had seen before.
    pub(crate) position: usize,
    /// How long it took, in milliseconds.
    pub(crate) ms: f64,
}

/// All page views of one visitor.
pub(crate) type History = Vec<Load>;

/// What the mesh changes of page loads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    /// The mesh's mean over the holdout's, less one.
    pub(crate) change_mean: f64,
    /// Where that is with 95 % confidence.
    pub(crate) ci95: [f64; 2],
}

impl Change {
    /// As `estimate` has it. For the interval, visitors are drawn again with replacement, with all their page views, because
    /// those of one visitor are alike.
    pub(crate) fn of(visitors: &Arms<Vec<History>>, estimate: fn(&Arms<Vec<&History>>) -> f64) -> Self {
        let mut dice = Rng::with_seed(SEED);
        let mut changes: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let holdout = drawn_again(&visitors.holdout, &mut dice);
                let mesh = drawn_again(&visitors.mesh, &mut dice);
                estimate(&Arms { holdout, mesh })
            })
            .collect();
        changes.sort_by(f64::total_cmp);
        let all = Arms { holdout: visitors.holdout.iter().collect(), mesh: visitors.mesh.iter().collect() };
        Self { change_mean: estimate(&all), ci95: [quantile(&changes, 0.025), quantile(&changes, 0.975)] }
    }
}

fn drawn_again<'a>(visitors: &'a [History], dice: &mut Rng) -> Vec<&'a History> {
    visitors.iter().filter_map(|_| dice.choice(visitors)).collect()
}

/// The change from one arm's mean to the other's.
pub(crate) fn of_all(visitors: &Arms<Vec<&History>>) -> f64 {
    let mean = |visitors: &[&History]| {
        mean(&visitors.iter().flat_map(|views| views.iter().map(|load| load.ms)).collect::<Vec<_>>())
    };
    ratio_less_one(mean(&visitors.mesh), mean(&visitors.holdout))
}

/// The change if both arms had the same share of page views at each position: chance gives one more of the first ones, which
/// take longest and are alike in both. That is post-stratification, with both arms' shares together as weights; positions
/// that only one arm has do not count.
///
/// Source: Miratrix, Sekhon and Yu, "Adjusting treatment effect estimates by post-stratification in randomized experiments",
/// Journal of the Royal Statistical Society B 75 (2013).
pub(crate) fn by_position(visitors: &Arms<Vec<&History>>) -> f64 {
    let times = |visitors: &[&History]| {
        let loads = visitors.iter().flat_map(|views| views.iter());
        means_by_position(loads.map(|load| (load.position, load.ms)))
    };
    let both = Arms { holdout: times(&visitors.holdout), mesh: times(&visitors.mesh) };
    compared(&both, |holdout, mesh| holdout + mesh)
}

/// The count and the mean of the values at each position.
type Means = BTreeMap<usize, (f64, f64)>;

/// The mesh's means over the holdout's, less one, at the positions that both have. `weight` says how much a position counts,
/// of the counts in the holdout and with the mesh.
fn compared(arms: &Arms<Means>, weight: fn(f64, f64) -> f64) -> f64 {
    let (mut holdout, mut mesh) = (0.0, 0.0);
    for (position, (count, mean)) in &arms.mesh {
        if let Some((others, theirs)) = arms.holdout.get(position) {
            mesh += weight(*others, *count) * mean;
            holdout += weight(*others, *count) * theirs;
        }
    }
    ratio_less_one(mesh, holdout)
}

fn means_by_position(values: impl IntoIterator<Item = (usize, f64)>) -> Means {
    let mut found = Means::new();
    for (position, value) in values {
        let (count, mean) = found.entry(position.min(POSITIONS)).or_default();
        *count += 1.0;
        *mean += (value - *mean) / *count;
    }
    found
}

/// What the origin sent for a page view that a worker controlled from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// How many pages the visitor had seen before.
    pub(crate) position: usize,
    /// Bytes of everything but documents.
    pub(crate) bytes: u64,
}

/// The share of the holdout's origin bytes that the mesh did not fetch from the origin: for each position in a visitor's
/// history the means of both arms are compared, and positions count as often as the mesh has views there.
pub(crate) fn offload(sent: &Arms<Vec<Sent>>) -> f64 {
    let means = |sent: &[Sent]| means_by_position(sent.iter().map(|view| (view.position, view.bytes as f64)));
    let both = Arms { holdout: means(&sent.holdout), mesh: means(&sent.mesh) };
    // Not negated: what is nothing would print as -0.0.
    0.0 - compared(&both, |_, mesh| mesh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_have_a_mean_a_median_and_a_tail() {
        let loads = Loads::of((1..=100).rev().map(f64::from));
        assert_eq!(loads, Loads { n: 100, mean_ms: 50.5, p50_ms: 50.0, p95_ms: 95.0 });
        assert_eq!(Loads::of([]), Loads::default());
    }

    fn history(times: &[f64]) -> History {
        times.iter().enumerate().map(|(position, ms)| Load { position, ms: *ms }).collect()
    }

    #[test]
    fn an_interval_has_the_change_in_it_and_shrinks_with_more_visitors() {
        let visitors = |count: usize, times: [f64; 2]| vec![history(&times); count];
        let arms = |count| Arms {
            holdout: [visitors(count, [100.0, 140.0]), visitors(count, [60.0, 100.0])].concat(),
            mesh: [visitors(count, [50.0, 70.0]), visitors(count, [30.0, 50.0])].concat(),
        };
        for estimate in [of_all, by_position] {
            let [few, many] = [5, 100].map(|count| Change::of(&arms(count), estimate));
            assert_eq!((few.change_mean, many.change_mean), (-0.5, -0.5));
            let [few_low, few_high] = few.ci95;
            assert!(few_low < -0.5 && few_high > -0.5, "{few:?}");
            assert!(many.ci95[1] - many.ci95[0] < few_high - few_low);
            assert_eq!(many, Change::of(&arms(100), estimate));
            assert_eq!(Change::of(&Arms::default(), estimate), Change { change_mean: 0.0, ci95: [0.0; 2] });
        }
    }

    #[test]
    fn chance_that_gives_an_arm_more_first_pages_changes_nothing_by_position() {
        // The mesh halves second pages. More of its visitors leave after the first.
        let arms = Arms {
            holdout: vec![history(&[100.0, 60.0]), history(&[100.0, 60.0]), history(&[100.0])],
            mesh: vec![
                history(&[100.0, 30.0]),
                history(&[100.0]),
                history(&[100.0]),
                history(&[100.0, 30.0, 9.0]),
            ],
        };
        let all = Arms { holdout: arms.holdout.iter().collect(), mesh: arms.mesh.iter().collect() };
        assert!(
            (by_position(&all) - ((7.0 * 100.0 + 4.0 * 30.0) / (7.0 * 100.0 + 4.0 * 60.0) - 1.0)).abs()
                < 1e-9
        );
        assert!((of_all(&all) - ((469.0 / 7.0) / 84.0 - 1.0)).abs() < 1e-9);
    }

    #[test]
    fn offload_compares_what_is_in_the_same_position() {
        let sent = |position, bytes| Sent { position, bytes };
        let arms = Arms {
            holdout: vec![sent(1, 100), sent(1, 300), sent(2, 40), sent(9, 5)],
            // Two of the views in the first position, and one that the holdout has nothing to compare with.
            mesh: vec![sent(1, 100), sent(1, 0), sent(2, 10), sent(3, 1000)],
        };
        assert!((offload(&arms) - (1.0 - 110.0 / 440.0)).abs() < 1e-9);
        assert_eq!(offload(&Arms::default()), 0.0);
    }
}
