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

/// Where the change is with 95 % confidence: visitors are drawn again with replacement, with all their page views, because
/// those of one visitor are alike. Each visitor is a list of load times.
pub(crate) fn interval(visitors: &Arms<Vec<Vec<f64>>>) -> [f64; 2] {
    if visitors.holdout.is_empty() || visitors.mesh.is_empty() {
        return [0.0, 0.0];
    }
    let mut dice = Rng::with_seed(SEED);
    let mut drawn_mean = |visitors: &[Vec<f64>]| {
        let (mut sum, mut count) = (0.0, 0);
        for _ in 0..visitors.len() {
            let visitor = &visitors[dice.usize(..visitors.len())];
            sum += visitor.iter().sum::<f64>();
            count += visitor.len();
        }
        sum / f64::max(1.0, count as f64)
    };
    let mut changes: Vec<f64> = (0..RESAMPLES)
        .map(|_| ratio_less_one(drawn_mean(&visitors.mesh), drawn_mean(&visitors.holdout)))
        .collect();
    changes.sort_by(f64::total_cmp);
    [quantile(&changes, 0.025), quantile(&changes, 0.975)]
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
    let by_position = |sent: &[Sent]| {
        let mut means: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for view in sent {
            let (count, bytes) = means.entry(view.position.min(POSITIONS)).or_default();
            *count += 1.0;
            *bytes += view.bytes as f64;
        }
        means
    };
    let (holdout, mesh) = (by_position(&sent.holdout), by_position(&sent.mesh));
    let (mut expected, mut fetched) = (0.0, 0.0);
    for (position, (count, bytes)) in mesh {
        if let Some((of, theirs)) = holdout.get(&position) {
            expected += count * theirs / of;
            fetched += bytes;
        }
    }
    if expected > 0.0 { 1.0 - fetched / expected } else { 0.0 }
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

    #[test]
    fn an_interval_has_the_change_in_it_and_shrinks_with_more_visitors() {
        let visitors = |count: usize, times: [f64; 2]| vec![times.to_vec(); count];
        let arms = |count| Arms {
            holdout: [visitors(count, [100.0, 140.0]), visitors(count, [60.0, 100.0])].concat(),
            mesh: [visitors(count, [50.0, 70.0]), visitors(count, [30.0, 50.0])].concat(),
        };
        let [few, many] = [5, 100].map(|count| interval(&arms(count)));
        assert!(few[0] < -0.5 && few[1] > -0.5, "{few:?}");
        assert!(many[1] - many[0] < few[1] - few[0]);
        assert_eq!(many, interval(&arms(100)));
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
