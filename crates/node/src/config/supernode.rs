//! What the operator decides of the supernode.

use std::env;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use etcetera::BaseStrategy;
use toml::de::DeValue;

use super::draft::path;
use super::table::{Read, Table, list, number, parsed, socket, yes_or_no};

/// The most bytes on disk when nothing is said (10 GiB): all assets of most sites.
const DISK_BYTES: u64 = 10 << 30;
/// The folder's name among whatever else Edgeweave keeps in a folder for caches.
const NAME: &str = "supernode";
/// Edgeweave's name within the system's folder for caches.
const EDGEWEAVE: &str = "edgeweave";
/// Where systemd says what folder it has made for the caches of a service (`CacheDirectory=`).
const OF_SYSTEMD: &str = "CACHE_DIRECTORY";

/// A supernode that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupernodeConfig {
    /// Where contents are kept.
    pub folder: PathBuf,
    /// The most bytes of contents that are kept.
    pub disk_bytes: u64,
    /// Where visitors' peer connections arrive, over UDP; none when contents are given over HTTP alone. Further sites
    /// take the ports behind this one.
    pub data_channels: Option<SocketAddr>,
    /// The addresses at which visitors reach it, where they are others.
    pub public_addresses: Vec<IpAddr>,
}

/// What is asked for; its keys are documented in [`super::DEFAULTS`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the file of defaults says what each key means")]
pub struct SupernodeDraft {
    pub enabled: bool,
    pub folder: Option<PathBuf>,
    pub disk_bytes: u64,
    pub data_channels: Option<SocketAddr>,
    pub public_addresses: Vec<IpAddr>,
}

impl Default for SupernodeDraft {
    fn default() -> Self {
        Self {
            enabled: true,
            folder: None,
            disk_bytes: DISK_BYTES,
            data_channels: None,
            public_addresses: Vec::new(),
        }
    }
}

impl SupernodeDraft {
    pub(super) fn read(&mut self, table: &mut Table<'_, '_>) {
        table.set("enabled", &mut self.enabled, yes_or_no);
        table.set_some("folder", &mut self.folder, folder);
        // TOML has no larger whole numbers.
        table.set("disk_bytes", &mut self.disk_bytes, number(1, i64::MAX as u64));
        table.set_some("data_channels", &mut self.data_channels, socket);
        table.set("public_addresses", &mut self.public_addresses, list(parsed));
    }

    pub(super) fn finish(self) -> Option<SupernodeConfig> {
        let Self { enabled, folder, disk_bytes, data_channels, public_addresses } = self;
        let folder = move || folder.unwrap_or_else(|| caches(NAME));
        enabled.then(|| SupernodeConfig { folder: folder(), disk_bytes, data_channels, public_addresses })
    }
}

fn folder(value: &DeValue<'_>) -> Read<PathBuf> {
    let path = path(value)?;
    if path.as_os_str().is_empty() { Err("this names no folder".into()) } else { Ok(path) }
}

/// Where contents of this name are kept, unless something else is said.
///
/// It is a folder for caches: what is kept can be fetched again, so it belongs neither into backups nor beside state, and
/// outlives a restart, which a folder for temporary files may not.
pub fn caches(name: &str) -> PathBuf {
    // There can be several, separated as in PATH.
    let of_systemd = env::var_os(OF_SYSTEMD).and_then(|folders| env::split_paths(&folders).next());
    if let Some(folder) = of_systemd.filter(|folder| folder.is_absolute()) {
        return folder.join(name);
    }
    let caches = etcetera::base_strategy::choose_native_strategy().map(|native| native.cache_dir());
    // Services without a home have none.
    caches.unwrap_or_else(|_| env::temp_dir()).join(EDGEWEAVE).join(name)
}
