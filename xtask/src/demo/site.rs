//! The demo's site: four pages of photographs, written into the target folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::demo::pictures::{Colour, Scene, jpeg};
use crate::stamp::Stamp;
use crate::step::Step;
use crate::workspace::Workspace;

/// A page: its file, its title, a sentence, and the colours of its pictures.
struct Page {
    file: &'static str,
    title: &'static str,
    says: &'static str,
    colours: [Colour; 3],
    pictures: [&'static str; 3],
}

impl Page {
    /// Its path, as links give it.
    fn path(&self) -> String {
        format!("/{}", if self.file == "index.html" { "" } else { self.file })
    }
}

const PAGES: [Page; 4] = [
    Page {
        file: "index.html",
        title: "First light",
        says: "Valleys before anyone is up.",
        colours: [[94.0, 140.0, 190.0], [252.0, 216.0, 180.0], [40.0, 60.0, 66.0]],
        pictures: ["valley", "mist", "summit"],
    },
    Page {
        file: "coast.html",
        title: "The coast",
        says: "Where the ridges walk into the sea.",
        colours: [[70.0, 130.0, 170.0], [196.0, 226.0, 230.0], [16.0, 72.0, 92.0]],
        pictures: ["cliffs", "bay", "islands"],
    },
    Page {
        file: "desert.html",
        title: "The desert",
        says: "Sand keeps no footprints for long.",
        colours: [[120.0, 150.0, 200.0], [250.0, 206.0, 150.0], [140.0, 66.0, 36.0]],
        pictures: ["dunes", "mesa", "canyon"],
    },
    Page {
        file: "night.html",
        title: "After dark",
        says: "The hills are still there.",
        colours: [[10.0, 14.0, 40.0], [70.0, 60.0, 110.0], [6.0, 8.0, 18.0]],
        pictures: ["dusk", "moon", "stars"],
    },
];

/// Widths of a page's pictures in pixels, and how strong their grain is.
const PICTURES: [(u16, f32); 3] = [(1440, 26.0), (1200, 16.0), (960, 30.0)];

const STYLE: &str = "\
body { margin: 0; font: 18px/1.5 Georgia, serif; background: #faf8f4; color: #222; }
header, main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; gap: 1.5rem; align-items: center; }
header a { color: inherit; }
figure { margin: 0 0 2rem; }
img { width: 100%; height: auto; border-radius: 4px; }
figcaption { color: #777; font-style: italic; }
";

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 32" width="48" height="32"><path d="M0 32 16 6l9 14 7-9 16 21z" fill="#47637a"/><circle cx="36" cy="7" r="5" fill="#e8b04a"/></svg>"##;

const SCRIPT: &str = "\
// Names the picture that is in the middle of the window.
addEventListener('scroll', () => {
  const middle = [...document.images].find((image) => image.getBoundingClientRect().bottom > innerHeight / 2);
  if (middle) document.title = `${document.body.dataset.title}: ${middle.alt}`;
}, { passive: true });
";

/// Writes the site; returns its folder.
pub(crate) fn write(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.kept("demo-site");
    let sources = ["site.rs", "pictures.rs"].map(|file| workspace.root.join("xtask/src/demo").join(file));
    let stamp = Stamp::of(workspace, "demo-site", &sources, &[])?;
    if stamp.is_current(std::slice::from_ref(&folder)) {
        return Ok(folder);
    }
    let step = Step::begin("draw the demo site's pictures");
    for name in ["photos", "assets"] {
        fs::create_dir_all(folder.join(name))?;
    }
    for (file, content) in [("gallery.css", STYLE), ("gallery.js", SCRIPT), ("logo.svg", LOGO)] {
        save(&folder.join("assets").join(file), content.as_bytes())?;
    }
    for (number, page) in PAGES.iter().enumerate() {
        save(&folder.join(page.file), html(page).as_bytes())?;
        for (index, (name, (width, grain))) in page.pictures.iter().zip(PICTURES).enumerate() {
            step.say(*name);
            let seed = (number * PICTURES.len() + index) as u32 * 101 + 7;
            let scene = Scene { width, seed, colours: page.colours, grain };
            save(&folder.join(format!("photos/{name}.jpg")), &jpeg(&scene)?)?;
        }
    }
    step.done();
    stamp.write()?;
    Ok(folder)
}

fn html(page: &Page) -> String {
    let links: String =
        PAGES.iter().map(|page| format!("<a href=\"{}\">{}</a>\n", page.path(), page.title)).collect();
    let figures: String = page
        .pictures
        .iter()
        .zip(PICTURES)
        .map(|(name, (width, _))| {
            let height = width / 3 * 2;
            format!(
                "<figure><img src=\"/photos/{name}.jpg\" alt=\"{name}\" width=\"{width}\" height=\"{height}\">\
                 <figcaption>{name}</figcaption></figure>\n"
            )
        })
        .collect();
    let Page { title, says, .. } = page;
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<link rel=\"icon\" href=\"/assets/logo.svg\">\n\
         <link rel=\"stylesheet\" href=\"/assets/gallery.css\">\n<script src=\"/assets/gallery.js\" defer></script>\n\
         </head>\n<body data-title=\"{title}\">\n<header><img src=\"/assets/logo.svg\" alt=\"\" style=\"width:48px\">\n\
         {links}</header>\n<main>\n<h1>{title}</h1>\n<p>{says}</p>\n{figures}</main>\n</body>\n</html>\n"
    )
}

fn save(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
