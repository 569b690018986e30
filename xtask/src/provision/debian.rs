//! Programs of Debian's packages, unpacked into the cache folder beside the system's own.
//!
//! apt works here with lists and archives of its own, so that no root is needed and no
//! compiler of the system changes. Each program gets a small script that shows it the
//! libraries it was unpacked with.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::crates::last_lines;
use crate::Result;
use crate::cache::Cache;
use crate::process::captured;
use crate::provision::on_path;

/// Where Debian keeps libraries, relative to the root of a package.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// Returns the folder of start scripts of packages, unpacking these where it is not there yet.
pub(super) fn unpacked(cache: &Cache, folder: &str, packages: &[&str]) -> Result<PathBuf> {
    let done = cache.root().join(folder);
    if !done.join("bin").is_dir() {
        for needed in ["apt-get", "dpkg"] {
            if on_path(needed).is_none() {
                return Err(format!("there is no {needed} here").into());
            }
        }
        println!("unpacking Debian's {} once, into {}", packages.join(" and "), done.display());
        // Started beside its place and renamed: what has the right name is complete.
        let fresh = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(cache.root())?;
        for archive in download(cache, packages)? {
            let (ok, output) =
                captured(Command::new("dpkg").arg("-x").arg(&archive).arg(fresh.path()));
            if !ok {
                return Err(last_lines(&output, 3).into());
            }
            fs_err::remove_file(archive)?;
        }
        // No program in the cache has its owner's rights: nobody updates it there.
        let (ok, output) =
            captured(Command::new("chmod").args(["-R", "u-s,g-s"]).arg(fresh.path()));
        if !ok {
            return Err(last_lines(&output, 3).into());
        }
        write_scripts(fresh.path(), &done)?;
        fs_err::set_permissions(fresh.path(), std::fs::Permissions::from_mode(0o755))?;
        fs_err::rename(fresh.keep(), &done)?;
    }
    Ok(done.join("bin"))
}

/// Installs a package into the system, where a program of it is missing and we are root.
pub(super) fn system(program: &str, package: &str) -> Result<()> {
    if on_path(program).is_some() {
        return Ok(());
    }
    if !is_root()? {
        return Err(format!("there is no `{program}` on PATH, and we are not root").into());
    }
    println!("installing Debian's {package}");
    let apt = |words: &[&str]| {
        captured(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(words))
    };
    apt(&["-qq", "update"]);
    match apt(&["-qq", "--yes", "--no-install-recommends", "install", package]) {
        (true, _) => Ok(()),
        (false, output) => Err(last_lines(&output, 3).into()),
    }
}

/// Says whether we are root.
pub(super) fn is_root() -> Result<bool> {
    Ok(fs_err::metadata("/proc/self")?.uid() == 0)
}

/// Downloads packages with all that this system lacks for them, and returns the archives.
fn download(cache: &Cache, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let lists = cache.folder("apt/lists/partial")?;
    let archives = cache.folder("apt/cache/archives/partial")?;
    let (lists, archives) =
        (lists.parent().unwrap_or(&lists), archives.parent().unwrap_or(&archives));
    let apt = |words: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        apt.arg("-o").arg(format!("Dir::State::Lists={}", lists.display()));
        apt.arg("-o").arg(format!("Dir::Cache::Archives={}", archives.display()));
        // Neither the system's lock nor another user for the download: the folders are ours.
        apt.args(["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]);
        apt.args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]);
        apt.args(["-qq", "--yes", "--no-install-recommends"]).args(words);
        captured(&mut apt)
    };
    let install: Vec<&str> =
        ["--download-only", "--reinstall", "install"].iter().chain(packages).copied().collect();
    // The lists may be missing or name packages that were replaced since: then once more.
    let (mut ok, _) = apt(&install);
    if !ok {
        apt(&["update"]);
        let output;
        (ok, output) = apt(&install);
        if !ok {
            return Err(last_lines(&output, 3).into());
        }
    }
    let mut found = Vec::new();
    for entry in fs_err::read_dir(archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Writes `bin/NAME` for every program of `usr/bin`, for the place the folder will have.
fn write_scripts(fresh: &Path, done: &Path) -> Result<()> {
    let bin = fresh.join("bin");
    // Some packages still have programs of their own there.
    fs_err::create_dir_all(&bin)?;
    let libraries: Vec<String> =
        LIBRARIES.iter().map(|own| done.join(own).display().to_string()).collect();
    let libraries = libraries.join(":");
    for entry in fs_err::read_dir(fresh.join("usr/bin"))? {
        let name = entry?.file_name();
        // `valgrind` is a script that starts the system's `valgrind.bin`.
        let beside = Path::new("usr/bin").join(format!("{}.bin", name.display()));
        let program =
            if fresh.join(&beside).is_file() { beside } else { Path::new("usr/bin").join(&name) };
        let script = bin.join(&name);
        fs_err::write(
            &script,
            format!(
                "#!/bin/sh\n# Shows the program the libraries it was unpacked with.\n\
                 export LD_LIBRARY_PATH='{libraries}'\nexport VALGRIND_LIB='{}'\nexec '{}' \"$@\"\n",
                done.join("usr/libexec/valgrind").display(),
                done.join(program).display(),
            ),
        )?;
        fs_err::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
