//! What a scenario says about its site.

use serde::{Deserialize, Serialize};

/// What a site is like. `docs/simulation.md` says where the defaults come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteModel {
    /// Pages.
    pub pages: usize,
    /// The exponent of the popularity of pages by rank.
    pub popularity_exponent: f64,
    /// The share of visits that begin at the front page.
    pub front_page_share: f64,
    /// Links of a page that are ever followed.
    pub links_per_page: usize,
    /// The exponent of how often a page's links are followed, by rank: the larger, the more predictable.
    pub link_exponent: f64,
    /// Styles that all pages share.
    pub styles: usize,
    /// Scripts that all pages share.
    pub scripts: usize,
    /// Fonts that all pages share.
    pub fonts: usize,
    /// Pictures that all pages share: a logo and the like.
    pub shared_pictures: usize,
    /// Pictures on a page besides the shared ones: its own, and thumbnails of pages that it links to.
    pub pictures_per_page: usize,
    /// The mean number of those that are the page's own.
    pub own_pictures_per_page: f64,
    /// The median size of a page's first and largest picture, in bytes.
    pub large_picture_bytes: u32,
    /// The median size of its other own pictures, in bytes.
    pub picture_bytes: u32,
    /// The median size of a thumbnail, in bytes.
    pub thumbnail_bytes: u32,
    /// The share of pages with a short film.
    pub media_share: f64,
    /// The median size of a film, in bytes.
    pub media_bytes: u32,
    /// The median size of a document as it is sent, in bytes.
    pub html_bytes: u32,
    /// The median time that the origin takes to make a document, in milliseconds.
    pub html_think_ms: u32,
    /// The share of pictures whose answers are not for everybody, or not to be kept.
    pub private_share: f64,
    /// The share of visits that end with their first page.
    pub bounce_share: f64,
    /// The mean number of pages in a visit.
    pub pages_per_visit: f64,
    /// The median time that a page is looked at, in seconds.
    pub dwell_s: f64,
    /// The chance that somebody comes again after a visit.
    pub return_share: f64,
    /// The median time from a visit to the next, in days.
    pub return_days: f64,
}

impl Default for SiteModel {
    fn default() -> Self {
        Self {
            pages: 100,
            popularity_exponent: 0.8,
            front_page_share: 0.33,
            links_per_page: 16,
            link_exponent: 1.1,
            styles: 3,
            scripts: 6,
            fonts: 3,
            shared_pictures: 2,
            pictures_per_page: 8,
            own_pictures_per_page: 3.4,
            large_picture_bytes: 1_100_000,
            picture_bytes: 600_000,
            thumbnail_bytes: 60_000,
            media_share: 0.03,
            media_bytes: 2_000_000,
            html_bytes: 25_000,
            html_think_ms: 120,
            private_share: 0.01,
            bounce_share: 0.37,
            pages_per_visit: 7.0,
            dwell_s: 30.0,
            return_share: 0.6,
            return_days: 1.0,
        }
    }
}

impl SiteModel {
    /// Whether every value means something; otherwise the first key that does not, and what would be right.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let shares = [
            ("site.front_page_share", self.front_page_share),
            ("site.media_share", self.media_share),
            ("site.private_share", self.private_share),
            ("site.bounce_share", self.bounce_share),
        ];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err((key, "a share is from 0 to 1"));
            }
        }
        let exponents = [
            ("site.popularity_exponent", self.popularity_exponent),
            ("site.link_exponent", self.link_exponent),
        ];
        for (key, exponent) in exponents {
            if !(0.0..=5.0).contains(&exponent) {
                return Err((key, "an exponent is from 0 to 5"));
            }
        }
        if !(1..=100_000).contains(&self.pages) {
            return Err(("site.pages", "1 to 100000 are possible"));
        }
        let own = self.own_pictures_per_page;
        if !(0.0..=self.pictures_per_page as f64).contains(&own) {
            return Err(("site.own_pictures_per_page", "from 0 to site.pictures_per_page are possible"));
        }
        let per_page = [
            ("site.links_per_page", self.links_per_page),
            ("site.styles", self.styles),
            ("site.scripts", self.scripts),
            ("site.fonts", self.fonts),
            ("site.shared_pictures", self.shared_pictures),
            ("site.pictures_per_page", self.pictures_per_page),
        ];
        for (key, count) in per_page {
            if count > 1_000 {
                return Err((key, "at most 1000 are possible"));
            }
        }
        if !(0.0..=0.95).contains(&self.return_share) {
            return Err(("site.return_share", "from 0 to 0.95 is possible"));
        }
        // Whoever does not leave with the first page sees a second.
        let least = 2.0 - self.bounce_share;
        if !(least..=1_000.0).contains(&self.pages_per_visit) {
            return Err(("site.pages_per_visit", "from 2 minus site.bounce_share to 1000 are possible"));
        }
        if !(0.1..=86_400.0).contains(&self.dwell_s) {
            return Err(("site.dwell_s", "from 0.1 to 86400 is possible"));
        }
        if !(0.0001..=366.0).contains(&self.return_days) {
            return Err(("site.return_days", "from 0.0001 to 366 is possible"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_model_is_sound_and_nonsense_is_named() {
        SiteModel::default().check().unwrap();
        let nonsense = SiteModel { bounce_share: f64::NAN, ..SiteModel::default() };
        assert_eq!(nonsense.check().unwrap_err().0, "site.bounce_share");
        let model: SiteModel = toml::from_str("pages = 7").unwrap();
        assert_eq!(model, SiteModel { pages: 7, ..SiteModel::default() });
        toml::from_str::<SiteModel>("page = 7").unwrap_err();
    }

    #[test]
    fn somebody_who_stays_sees_two_pages() {
        let site = |pages_per_visit| SiteModel { bounce_share: 0.5, pages_per_visit, ..SiteModel::default() };
        site(1.5).check().unwrap();
        assert_eq!(site(1.4).check().unwrap_err().0, "site.pages_per_visit");
    }
}
