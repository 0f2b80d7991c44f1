//! Puts the built client into the node: every file of `client/dist`, compressed ahead of time, and the release's name.
//! Without a built client the node is built all the same, and says so when it is asked for a client.

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
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../client/dist");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // A folder that is not there yet is watched too: cargo looks at its time, which a build of the client changes.
    println!("cargo::rerun-if-changed={}", dist.display());

    let mut names: Vec<String> = match fs::read_dir(&dist) {
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
        let path = dist.join(name).canonicalize()?;
        println!("cargo::rerun-if-changed={}", path.display());
        let content = fs::read(&path)?;
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(&content);
        let compressed = out.join(format!("{index}.br"));
        fs::write(&compressed, compress(&content)?)?;
        writeln!(
            files,
            "    ClientFile {{ name: {name:?}, content: include_bytes!({path:?}), brotli: include_bytes!({compressed:?}) }},"
        )?;
    }
    let mut release = String::new();
    for byte in hash.finalize() {
        write!(release, "{byte:02x}")?;
    }
    release.truncate(RELEASE_CHARS);
    fs::write(
        out.join("client.rs"),
        format!(
            "/// The release that is built in.\npub(crate) const RELEASE: &str = {release:?};\n\
             /// Its files.\npub(crate) const FILES: &[ClientFile] = &[\n{files}];\n"
        ),
    )?;
    Ok(())
}

fn compress(content: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
    writer.write_all(content)?;
    writer.flush()?;
    Ok(writer.into_inner())
}
