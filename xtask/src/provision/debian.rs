//! Debian's packages: installed into the system by root, or unpacked into the cache directory beside
//! the system's own by `debian.sh`.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use super::on_path;
use crate::Result;
use crate::cache::Cache;
use crate::process::{captured, command, succeed};

/// Which release comes after which.
const NEXT: [(&str, &str); 2] = [("bookworm", "trixie"), ("trixie", "forky")];

/// Installs a package into the system, where a program of it is missing and we are root.
pub(super) fn system(program: &str, package: &str) -> Result<PathBuf> {
    if on_path(program).is_none() {
        if !is_root()? {
            return Err(format!("there is no `{program}` on PATH, and we are not root").into());
        }
        println!("installing Debian's {package}");
        captured(&mut command("apt-get -qq update"));
        let mut install = command("apt-get -qq --yes --no-install-recommends install");
        succeed(install.arg(package).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    Ok(on_path(program).ok_or_else(|| format!("{package} has no `{program}`"))?)
}

/// Says whether we are root.
pub(crate) fn is_root() -> Result<bool> {
    Ok(fs_err::metadata("/proc/self")?.uid() == 0)
}

/// Returns the directory of packages and all that this system lacks for them, with a script in `bin/`
/// for each program.
pub(super) fn unpacked(cache: &Cache, name: &str, packages: &str) -> Result<PathBuf> {
    made(cache, &format!("debian-{name}"), "programs", "", packages)
}

/// Returns a root directory with the C library of Debian's next release and nothing else: what is
/// built here has to run there.
pub(super) fn next_release(cache: &Cache) -> Result<PathBuf> {
    let about = fs_err::read_to_string("/etc/os-release")?;
    let here = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let next = NEXT.iter().find(|(this, _)| Some(*this) == here);
    let (_, next) = next.ok_or("this is no Debian whose next release is known here")?;
    made(cache, &format!("debian-{next}"), "c-library", next, "")
}

/// Returns the directory of the newest kernel of a release, as it was when this was first asked for.
pub(crate) fn kernel(cache: &Cache, release: &str) -> Result<PathBuf> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("only kernels of x86_64 are booted".into());
    }
    cache.dir("kernels")?;
    made(cache, &format!("kernels/{release}"), "kernel", release, "")
}

fn made(cache: &Cache, name: &str, what: &str, release: &str, packages: &str) -> Result<PathBuf> {
    cache.once(name, |fresh| {
        let mut unpack = Command::new("/bin/sh");
        unpack
            .args(["-c", include_str!("debian.sh")])
            .env("INTO", fresh)
            .env("DONE", cache.at(name));
        unpack.env("APT", cache.dir(&format!("apt-{release}"))?).env("RELEASE", release);
        succeed(unpack.env("WHAT", what).env("PACKAGES", packages))
    })
}
