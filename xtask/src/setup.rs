//! Finding the tools that tasks need, and installing the ones that lack. Each tool is a function that returns it, so
//! a task cannot use a tool that it has not asked for; when everything is there, asking takes milliseconds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stamp::Stamp;
use crate::step::{output_of, run_quietly};
use crate::workspace::{Workspace, on_path};

/// The oldest Node.js that the client's tools run on.
const OLDEST_NODE: u32 = 20;
/// The Node.js that is installed where the distribution's own is too old.
const INSTALLED_NODE: &str = "node@22";
/// The target of the engine.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// Seconds that `rustup` may take: where it has no network it would wait for minutes.
const RUSTUP_TIMEOUT_S: &str = "60";

/// Installs everything.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let wasm = wasm_toolchain()?;
    eprintln!("  WebAssembly for Rust: {}", wasm.rustc.display());
    let node = node(workspace)?;
    eprintln!("  Node.js: {}", node.node.display());
    for part in Part::ALL {
        packages(workspace, &node, part)?;
        let folder = part.folder(workspace).join("node_modules");
        eprintln!("  the {}'s packages: {}", part.name(), workspace.shown(&folder));
    }
    eprintln!("  Chromium: {}", chromium()?.display());
    eprintln!("  Firefox: {}", firefox()?.display());
    Ok(())
}

/// A compiler that has the source of its standard library, so that the engine's can be built without the code for
/// panics' messages: no page could show them, and they are a seventh of the engine's weight.
pub(crate) struct WasmToolchain {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// The linker, of whichever toolchain has one.
    pub(crate) linker: PathBuf,
}

/// Rust's WebAssembly target.
pub(crate) fn wasm_toolchain() -> Result<WasmToolchain> {
    if let Some(found) = find_wasm_toolchain() {
        return Ok(found);
    }
    let add = ["component", "add", "rust-src"];
    let rustup_failed = match on_path("rustup") {
        None => "there is no rustup".to_owned(),
        Some(rustup) => {
            let mut command = match on_path("timeout") {
                Some(timeout) => {
                    let mut limited = Command::new(timeout);
                    limited.arg(RUSTUP_TIMEOUT_S).arg(rustup);
                    limited
                }
                None => Command::new(rustup),
            };
            command.args(add);
            match run_quietly("install the source of Rust's library with rustup", &mut command) {
                Ok(()) => String::new(),
                Err(error) => format!("rustup could not: {error:#}"),
            }
        }
    };
    if !rustup_failed.is_empty() {
        eprintln!("  {}; trying Debian's packages", rustup_failed.lines().next().unwrap_or_default());
        install_packages(&["rustc-web", "rust-web-src"])
            .with_context(|| format!("cannot compile Rust to WebAssembly: run `rustup {}`", add.join(" ")))?;
    }
    find_wasm_toolchain().with_context(|| {
        format!("cannot compile Rust to WebAssembly: run `rustup {}`, then this again", add.join(" "))
    })
}

/// The compiler in use, or else Debian's.
fn find_wasm_toolchain() -> Option<WasmToolchain> {
    let sysroot_of =
        |rustc: &Path| Some(PathBuf::from(output_of(Command::new(rustc).args(["--print", "sysroot"]))?));
    let in_use = sysroot_of(Path::new("rustc")).map(|sysroot| sysroot.join("bin/rustc"));
    let rustc = in_use.into_iter().chain([PathBuf::from("/usr/bin/rustc")]).find(|rustc| {
        sysroot_of(rustc).is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").is_dir())
    })?;
    Some(WasmToolchain { rustc, linker: find_linker()? })
}

fn find_linker() -> Option<PathBuf> {
    let sysroot = PathBuf::from(output_of(Command::new("rustc").args(["--print", "sysroot"]))?);
    let host = output_of(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let bundled = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    if bundled.is_file() { Some(bundled) } else { on_path("rust-lld").or_else(|| on_path("wasm-ld")) }
}

/// Node.js with its package manager.
pub(crate) struct Node {
    /// The program.
    pub(crate) node: PathBuf,
}

impl Node {
    /// Runs a script under this Node.js.
    pub(crate) fn command(&self) -> Command {
        self.tool(&self.node)
    }

    /// Runs a tool that is itself a script, or that starts some.
    pub(crate) fn tool(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        self.come_first(&mut command);
        command
    }

    /// Runs its package manager, in a part's folder.
    pub(crate) fn npm(&self, workspace: &Workspace, part: Part) -> Command {
        let mut command = self.tool(Path::new("npm"));
        command.current_dir(part.folder(workspace));
        command
    }

    /// Scripts that say `node` mean this one.
    fn come_first(&self, command: &mut Command) {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = self.node.parent().map(Path::to_owned).into_iter().chain(env::split_paths(&path));
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
    }
}

/// Node.js, at least [`OLDEST_NODE`].
pub(crate) fn node(workspace: &Workspace) -> Result<Node> {
    let lacking = ["node", "npm"].into_iter().filter(|program| on_path(program).is_none());
    // The distribution's package of `node` is called `nodejs`.
    let packages: Vec<_> =
        lacking.map(|program| if program == "node" { "nodejs" } else { program }).collect();
    if !packages.is_empty() {
        install_packages(&packages).with_context(|| {
            format!("Node.js {OLDEST_NODE} or newer with npm is needed: https://nodejs.org")
        })?;
    }
    if let Some(node) = on_path("node").filter(|node| is_new_enough(node)) {
        return Ok(Node { node });
    }

    // Debian 12's is too old; npm itself carries newer ones.
    let folder = workspace.kept("node");
    let node = folder.join("node_modules/node/bin/node");
    if !is_new_enough(&node) {
        fs::create_dir_all(&folder)?;
        let what =
            format!("install {INSTALLED_NODE} from npm for this checkout (the one on PATH is too old)");
        run_quietly(
            &what,
            Command::new("npm").args(["install", "--prefix"]).arg(&folder).arg(INSTALLED_NODE),
        )?;
    }
    if !is_new_enough(&node) {
        bail!(
            "Node.js {OLDEST_NODE} or newer is needed, and the one on PATH is older: see https://nodejs.org"
        );
    }
    Ok(Node { node })
}

fn is_new_enough(node: &Path) -> bool {
    let version = output_of(Command::new(node).arg("--version")).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= OLDEST_NODE)
}

