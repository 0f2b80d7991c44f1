//! What an HTML page or an XML sitemap names.

use std::cell::RefCell;

use html_escape::decode_html_entities;
use lol_html::{RewriteStrSettings, element, rewrite_str, text};
use url::Url;

/// Where a page names what it is made of, apart from `srcset`.
const NAMED: [(&str, &str); 8] = [
    ("img[src]", "src"),
    ("script[src]", "src"),
    ("source[src]", "src"),
    ("video[src]", "src"),
    ("video[poster]", "poster"),
    ("audio[src]", "src"),
    ("link[rel~=stylesheet i][href], link[rel~=icon i][href], link[rel~=apple-touch-icon i][href]", "href"),
    ("link[rel~=preload i][href], link[rel~=modulepreload i][href], link[rel~=prefetch i][href]", "href"),
];
/// Where it names several sizes of the same picture.
const SETS: [(&str, &str); 2] = [("[srcset]", "srcset"), ("[imagesrcset]", "imagesrcset")];

/// What a page is made of, as far as its markup says: pictures, scripts, styles, fonts that are preloaded, media. What
/// cannot be read as HTML names nothing.
pub(super) fn in_page(html: &str, at: &Url) -> Vec<Url> {
    let mut base = None;
    let names = RefCell::new(Vec::new());
    let mut settings =
        RewriteStrSettings::new().append_element_content_handler(element!("base[href]", |element| {
            base = base.take().or(element.get_attribute("href"));
            Ok(())
        }));
    for (selector, attribute) in NAMED {
        let names = &names;
        settings = settings.append_element_content_handler(element!(selector, move |element| {
            names.borrow_mut().extend(element.get_attribute(attribute));
            Ok(())
        }));
    }
    for (selector, attribute) in SETS {
        let names = &names;
        settings = settings.append_element_content_handler(element!(selector, move |element| {
            let set = element.get_attribute(attribute).unwrap_or_default();
            names.borrow_mut().extend(candidates(&set));
            Ok(())
        }));
    }
    if rewrite_str(html, settings).is_err() {
        return Vec::new();
    }
    let base = base.and_then(|base| at.join(&decode_html_entities(&base)).ok());
    absolute(&names.into_inner(), base.as_ref().unwrap_or(at))
}

/// The pages, and further sitemaps, that a sitemap names (<https://www.sitemaps.org/protocol.html>).
pub(super) fn in_sitemap(xml: &str, at: &Url) -> Vec<Url> {
    let mut names = Vec::new();
    let mut name = String::new();
    // The text of an element can come in parts.
    let handler = text!("loc", |part| {
        name.push_str(part.as_str());
        if part.last_in_text_node() {
            names.push(std::mem::take(&mut name).trim().to_owned());
        }
        Ok(())
    });
    let settings = RewriteStrSettings::new().append_element_content_handler(handler);
    if rewrite_str(xml, settings).is_err() {
        return Vec::new();
    }
    absolute(&names, at)
}

/// The URLs of a `srcset`: each ends with white space, and a descriptor may follow up to a comma. Commas inside of a URL
/// are a part of it.
fn candidates(set: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = set;
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_ascii_whitespace() || char == ',');
        if rest.is_empty() {
            return found;
        }
        let (word, after) =
            rest.split_at(rest.find(|char: char| char.is_ascii_whitespace()).unwrap_or(rest.len()));
        let url = word.trim_end_matches(',');
        found.push(url.to_owned());
        rest = if url == word { after.split_once(',').map_or("", |(_, next)| next) } else { after };
    }
}

fn absolute(names: &[String], base: &Url) -> Vec<Url> {
    let resolved = names.iter().filter_map(|name| base.join(decode_html_entities(name).trim()).ok());
    resolved
        .map(|mut url| {
            url.set_fragment(None);
            url
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Url {
        "https://site.example/news/today.html".parse().unwrap()
    }

    fn paths(found: &[Url]) -> Vec<&str> {
        found.iter().map(|url| url.as_str().trim_start_matches("https://site.example")).collect()
    }

    #[test]
    fn a_page_names_what_it_is_made_of() {
        let html = r##"<!doctype html><link rel="stylesheet" href="/a.css?x=1&amp;y=2"><LINK REL="Shortcut ICON" href=i.ico>
            <link rel=canonical href=/news><link rel=preload as=font href=/f.woff2><script src=a.js></script><script>1</script>
            <a href=/other.html><img src="b.png#top" srcset="b1.png, b2,2.png 2x,b3.png 3x"></a>
            <picture><source srcset="c.avif 640w, c2.avif 1280w"></picture><video poster=d.jpg src=//cdn.example/d.mp4>"##;
        let mut found = in_page(html, &at());
        found.sort();
        assert_eq!(
            paths(&found),
            [
                "https://cdn.example/d.mp4",
                "/a.css?x=1&y=2",
                "/f.woff2",
                "/news/a.js",
                "/news/b.png",
                "/news/b1.png",
                "/news/b2,2.png",
                "/news/b3.png",
                "/news/c.avif",
                "/news/c2.avif",
                "/news/d.jpg",
                "/news/i.ico",
            ]
        );
    }

    #[test]
    fn a_base_moves_everything() {
        let html = "<base href=/assets/><base href=/no/><img src=a.png>";
        assert_eq!(paths(&in_page(html, &at())), ["/assets/a.png"]);
    }

    #[test]
    fn a_sitemap_names_pages() {
        let xml = "<?xml version='1.0'?><urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url>
            <loc>\n https://site.example/a?b=1&amp;c=2 </loc><lastmod>2020-01-01</lastmod></url><url><loc>/d</loc></url></urlset>";
        assert_eq!(paths(&in_sitemap(xml, &at())), ["/a?b=1&c=2", "/d"]);
    }

    #[test]
    fn what_is_neither_names_nothing() {
        assert_eq!(in_page("{\"a\": 1}", &at()), []);
        assert_eq!(in_sitemap("<svg/>", &at()), []);
    }
}
