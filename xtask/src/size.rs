//! What the client weighs, and what it may weigh.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::build;
use crate::step::output_of;
use crate::workspace::Workspace;

/// The most that all of the client may weigh, in bytes as brotli.
const MOST_IN_ALL: u64 = 60_000;
/// The most that the part may weigh that a page loads before it is idle, in bytes as brotli.
const MOST_BEFORE_IDLE: u64 = 3_000;

/// The part that a page loads before it is idle.
const BEFORE_IDLE: &str = "edgeweave.js";
/// Everything that a visitor's browser loads.
const FILES: [&str; 4] = [BEFORE_IDLE, "page.js", "edgeweave-sw.js", "engine.wasm"];

/// Node.js has both compressions built in, at the levels at which files are compressed ahead of time.
const WEIGH: &str = r#"
const { readFileSync } = require("node:fs"), zlib = require("node:zlib");
const [folder, ...files] = process.argv.slice(1);
console.log(JSON.stringify(files.map((file) => {
  const content = readFileSync(folder + "/" + file);
  const gzip = zlib.gzipSync(content, { level: 9 }).length;
  const brotli = zlib.brotliCompressSync(content, { params: { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length } }).length;
  return { file, raw: content.length, gzip, brotli };
})));"#;

/// How to print it.
#[derive(Args)]
pub(crate) struct Options {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// For people.
    pub(crate) const TABLE: Self = Self { json: false };
}

/// Bytes of a file, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Weight {
    file: String,
    raw: u64,
    gzip: u64,
    brotli: u64,
}

/// A weight with its limit.
#[derive(Serialize)]
struct Limit {
    of: &'static str,
    brotli: u64,
    most: u64,
}

/// Weighs the client as it is built from the present sources.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let node = build::client(workspace)?;
    let mut weigh = node.command();
    weigh.args(["-e", WEIGH]).arg(workspace.dist()).args(FILES);
    let weighed = output_of(&mut weigh).context("cannot weigh the client: a file lacks in client/dist")?;
    let files: Vec<Weight> = serde_json::from_str(&weighed)?;

    let total = total(&files);
    let before_idle =
        files.iter().find(|weight| weight.file == BEFORE_IDLE).map_or(0, |weight| weight.brotli);
    let limits = [
        Limit { of: "before idle", brotli: before_idle, most: MOST_BEFORE_IDLE },
        Limit { of: "in all", brotli: total.brotli, most: MOST_IN_ALL },
    ];
    if options.json {
        println!("{}", serde_json::json!({ "files": files, "total": total, "limits": limits }));
    } else {
        print_table(&files, &total);
    }

    let mut code = ExitCode::SUCCESS;
    for limit in &limits {
        let Limit { of, brotli, most } = limit;
        if brotli > most {
            eprintln!("error: the client weighs {brotli} bytes {of} as brotli, and may weigh {most}");
            code = ExitCode::FAILURE;
        } else if !options.json {
            println!("{of}: {brotli} of {most} bytes as brotli");
        }
    }
    Ok(code)
}

fn total(files: &[Weight]) -> Weight {
    files.iter().fold(Weight { file: "total".into(), ..Weight::default() }, |sum, weight| Weight {
        file: sum.file,
        raw: sum.raw + weight.raw,
        gzip: sum.gzip + weight.gzip,
        brotli: sum.brotli + weight.brotli,
    })
}

fn print_table(files: &[Weight], total: &Weight) {
    println!("{:<18} {:>9} {:>9} {:>9}", "bytes", "raw", "gzip", "brotli");
    for Weight { file, raw, gzip, brotli } in files.iter().chain([total]) {
        println!("{file:<18} {raw:>9} {gzip:>9} {brotli:>9}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_the_files() {
        let weight = |raw, brotli| Weight { file: "x".into(), raw, gzip: raw / 2, brotli };
        let sum = total(&[weight(100, 30), weight(50, 20)]);
        assert_eq!(sum, Weight { file: "total".into(), raw: 150, gzip: 75, brotli: 50 });
    }
}