/// A part in TypeScript, with packages of its own.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// What visitors' browsers run.
    Client,
    /// What the operator looks at.
    Dashboard,
}

impl Part {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Client, Self::Dashboard];

    /// What it is called, which is the name of its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Dashboard => "dashboard",
        }
    }

    /// Where it is.
    pub(crate) fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.root.join(self.name())
    }
}

/// A part's packages.
pub(crate) fn packages(workspace: &Workspace, node: &Node, part: Part) -> Result<()> {
    let folder = part.folder(workspace);
    let inputs = [folder.join("package.json"), folder.join("package-lock.json")];
    let stamp = Stamp::of(workspace, &format!("{}-packages", part.name()), &inputs, &[])?;
    if stamp.is_current(&[folder.join("node_modules")]) {
        return Ok(());
    }
    let mut npm = node.npm(workspace, part);
    // No browsers are downloaded: the tests use the system's.
    npm.args(["ci", "--no-audit", "--no-fund"]).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    run_quietly(&format!("install the {}'s packages", part.name()), &mut npm)?;
    stamp.write()
}

/// A browser that real visitors have.
struct Browser {
    name: &'static str,
    /// The environment variable that names one.
    variable: &'static str,
    /// What it is called on `PATH`.
    commands: &'static [&'static str],
    /// Debian's package.
    package: &'static str,
}

const CHROMIUM: Browser = Browser {
    name: "Chromium",
    variable: "CHROMIUM",
    commands: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    package: "chromium",
};

const FIREFOX: Browser = Browser {
    name: "Firefox",
    variable: "FIREFOX",
    commands: &["firefox-esr", "firefox"],
    package: "firefox-esr",
};

/// A Chromium: `$CHROMIUM`, one on `PATH`, or Debian's.
pub(crate) fn chromium() -> Result<PathBuf> {
    CHROMIUM.get()
}

/// A Firefox: `$FIREFOX`, one on `PATH`, or Debian's.
pub(crate) fn firefox() -> Result<PathBuf> {
    FIREFOX.get()
}

impl Browser {
    fn get(&self) -> Result<PathBuf> {
        let Self { name, variable, commands, package } = self;
        if let Some(named) = env::var_os(variable) {
            let path = PathBuf::from(named);
            if path.is_file() {
                return Ok(path);
            }
            bail!("${variable} names {}, which is not there", path.display());
        }
        let find = || commands.iter().copied().find_map(on_path);
        if let Some(found) = find() {
            return Ok(found);
        }
        let way_out = || format!("a {name} is needed: install one, or name it in ${variable}");
        install_packages(&[package]).with_context(way_out)?;
        find().with_context(way_out)
    }
}

/// What makes network namespaces.
pub(crate) fn lab_tools() -> Result<()> {
    let tools = [("ip", "iproute2"), ("sysctl", "procps")];
    let lacking: Vec<_> =
        tools.iter().filter(|(tool, _)| on_path(tool).is_none()).map(|(_, package)| *package).collect();
    if lacking.is_empty() { Ok(()) } else { install_packages(&lacking) }
}

/// Whether this machine lets us make network namespaces, and devices in them: tries it.
pub(crate) fn lab_allowed() -> Result<()> {
    if !Path::new("/dev/net/tun").exists() {
        bail!("there is no /dev/net/tun; see docs/lab.md");
    }
    let probe = format!("edgeweave-probe-{}", std::process::id());
    for does in ["add", "delete"] {
        let done = Command::new("ip").args(["netns", does, &probe]).output().context("cannot run ip")?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!("network namespaces cannot be made here ({}); see docs/lab.md", said.trim());
        }
    }
    Ok(())
}

/// Installs packages of a Debian-like distribution.
fn install_packages(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if on_path("apt-get").is_none() {
        bail!("{names} lacks, and this system has no apt-get to install it with");
    }
    let mut prefix: Vec<&str> = Vec::new();
    if output_of(Command::new("id").arg("-u")).as_deref() != Some("0") {
        if output_of(Command::new("sudo").args(["-n", "true"])).is_none() {
            bail!(
                "{names} lacks, and installing takes root: run `sudo apt-get install {names}`, then this again"
            );
        }
        prefix = vec!["sudo", "-n"];
    }
    let apt = |arguments: &[&str]| {
        let mut words =
            prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"]);
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).args(arguments);
        command
    };
    let install = [&["install", "--no-install-recommends"], packages].concat();
    let what = format!("install {names} with apt-get");
    if has_package_lists() && run_quietly(&what, &mut apt(&install)).is_ok() {
        return Ok(());
    }
    // The lists are missing, or so old that the packages they name are gone.
    run_quietly("update the package lists", &mut apt(&["update"]))?;
    run_quietly(&what, &mut apt(&install))
}

fn has_package_lists() -> bool {
    let lists = fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    lists.into_iter().any(|list| list.file_name().to_string_lossy().contains("Packages"))
}
