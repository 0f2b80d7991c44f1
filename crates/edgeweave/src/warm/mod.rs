//! `edgeweave warm`: has a node admit what a site's pages need, before visitors come.

mod api;
mod found;
mod reader;

use std::collections::BTreeSet;
use std::io::IsTerminal;

use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use url::Url;

use self::api::{Api, Outcome, Warmed};
use self::reader::{Reader, Thing};
use crate::failure::Failure;

/// URLs that the node is asked for at a time: twice as many as it fetches, so that it never waits for the next.
const AT_A_TIME: usize = 16;
/// Pages and sitemaps that are read.
const MOST_READ: usize = 10_000;

/// What to admit, and who is asked.
#[derive(Args)]
pub(crate) struct Options {
    /// The site's name, or `host[:port]` of one of its origins.
    site: String,
    /// URLs or paths: assets, pages (HTML), which stand for the assets of the site that they name, and sitemaps
    /// (XML), which stand for the pages that they name.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Where the node answers its operator.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    node: Url,
    /// The token of the node's API, if it has one.
    #[arg(long, value_name = "TOKEN", env = "EDGEWEAVE_API_TOKEN", hide_env_values = true)]
    api_token: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Printed {
    admitted: usize,
    refused: usize,
    urls: Vec<Warmed>,
}

/// Has it admitted.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let warmed = crate::runtime()?.block_on(warm(options))?;
    let is_admitted = |warmed: &&Warmed| warmed.outcome == Outcome::Admitted;
    let admitted = warmed.iter().filter(is_admitted).count();
    let printed = Printed { admitted, refused: warmed.len() - admitted, urls: warmed };
    if options.json {
        let line = serde_json::to_string(&printed).map_err(|error| Failure::other(error.to_string()))?;
        println!("{line}");
        return Ok(());
    }
    for Warmed { url, outcome } in &printed.urls {
        if let Outcome::Refused { reason, meaning } = outcome {
            println!("refused   {url}\n          {reason}: {meaning}");
        }
    }
    println!("{} admitted, {} refused", printed.admitted, printed.refused);
    Ok(())
}

async fn warm(options: &Options) -> Result<Vec<Warmed>, Failure> {
    let api = Api::new(&options.node, &options.site, options.api_token.as_deref())?;
    let reader = Reader::new(api.origins().await?)?;
    let assets = assets(&reader, &options.urls).await?;
    let bar = bar("{msg} {wide_bar} {pos} of {len}, {eta} left");
    bar.set_length(assets.len() as u64);
    bar.set_message("the node fetches");
    let mut warmed = Vec::with_capacity(assets.len());
    let mut answers =
        stream::iter(&assets).map(|asset| api.warm(std::slice::from_ref(asset))).buffered(AT_A_TIME);
    while let Some(answer) = answers.next().await {
        warmed.extend(answer?);
        bar.set_position(warmed.len() as u64);
    }
    bar.finish_and_clear();
    Ok(warmed)
}

/// What the URLs stand for, each once, in the order in which it is found.
async fn assets(reader: &Reader, urls: &[String]) -> Result<Vec<String>, Failure> {
    let bar = bar("{spinner} {msg}");
    let mut to_read: Vec<Url> = Vec::new();
    for url in urls.iter().rev() {
        to_read.push(reader.resolve(url)?);
    }
    let (mut read, mut found) = (BTreeSet::new(), BTreeSet::new());
    let mut assets = Vec::new();
    let mut take = |url: Url| {
        if found.insert(url.clone()) {
            assets.push(url.to_string());
        }
    };
    while let Some(url) = to_read.pop() {
        if !read.insert(url.clone()) {
            continue;
        }
        if read.len() > MOST_READ {
            let way_out = "give fewer at a time";
            return Err(
                Failure::other(format!("these are more than {MOST_READ} pages")).with_way_out(way_out)
            );
        }
        bar.set_message(format!("{} read; now {url}", read.len() - 1));
        bar.tick();
        match reader.read(&url).await {
            Thing::Page(assets) => {
                assets.into_iter().filter(|asset| reader.is_own(asset)).for_each(&mut take);
            }
            // The first is read first.
            Thing::Sitemap(pages) => {
                to_read.extend(pages.into_iter().rev().filter(|page| reader.is_own(page)));
            }
            // If it cannot be had, the node says why.
            Thing::Asset => take(url),
        }
    }
    bar.finish_and_clear();
    Ok(assets)
}

/// Progress for people at a terminal.
fn bar(template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
