//! Puts what browsers load into the node: every file of `client/dist` and `dashboard/dist`, compressed ahead of time,
//! and the client release's name. Without them the node is built all the same, and says so when it is asked for one.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

/// Characters of the release's name: 64 bits of the SHA-256 over all its files.
const RELEASE_CHARS: usize = 16;
/// Brotli's highest quality and window, as files are compressed ahead of time.
const BROTLI_QUALITY: u32 = 11;
const BROTLI_WINDOW_BITS: u32 = 22;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let client = BuiltIn::read(&root.join("client/dist"), &out, "client")?;
    let dashboard = BuiltIn::read(&root.join("dashboard/dist"), &out, "dashboard")?;
    let code = format!(
        "/// The client release that is built in.\npub(crate) const RELEASE: &str = {:?};\n\
         /// Its files.\npub(crate) const FILES: &[BuiltIn] = &[\n{}];\n\
         /// The dashboard's files.\npub(crate) const DASHBOARD: &[BuiltIn] = &[\n{}];\n",
        &client.hash[..RELEASE_CHARS],
        client.files,
        dashboard.files
    );
    fs::write(out.join("built_in.rs"), code)?;
    Ok(())
}

/// The files of a folder.
struct BuiltIn {
    /// SHA-256 over all names and contents, in hexadecimal.
    hash: String,
    /// A line of code for each.
    files: String,
}

impl BuiltIn {
    fn read(folder: &Path, out: &Path, what: &str) -> Result<Self, Box<dyn Error>> {
        // A folder that is not there yet is watched too: cargo looks at its time, which a build changes.
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut names: Vec<String> = match fs::read_dir(folder) {
            Ok(entries) => entries
                .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_file()))
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
            Err(_) => Vec::new(),
        };
        names.sort();
        let mut hash = Sha256::new();
        let mut files = String::new();
        for (index, name) in names.iter().enumerate() {
            let path = folder.join(name).canonicalize()?;
            println!("cargo::rerun-if-changed={}", path.display());
            let content = fs::read(&path)?;
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&content);
            let compressed = out.join(format!("{what}-{index}.br"));
            fs::write(&compressed, compress(&content)?)?;
            writeln!(
                files,
                "    BuiltIn {{ name: {name:?}, content: include_bytes!({path:?}), brotli: include_bytes!({compressed:?}) }},"
            )?;
        }
        let mut hex = String::new();
        for byte in hash.finalize() {
            write!(hex, "{byte:02x}")?;
        }
        Ok(Self { hash: hex, files })
    }
}

fn compress(content: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
    writer.write_all(content)?;
    writer.flush()?;
    Ok(writer.into_inner())
}
