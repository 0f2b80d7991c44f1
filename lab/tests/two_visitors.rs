//! Two real visitors over an emulated network. It takes root, Chromium, Firefox, Node.js and the built command, as docs/lab.md
//! says: where one of them lacks, this fails and says so.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A round trip to the origin: a page takes one for the connection and one for the document at least.
const ORIGIN_MS: f64 = 120.0;

const SCENARIO: &str = "
    [site]
    bounce_share = 0.0
    pages_per_visit = 2.0
    dwell_s = 1.0
    return_share = 0.0
";

/// A PNG of one pixel. Of one that cannot be decoded the browser would have nothing to compare.
const PICTURE: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0bIDATx\x9cc\xf8\x0f\x04\x00\x09\xfb\x03\xfd\xfb^k+\x00\x00\x00\x00IEND\xaeB`\x82";

fn named(variable: &str, or: impl FnOnce() -> PathBuf) -> PathBuf {
    std::env::var_os(variable).map_or_else(or, PathBuf::from)
}

fn on_path(program: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {program}: `cargo xtask setup` installs it"))
}

fn write_site(folder: &Path) -> std::io::Result<()> {
    let page = |other: &str| {
        format!(
            "<!doctype html><html><head><title>x</title></head><body><img src=\"/a.png\"><a href=\"{other}\">on</a></body></html>"
        )
    };
    std::fs::write(folder.join("index.html"), page("/two.html"))?;
    std::fs::write(folder.join("two.html"), page("/"))?;
    // What follows a picture's end is loaded and not looked at.
    let mut picture = PICTURE.to_vec();
    picture.resize(200_000, 7);
    std::fs::write(folder.join("a.png"), picture)
}

#[test]
#[ignore = "it makes network namespaces: `cargo xtask test` runs it where the machine lets it"]
fn two_visitors_meet_the_distances_of_the_scenario_and_leave_nothing_behind() {
    visit(&[]);
}

#[test]
#[ignore = "it makes network namespaces: `cargo xtask test` runs it where the machine lets it"]
fn two_visitors_with_firefox_do_as_well() {
    let firefox = named("FIREFOX", || on_path("firefox-esr"));
    let summary = visit(&["--firefox-percent", "100", "--firefox", &firefox.display().to_string()]);
    assert!(summary["browsers"]["firefox"]["mesh"]["n"].as_u64().unwrap() > 0, "{summary}");
}

fn visit(more: &[&str]) -> serde_json::Value {
    let lab = env!("CARGO_BIN_EXE_edgeweave-lab");
    let built = Path::new(lab).with_file_name("edgeweave");
    let folder = tempfile::tempdir().unwrap();
    write_site(folder.path()).unwrap();
    let files = tempfile::tempdir().unwrap();
    let [scenario, views] = ["scenario.toml", "views.jsonl"].map(|name| files.path().join(name));
    std::fs::write(&scenario, SCENARIO).unwrap();

    let child = Command::new(lab)
        .args([
            "lab",
            "--visits",
            "2",
            "--browsers",
            "2",
            "--holdout-percent",
            "0",
            "--no-sim",
            "--no-cost",
            "--json",
        ])
        .args(more)
        .arg("--site")
        .arg(folder.path())
        .arg("--scenario")
        .arg(&scenario)
        .arg("--views")
        .arg(&views)
        .arg("--edgeweave")
        .arg(named("EDGEWEAVE", || built))
        .arg("--node")
        .arg(named("NODE", || on_path("node")))
        .arg("--chromium")
        .arg(named("CHROMIUM", || on_path("chromium")))
        .arg("--checkout")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the lab failed");

    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        summary["mesh"]["n"].as_u64().unwrap() + summary["unassigned"].as_u64().unwrap(),
        4,
        "{summary}"
    );
    assert_eq!(summary["mismatched"], 0, "{summary}");
    assert!(summary["bodies_compared"].as_u64().unwrap() > 0, "{summary}");
    assert_eq!(summary.get("failures"), None, "{summary}");
    let views = std::fs::read_to_string(&views).unwrap();
    for line in views.lines() {
        let view: serde_json::Value = serde_json::from_str(line).unwrap();
        // What the jitter takes off the two ways there and the two back.
        let least = 2.0 * ORIGIN_MS - 4.0 * 2.0;
        if view["position"] == 0 {
            assert!(view["load_ms"].as_f64().unwrap() >= least, "{view}");
        }
    }

    let namespaces = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let left = String::from_utf8_lossy(&namespaces.stdout).contains(&format!("edgeweave-lab-{pid}-"));
    assert!(!left, "namespaces are left");
    summary
}
