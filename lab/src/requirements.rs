//! What the lab needs of the machine, and how to get it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Looks whether everything is there.
pub(crate) fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "making network namespaces takes root: run `sudo -E cargo xtask lab …`, or run it in a virtual machine or a container as root"
        );
    }
    if !Path::new("/dev/net/tun").exists() {
        bail!(
            "there is no /dev/net/tun: run `modprobe tun`, or give the container the device (`--device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN`)"
        );
    }
    for (program, package) in [("ip", "iproute2"), ("sysctl", "procps")] {
        let found = Command::new(program).arg("-V").stdin(Stdio::null()).output();
        if found.is_err() {
            bail!(
                "there is no `{program}`: run `apt-get install {package}`, or install what your system has in its place"
            );
        }
    }
    Ok(())
}
