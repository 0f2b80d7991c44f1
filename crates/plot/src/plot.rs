//! What all plots share: a frame, scales, axes, lines and legends, as SVG.

use maud::{Markup, html};

/// The size of a plot in its own units, which are a pixel where a card has half of a wide window.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;

/// Room for labels around the plotted area.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 26.0;

/// The left and right of the plotted area.
pub const ACROSS: (f64, f64) = (LEFT, WIDTH - RIGHT);
/// The bottom and top of the plotted area.
pub const UP: (f64, f64) = (HEIGHT - BOTTOM, TOP);

/// Labels on the axis of values, about.
const TICKS: f64 = 5.0;

/// How far labels are from what they label.
const GAP: f64 = 6.0;

/// A number as SVG wants it, to a tenth of a pixel.
pub fn px(number: f64) -> String {
    format!("{number:.1}")
}

/// From values to places.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    places: (f64, f64),
    is_log: bool,
    /// Between labelled values, where it is not for the scale to choose.
    step: Option<f64>,
}

impl Scale {
    /// A scale on which equal differences are equally long.
    pub fn linear(from: f64, to: f64, places: (f64, f64)) -> Self {
        // An empty range would be a division by zero.
        let to = if to > from { to } else { from + 1.0 };
        Self { from, to, places, is_log: false, step: None }
    }

    /// Of values greater than zero.
    pub fn log(from: f64, to: f64, places: (f64, f64)) -> Self {
        Self { is_log: true, ..Self::linear(from.log10(), to.log10(), places) }
    }

    /// Labels the multiples of `step`.
    pub fn every(self, step: f64) -> Self {
        Self { step: Some(step), ..self }
    }

    /// Where a value is; what is beyond an end is at it.
    pub fn at(&self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// Round values to label: multiples of a round step, or round digits times powers of ten on a logarithmic scale.
    pub fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let decades = self.from.floor() as i32..=self.to.ceil() as i32;
            let digits = round_digits(self.to - self.from);
            let values =
                decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)));
            return values.filter(|value| (self.from..=self.to).contains(&value.log10())).collect();
        }
        let step = self.step.unwrap_or_else(|| round_step((self.to - self.from) / TICKS));
        let count = ((self.to - self.from) / step + 1e-9) as i64;
        let first = (self.from / step).ceil() as i64;
        (first..=first + count).map(|number| number as f64 * step).filter(|value| *value <= self.to).collect()
    }
}

/// As many digits as there is room for when so many decades are labelled.
fn round_digits(decades: f64) -> &'static [f64] {
    match decades {
        ..2.2 => &[1.0, 2.0, 5.0],
        ..3.5 => &[1.0, 3.0],
        _ => &[1.0],
    }
}

/// The next of 1, 2, 5, 10 and so on.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * decade >= step);
    digit.unwrap_or(10.0) * decade
}

/// A plot with horizontal rules at labelled values.
pub fn plot(
    what: &str,
    (x, x_label): (Scale, &dyn Fn(f64) -> String),
    (y, y_label): (Scale, &dyn Fn(f64) -> String),
    content: &Markup,
) -> Markup {
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(what) {
            @for value in y.ticks() {
                (rule((ACROSS.0, y.at(value)), (ACROSS.1, y.at(value))))
                text x=(px(ACROSS.0 - GAP)) y=(px(y.at(value) + 4.0)) text-anchor="end" { (y_label(value)) }
            }
            @for value in x.ticks() {
                path class="axis" d=(format!("M{} {}v4", px(x.at(value)), px(UP.0))) {}
                text x=(px(x.at(value))) y=(px(UP.0 + 17.0)) text-anchor="middle" { (x_label(value)) }
            }
            (content)
            path class="axis" d=(format!("M{} {}H{}", px(ACROSS.0), px(UP.0), px(ACROSS.1))) {}
        }
    }
}

fn rule(from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { path class="rule" d=(path_of([from, to].into_iter())) {} }
}

/// The path through points.
pub fn path_of(points: impl Iterator<Item = (f64, f64)>) -> String {
    let parts = points
        .enumerate()
        .map(|(number, (x, y))| format!("{}{} {}", if number == 0 { 'M' } else { 'L' }, px(x), px(y)));
    parts.collect()
}

/// A line through points in one of the style's colours.
pub fn line(colour: &str, is_dashed: bool, points: impl Iterator<Item = (f64, f64)>) -> Markup {
    let class = if is_dashed { "line dashed" } else { "line" };
    html! { path class=(class) stroke=(format!("var(--{colour})")) d=(path_of(points)) {} }
}

/// A filled column between two values of the bottom scale and two of the side's.
pub fn column(colour: &str, (left, right): (f64, f64), (bottom, top): (f64, f64)) -> Markup {
    html! {
        rect fill=(format!("var(--{colour})")) x=(px(left)) y=(px(top))
            width=(px((right - left).max(0.0))) height=(px((bottom - top).max(0.0))) {}
    }
}

/// An invisible column over all of the plot's height that tells what is there.
pub fn tooltip((left, right): (f64, f64), text: &str) -> Markup {
    html! {
        rect class="hover" x=(px(left)) y=(px(UP.1)) width=(px(right - left)) height=(px(UP.0 - UP.1)) {
            title { (text) }
        }
    }
}

/// What a legend says of a colour.
pub struct Entry {
    /// Of the style's colours.
    pub colour: &'static str,
    /// Whether it is a line and no area.
    pub is_dashed: bool,
    /// What it stands for.
    pub says: &'static str,
}

impl Entry {
    /// An area of a colour.
    pub const fn new(colour: &'static str, says: &'static str) -> Self {
        Self { colour, is_dashed: false, says }
    }

    /// A dashed line of a colour.
    pub const fn dashed(colour: &'static str, says: &'static str) -> Self {
        Self { colour, is_dashed: true, says }
    }
}

/// What the colours of a plot stand for.
pub fn legend(entries: &[Entry]) -> Markup {
    html! {
        ul class="legend" {
            @for Entry { colour, is_dashed, says } in entries {
                li {
                    svg viewBox="0 0 18 10" aria-hidden="true" {
                        @if *is_dashed {
                            (line(colour, true, [(0.0, 5.0), (18.0, 5.0)].into_iter()))
                        } @else {
                            (column(colour, (0.0, 18.0), (9.0, 1.0)))
                        }
                    }
                    (says)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_ticks_and_keep_to_their_places() {
        let linear = Scale::linear(-0.3, 1.0, (0.0, 100.0));
        assert_eq!(linear.ticks().len(), 3);
        assert_eq!((linear.at(-9.0), linear.at(1.0)), (0.0, 100.0));
        let log = Scale::log(90.0, 1_100.0, (0.0, 100.0));
        assert_eq!(log.ticks(), [100.0, 200.0, 500.0, 1_000.0]);
        assert_eq!(Scale::linear(0.0, 0.0, (0.0, 100.0)).at(0.0), 0.0);
    }
}
