//! The world: whose pages became faster.

use edgeweave_sim::{CountryDetail, Detail};
use maud::{Markup, html};

use edgeweave_plot::plot::{path_of, px};
use edgeweave_plot::words::{change, coloured_change, count, percent, time};

/// Land on a grid of [`STEP`] degrees from the north-west: the rows are parallels, the first at [`NORTH`]. From Natural
/// Earth's 1:110m land, which is in the public domain.
const LAND: &str = include_str!("land.txt");
const STEP: f64 = 2.5;
const NORTH: f64 = 78.75;

/// What the map shows; nobody is further south.
const TOP: f64 = 80.0;
const BOTTOM: f64 = -58.0;

/// Pixels of a degree: the map is equirectangular.
const DEGREE: f64 = 3.0;

/// Between lines of the graticule, in degrees.
const GRATICULE: i32 = 30;

/// The radius of the country with most page views, in pixels, and the least of any.
const LARGEST: f64 = 30.0;
const SMALLEST: f64 = 2.0;

/// A change of so much, either way, has the full colour.
const FULL_COLOUR: f64 = 0.2;

/// Countries in the table.
const ROWS: usize = 10;

/// The map, and the countries with most page views.
pub(super) fn countries(detail: &Detail) -> Markup {
    html! {
        section class="wide" {
            h2 { "Countries" }
            p class="quiet" { "Area by page views, colour by the change of the mean page load" }
            figure { (map(&detail.countries)) (colours()) }
            (table(&detail.countries))
        }
    }
}

fn place(latitude: f64, longitude: f64) -> (f64, f64) {
    ((longitude + 180.0) * DEGREE, (TOP - latitude) * DEGREE)
}

fn map(countries: &[CountryDetail]) -> Markup {
    let (width, height) = place(BOTTOM, 180.0);
    let most = countries.first().map_or(1, |country| country.page_views.max(1));
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="Countries by page views and change" {
            (graticule())
            path class="land" stroke-width=(px(STEP * DEGREE * 0.72)) d=(land()) {}
            // Large ones come first, so that small ones are on top.
            @for country in countries {
                @let (x, y) = place(country.latitude, country.longitude);
                @let radius = LARGEST * (country.page_views as f64 / most as f64).sqrt();
                circle class="country" cx=(px(x)) cy=(px(y)) r=(px(radius.max(SMALLEST)))
                    style=(format!("fill: {}", colour(country.change()))) {
                    title { (tooltip(country)) }
                }
            }
            @for country in countries.iter().take(ROWS) {
                @let (x, y) = place(country.latitude, country.longitude);
                text class="mark" x=(px(x)) y=(px(y + 4.0)) text-anchor="middle" pointer-events="none" {
                    (country.code)
                }
            }
        }
    }
}

/// Meridians and parallels; the equator and the meridian of Greenwich are stronger.
fn graticule() -> Markup {
    let lines = |from: i32, to: i32| (from..=to).filter(|degrees| degrees % GRATICULE == 0);
    let class = |degrees: i32| if degrees == 0 { "axis" } else { "rule" };
    html! {
        @for longitude in lines(-180, 180) {
            @let ends = [TOP, BOTTOM].map(|latitude| place(latitude, longitude.into()));
            path class=(class(longitude)) stroke-width="0.6" d=(path_of(ends.into_iter())) {}
        }
        @for latitude in lines(BOTTOM as i32, TOP as i32) {
            @let ends = [-180.0, 180.0].map(|longitude| place(latitude.into(), longitude));
            path class=(class(latitude)) stroke-width="0.6" d=(path_of(ends.into_iter())) {}
            text x="4" y=(px(ends[0].1 - 3.0)) { (degrees(latitude)) }
        }
    }
}

fn degrees(latitude: i32) -> String {
    match latitude {
        0 => "0°".into(),
        north if north > 0 => format!("{north}° N"),
        south => format!("{}° S", -south),
    }
}

/// A dot, which is a line without length, wherever there is land.
fn land() -> String {
    let dots = LAND.lines().enumerate().flat_map(|(row, line)| {
        let latitude = NORTH - STEP * row as f64;
        let land = line.bytes().enumerate().filter(|(_, cell)| *cell == b'#');
        land.map(move |(column, _)| place(latitude, STEP * (column as f64 + 0.5) - 180.0))
    });
    dots.map(|(x, y)| format!("M{} {}h0", px(x), px(y))).collect()
}

/// From the colour of what became slower over an even grey to that of what became faster.
fn colour(change: f64) -> String {
    let strength = (change.abs() / FULL_COLOUR).min(1.0) * 100.0;
    let end = if change < 0.0 { "mesh" } else { "bad" };
    format!("color-mix(in oklab, var(--{end}) {strength:.0}%, var(--even))")
}

/// Which colour is which change.
fn colours() -> Markup {
    const SHOWN: [f64; 5] = [-FULL_COLOUR, -FULL_COLOUR / 2.0, 0.0, FULL_COLOUR / 2.0, FULL_COLOUR];
    html! {
        ul class="legend" {
            @for shown in SHOWN {
                li {
                    svg viewBox="0 0 18 10" aria-hidden="true" {
                        circle cx="9" cy="5" r="5" style=(format!("fill: {}", colour(shown))) {}
                    }
                    (change(shown))
                    @if shown == SHOWN[0] { " or less" }
                    @if shown == FULL_COLOUR { " or more" }
                }
            }
        }
    }
}

fn tooltip(country: &CountryDetail) -> String {
    format!(
        "{}: {} page views\n{} without the mesh, {} with it ({})\noffload {}",
        country.name,
        count(country.page_views),
        time(country.mean_ms.holdout),
        time(country.mean_ms.mesh),
        change(country.change()),
        percent(country.offload())
    )
}

fn table(countries: &[CountryDetail]) -> Markup {
    html! {
        table {
            tr {
                th { "The largest" } th { "page views" } th { "mean page load without the mesh" } th { "with it" }
                th { "change" } th { "offload of all requests" }
            }
            @for country in countries.iter().take(ROWS) {
                tr {
                    td { (country.name) }
                    td { (count(country.page_views)) }
                    td { (time(country.mean_ms.holdout)) }
                    td { (time(country.mean_ms.mesh)) }
                    td { (coloured_change(country.change())) }
                    td { (percent(country.offload())) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_world() {
        let is_land = |latitude: f64, longitude: f64| {
            let row = ((NORTH - latitude) / STEP).round() as usize;
            let column = ((longitude + 180.0) / STEP) as usize;
            LAND.lines().nth(row).and_then(|line| line.as_bytes().get(column)) == Some(&b'#')
        };
        assert!(is_land(48.0, 10.0) && is_land(-25.0, 135.0) && is_land(40.0, -100.0));
        assert!(!is_land(0.0, -30.0) && !is_land(40.0, -160.0) && !is_land(-30.0, 80.0));
    }
}
