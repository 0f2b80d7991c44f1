//! Randomness that repeats itself: the same on every machine, and for every purpose apart from all others.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    /// An independent stream for every path of numbers: the dice of a visitor's third page do not depend on how often
    /// others were rolled, so that both arms of an experiment draw the same (common random numbers).
    pub(crate) fn new(seed: u64, stream: &[u64]) -> Self {
        // Multiplied, so that a number that comes twice does not cancel itself.
        let step = |mixed: u64, number: &u64| {
            mix(mixed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(mix(*number)))
        };
        let mixed = stream.iter().fold(mix(seed), step);
        Self(fastrand::Rng::with_seed(mixed))
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `n`, which is at least 1.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.u64(..n.max(1))
    }

    /// A number from 0 to less than 1.
    pub(crate) fn unit(&mut self) -> f64 {
        // The upper 53 bits are as many as a number of this kind can hold.
        (self.u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Of mean 0 and standard deviation 1 (Box and Muller's).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(self.exponential(2.0));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Of which the logarithm is normal. Its mean is `median * exp(sigma² / 2)`.
    pub(crate) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }
}

/// The step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws places of a list by weight, in the same time however long the list is (Walker's alias method, after Vose).
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    /// For each place, the chance to stay there, and where to go otherwise.
    places: Vec<(f64, u32)>,
}

impl Weighted {
    /// Weights need not add up to 1; negative ones and nonsense count as none. Where there is no weight at all, every
    /// place is as likely as the next.
    pub(crate) fn new(weights: &[f64]) -> Self {
        let weight_of = |weight: &f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let total: f64 = weights.iter().map(weight_of).sum();
        let mut places: Vec<(f64, u32)> = (0..weights.len()).map(|place| (1.0, place as u32)).collect();
        if total <= 0.0 {
            return Self { places };
        }
        let mut share: Vec<f64> =
            weights.iter().map(|weight| weight_of(weight) / total * weights.len() as f64).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..share.len()).partition(|place| share[*place] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), large.pop()) {
            places[less] = (share[less], more as u32);
            share[more] -= 1.0 - share[less];
            if share[more] < 1.0 { small.push(more) } else { large.push(more) }
        }
        // Rounding may leave one without weight that nobody was left to pair with.
        let heaviest =
            (0..weights.len()).max_by(|a, b| weight_of(&weights[*a]).total_cmp(&weight_of(&weights[*b])));
        for place in small {
            if weight_of(&weights[place]) == 0.0 {
                places[place] = (0.0, heaviest.unwrap_or(place) as u32);
            }
        }
        Self { places }
    }

    /// A place; 0 of an empty list.
    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let place = dice.below(self.places.len() as u64) as usize;
        let stays = dice.unit();
        match self.places.get(place) {
            Some((chance, other)) if stays >= *chance => *other as usize,
            _ => place,
        }
    }
}

/// The weights of `n` things by rank, in proportion to `rank^-exponent`; they add up to 1.
pub(crate) fn zipf_weights(n: usize, exponent: f64) -> Vec<f64> {
    let weights: Vec<f64> = (1..=n).map(|rank| libm::pow(rank as f64, -exponent)).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_do_not_meet() {
        let first = |stream: &[u64]| Dice::new(1, stream).u64();
        assert_eq!(first(&[7, 3]), first(&[7, 3]));
        let mut all: Vec<u64> =
            (0..100).flat_map(|a| (0..100).map(move |b| (a, b))).map(|(a, b)| first(&[a, b])).collect();
        all.extend((0..100).map(|a| first(&[a])));
        all.push(Dice::new(2, &[7, 3]).u64());
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn numbers_are_the_same_on_every_machine() {
        let mut dice = Dice::new(42, &[1, 2]);
        let drawn =
            [dice.lognormal(1.0, 1.0).to_bits(), dice.exponential(1.0).to_bits(), dice.unit().to_bits()];
        assert_eq!(drawn, KNOWN);
    }

    /// Found out once; another machine, or another version of a crate, must find the same.
    const KNOWN: [u64; 3] = [4_614_606_694_223_422_817, 4_603_948_452_922_203_094, 4_601_677_448_927_466_108];

    #[test]
    fn distributions_have_their_moments() {
        let mut dice = Dice::new(1, &[]);
        let n = 100_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || dice.unit()) - 0.5).abs() < 0.01);
        assert!((mean(&mut || dice.exponential(3.0)) - 3.0).abs() < 0.05);
        assert!(mean(&mut || dice.normal()).abs() < 0.02);
        assert!((mean(&mut || libm::pow(dice.normal(), 2.0)) - 1.0).abs() < 0.03);
        let below = (0..n).filter(|_| dice.lognormal(5.0, 0.7) < 5.0).count();
        assert!((below as f64 / f64::from(n) - 0.5).abs() < 0.01);
    }

    #[test]
    fn places_come_as_often_as_their_weights_say() {
        let weighted = Weighted::new(&[1.0, 0.0, 3.0, 6.0]);
        let mut dice = Dice::new(1, &[]);
        let mut counts = [0_u32; 4];
        (0..100_000).for_each(|_| counts[weighted.draw(&mut dice)] += 1);
        assert_eq!(counts[1], 0);
        for (count, share) in counts.into_iter().zip([0.1, 0.0, 0.3, 0.6]) {
            assert!((f64::from(count) / 100_000.0 - share).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn ranks_weigh_as_zipf_says() {
        let weights = zipf_weights(100, 1.0);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((weights[0] / weights[9] - 10.0).abs() < 1e-9);
    }
}
