//! Running other programs, with progress for people.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// Lines of a failed program's output that are shown.
const SHOWN_LINES: usize = 40;
/// How often the spinner turns.
const SPINNER_PERIOD: Duration = Duration::from_millis(100);

/// Tells of one step in a line: a spinner on a terminal, otherwise a line at its start and one at its end.
pub(crate) struct Step {
    what: String,
    began: Instant,
    bar: ProgressBar,
}

impl Step {
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if bar.is_hidden() {
            eprintln!("  {what} …");
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.clone());
        bar.enable_steady_tick(SPINNER_PERIOD);
        Self { what, began: Instant::now(), bar }
    }

    /// Says what is going on just now.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Ends the step well.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
        eprintln!("✓ {} ({:.1} s)", self.what, self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Runs a program whose output interests nobody unless it fails.
pub(crate) fn run_quietly(what: &str, command: &mut Command) -> Result<()> {
    let step = Step::begin(what);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot {what}: cannot run {}", shown(command)))?;

    let (sender, lines) = mpsc::channel::<String>();
    let streams: [Option<Box<dyn Read + Send>>; 2] =
        [child.stdout.take().map(|s| Box::new(s) as _), child.stderr.take().map(|s| Box::new(s) as _)];
    for stream in streams.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    drop(sender);

    let mut last = VecDeque::new();
    for line in lines {
        step.say(line.trim());
        last.push_back(line);
        if last.len() > SHOWN_LINES {
            last.pop_front();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let output = Vec::from(last).join("\n");
        bail!("cannot {what}: {status}\n  {}\n\n{output}", shown(command));
    }
    step.done();
    Ok(())
}

/// Runs a program that shows its own progress. What it prints goes to standard error, so that standard output keeps
/// to the task's result.
pub(crate) fn run_openly(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("  {what} …");
    let began = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot {what}: cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("cannot {what}: {status}\n  {}", shown(command));
    }
    eprintln!("✓ {what} ({:.1} s)", began.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a program whose output is the task's result.
pub(crate) fn run_through(what: &str, command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot {what}: cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("cannot {what}: {status}\n  {}", shown(command));
    }
    Ok(())
}

/// What a short program prints, or `None` when it fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
