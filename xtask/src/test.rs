//! Every check and every test, one after the other. A step that fails does not keep the others from being run; the
//! last line is `N passed, N failed`, summed over all test runners.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};
use crate::setup::{self, Node, Part};
use crate::size;
use crate::step::shown;
use crate::types;
use crate::workspace::{Workspace, cargo};

/// What test runners counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// A step that was taken; no counts when it could not be finished.
struct Taken {
    name: &'static str,
    took: Duration,
    counts: Option<Counts>,
}

impl Taken {
    fn is_good(&self) -> bool {
        self.counts.is_some_and(|counts| counts.failed == 0)
    }
}

/// Runs everything.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let node = setup::node(workspace)?;
    for part in Part::ALL {
        setup::packages(workspace, &node, part)?;
    }
    let (chromium, firefox) = (setup::chromium()?, setup::firefox()?);
    let nothing = |()| Counts::default();

    let mut taken = Vec::new();
    let mut take = |name, step: &mut dyn FnMut() -> Result<Counts>| {
        println!("\n── {name}");
        let began = Instant::now();
        let counts = step().inspect_err(|error| println!("FAILED: {error:#}")).ok();
        let step = Taken { name, took: began.elapsed(), counts };
        let good = step.is_good();
        taken.push(step);
        good
    };

    take("generated types", &mut || types::run(workspace, &types::Options::CHECK).map(nothing));
    take("format", &mut || checked(&mut cargo_in(workspace, &["fmt", "--all", "--check"])));
    let built = take("build", &mut || build::command(workspace, Profile::Dev).map(|_| Counts::default()));
    if built {
        take("clippy", &mut || {
            let words = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            checked(&mut cargo_in(workspace, &words))
        });
        take("Rust tests", &mut || {
            let mut tests = cargo_in(workspace, &["test", "--workspace", "--no-fail-fast"]);
            // The lab's test sends real browsers over networks that it makes, which not every machine lets it.
            match setup::lab_tools().and_then(|()| setup::lab_allowed()) {
                Ok(()) => drop(tests.args(["--", "--include-ignored"])),
                Err(why) => println!("the lab's test is skipped: {why:#}"),
            }
            tests.env("CHROMIUM", &chromium).env("FIREFOX", &firefox).env("NODE", &node.node);
            counted(&mut tests, cargo_counts)
        });
        take("client checks", &mut || checked(&mut npm_run(workspace, &node, Part::Client, "check")));
        take("dashboard checks", &mut || checked(&mut npm_run(workspace, &node, Part::Dashboard, "check")));
        take("client weight", &mut || match size::run(workspace, &size::Options::TABLE)? {
            code if code == ExitCode::SUCCESS => Ok(Counts::default()),
            _ => bail!("the client is too heavy"),
        });
        for (name, part) in [("client tests", Part::Client), ("dashboard tests", Part::Dashboard)] {
            take(name, &mut || counted(&mut npm_run(workspace, &node, part, "test"), client_counts));
        }
        take("browser tests", &mut || {
            let mut run = npm_run(workspace, &node, Part::Client, "test:browser");
            counted(run.env("CHROMIUM", &chromium).env("FIREFOX", &firefox), client_counts)
        });
    }
    Ok(conclude(&taken, built))
}

/// Says what came of it.
fn conclude(taken: &[Taken], built: bool) -> ExitCode {
    println!();
    for step in taken {
        println!(
            "{} {} ({:.1} s)",
            if step.is_good() { "✓" } else { "✗" },
            step.name,
            step.took.as_secs_f64()
        );
    }
    if !built {
        println!("nothing else was run, because the build failed");
    }
    let all = taken.iter().filter_map(|step| step.counts).fold(Counts::default(), Counts::plus);
    if all.skipped > 0 {
        println!("{} skipped", all.skipped);
    }
    println!("{} passed, {} failed", all.passed, all.failed);
    if taken.iter().all(Taken::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cargo_in(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command.args(words).current_dir(&workspace.root);
    command
}

fn npm_run(workspace: &Workspace, node: &Node, part: Part, script: &str) -> Command {
    let mut command = node.npm(workspace, part);
    command.args(["run", "--silent", script]);
    command
}

/// Runs a check: it passes or it does not.
fn checked(command: &mut Command) -> Result<Counts> {
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{}: {status}", shown(command));
    }
    Ok(Counts::default())
}

/// Runs tests, shows what they say, and counts. A runner that fails without a failed test could not run them at all.
fn counted(command: &mut Command, count: fn(&str) -> Counts) -> Result<Counts> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().context("there is no output")?).lines() {
        let line = line?;
        println!("{line}");
        counts = counts.plus(count(&line));
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        bail!("{}: {status}", shown(command));
    }
    if counts == Counts::default() {
        bail!("{} ran no test", shown(command));
    }
    Ok(counts)
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Adds up `3 passed`, `1 failed` and the like, wherever they stand in a line.
    fn read(line: &str) -> Self {
        let mut counts = Self::default();
        let words: Vec<_> = line.split([' ', ';', ',', '|', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => counts.passed += number,
                "failed" => counts.failed += number,
                "ignored" | "skipped" | "todo" => counts.skipped += number,
                _ => {}
            }
        }
        counts
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn cargo_counts(line: &str) -> Counts {
    line.strip_prefix("test result: ").map(Counts::read).unwrap_or_default()
}

/// `      Tests  1 failed | 2 passed (3)`, as vitest writes it, with or without colours.
fn client_counts(line: &str) -> Counts {
    let plain = without_colours(line);
    plain.trim_start().strip_prefix("Tests ").map(Counts::read).unwrap_or_default()
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_test_runners_say_is_counted() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(cargo_counts(line), Counts { passed: 3, failed: 1, skipped: 2 });
        assert_eq!(cargo_counts("test it::passed ... ok"), Counts::default());
        let line = "\x1b[2m      Tests \x1b[22m \x1b[1m\x1b[31m1 failed\x1b[39m\x1b[22m\x1b[2m | \x1b[22m\x1b[32m4 passed\x1b[39m (5)";
        assert_eq!(client_counts(line), Counts { passed: 4, failed: 1, skipped: 0 });
        assert_eq!(client_counts(" Test Files  2 passed (2)"), Counts::default());
    }
}
