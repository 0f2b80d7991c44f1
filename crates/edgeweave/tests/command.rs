//! The command as its users meet it: what it says, and how it ends.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn edgeweave(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgeweave"));
    command.args(arguments).env_remove("EDGEWEAVE_API_TOKEN").env("NO_COLOR", "1");
    // The supernode's folder is not to be the user's.
    command.env("CACHE_DIRECTORY", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn run(arguments: &[&str]) -> Output {
    edgeweave(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_mistake_in_a_file_is_shown_with_its_line() {
    let file = File::new(
        "mistakes.toml",
        "lisen = \"127.0.0.1:80\"\n\n[policy]\nprefer = \"fast\"\n\n[[sites]]\nid = \"shop\"\norigins = [\"shop.example\"]\n",
    );
    let output = run(&["serve", "--config", file.path()]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(said(&output).replace(file.path(), "mistakes.toml"));
}

#[test]
fn wrong_flags_name_the_way_out() {
    for (arguments, expected) in [
        (&["serve"][..], "there is no site to serve\n  give --origin URL"),
        (&["serve", "--config", "/nowhere.toml"], "cannot read /nowhere.toml"),
        (&["serve", "--origin", "ftp://x"], "`ftp://x` begins neither with http:// nor with https://"),
        (&["serve", "--public-origin", "https://x.example"], "there is no `origin`"),
        (&["serve", "--origin", "http://x", "--api-token", "short"], "16 visible ASCII characters"),
        (&["serve", "--origin", "http://x", "--trusted-proxy", "me"], "neither an address nor a prefix"),
        (&["sereve"], "unrecognized subcommand"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_port_in_use_names_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--origin", "http://127.0.0.1:9", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "cannot listen on {address} (--listen): Address already in use (os error 98)\n  choose another"
    );
    assert!(said(&output).contains(&expected), "{}", said(&output));
}

#[test]
fn the_printed_defaults_are_a_file_to_begin_with() {
    let output = run(&["serve", "--print-config"]);
    assert!(output.status.success());
    let file = File::new("defaults.toml", &String::from_utf8(output.stdout).unwrap());
    // Nothing is wrong with it but that there is no site.
    let output = run(&["serve", "--config", file.path()]);
    assert!(said(&output).contains("there is no site to serve"), "{}", said(&output));
}

#[test]
fn a_node_says_where_it_is_and_ends_when_told_to() {
    let arguments = ["serve", "--origin", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--json"];
    let mut node = edgeweave(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(addresses["sites"], serde_json::json!(["default"]));
    assert_eq!(addresses["listen"], addresses["admin"]);
    let listen = addresses["listen"].as_str().unwrap();
    std::net::TcpStream::connect(listen).unwrap();

    let told = Command::new("kill").args(["-TERM", &node.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(node.wait().unwrap().success());
    let mut warned = String::new();
    node.stderr.take().unwrap().read_to_string(&mut warned).unwrap();
    // It started before it asked the origin, and may have been told to end meanwhile.
    assert!(!warned.contains("panicked"), "{warned}");
}
