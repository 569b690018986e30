//! Kernels as Debian packages them, and what a machine needs that boots them and nothing else:
//! qemu, busybox, and the modules for its disk and for this machine's files.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::next_debian::{Release, codename, run};
use super::{debian, on_path};
use crate::Result;
use crate::cache::Cache;
use crate::process;

/// The machine's program, and Debian's package of it.
const QEMU: [&str; 2] = ["qemu-system-x86_64", "qemu-system-x86"];

/// The package that depends on a release's newest kernel.
const NEWEST: &str = "linux-image-amd64";

/// What the machine's first program is made of.
const BUSYBOX: &str = "busybox-static";

/// What has to be loaded, unless it is a part of the kernel: the machine's disk and its file system,
/// this machine's files, and both in one tree.
const MODULES: [&str; 7] =
    ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p", "overlay"];

/// A kernel that was unpacked.
pub(crate) struct Kernel {
    folder: PathBuf,
}

impl Kernel {
    /// Returns its version, as `uname -r` tells it.
    pub(crate) fn version(&self) -> Result<String> {
        Ok(fs_err::read_to_string(self.folder.join("version"))?)
    }

    /// Returns its image.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// Returns the folder of its modules, numbered in the order in which they are loaded.
    pub(crate) fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// Returns a shell and its tools, in one program that needs no library.
    pub(crate) fn busybox(&self) -> PathBuf {
        self.folder.join("busybox")
    }
}

/// Returns the program that boots them.
pub(crate) fn qemu() -> Result<PathBuf> {
    let [program, package] = QEMU;
    debian::system(program, package).map_err(|error| {
        format!("{error}\n    to add it: apt-get install {package}   (as root)")
    })?;
    Ok(on_path(program).ok_or("it is gone")?)
}

/// Returns the newest kernel of a release of Debian, as it was when this was first asked for.
pub(crate) fn provide(cache: &Cache, release: &str) -> Result<Kernel> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("only kernels of x86_64 are booted".into());
    }
    let folder = cache.folder("kernels")?.join(release);
    if !folder.is_dir() {
        println!("unpacking the kernel of Debian {release} once, into {}", folder.display());
        let fresh = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(cache.root())?;
        unpack(cache, release, fresh.path())?;
        fs_err::rename(fresh.path().join("kept"), &folder)?;
    }
    Ok(Kernel { folder })
}

fn unpack(cache: &Cache, release: &str, fresh: &Path) -> Result<()> {
    let packages = Release::open(cache, &codename()?, release)?;
    let depends = process::output(packages.apt("apt-cache").args(["depends", NEWEST]))?;
    let depends = String::from_utf8(depends.stdout)?;
    let package = depends.split_whitespace().find(|word| word.starts_with("linux-image-6."));
    let package = package.ok_or_else(|| format!("{NEWEST} depends on no kernel: {depends}"))?;
    for archive in packages.download(&[package, BUSYBOX])? {
        run(Command::new("dpkg").arg("-x").arg(&archive).arg(fresh))?;
        fs_err::remove_file(archive)?;
    }
    let (kept, version) = (fresh.join("kept"), package.trim_start_matches("linux-image-"));
    fs_err::create_dir_all(kept.join("modules"))?;
    fs_err::write(kept.join("version"), version)?;
    fs_err::rename(fresh.join(format!("boot/vmlinuz-{version}")), kept.join("vmlinuz"))?;
    let busybox = kept.join("busybox");
    let places = ["bin/busybox", "usr/bin/busybox"].map(|place| fresh.join(place));
    let place = places.iter().find(|place| place.is_file()).ok_or("there is no busybox")?;
    fs_err::rename(place, &busybox)?;
    fs_err::set_permissions(&busybox, std::fs::Permissions::from_mode(0o755))?;
    let folders = ["usr/lib", "lib"].map(|lib| fresh.join(lib).join("modules").join(version));
    let folder = folders.iter().find(|folder| folder.is_dir()).ok_or("there are no modules")?;
    let mut modules = Modules { busybox, files: files(folder)?, loaded: Vec::new() };
    MODULES.iter().try_for_each(|name| modules.keep(name, &kept.join("modules")))
}

/// Returns the files of all modules below a folder, by their names.
fn files(folder: &Path) -> Result<HashMap<String, PathBuf>> {
    let (mut files, mut folders) = (HashMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().display().to_string();
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if let Some((name, "" | ".xz")) = name.split_once(".ko") {
                files.insert(name.replace('-', "_"), entry.path());
            }
        }
    }
    Ok(files)
}

/// The modules of a kernel, and those of them that are kept.
struct Modules {
    busybox: PathBuf,
    files: HashMap<String, PathBuf>,
    loaded: Vec<String>,
}

impl Modules {
    /// Keeps a module, behind those that it depends on; one that there is no file of is a part of
    /// the kernel.
    fn keep(&mut self, name: &str, kept: &Path) -> Result<()> {
        let name = name.replace('-', "_");
        let Some(file) = self.files.get(&name).filter(|_| !self.loaded.contains(&name)) else {
            return Ok(());
        };
        let module = if file.extension().is_some_and(|extension| extension == "xz") {
            let unpacked = process::output(Command::new(&self.busybox).arg("xzcat").arg(file))?;
            if !unpacked.status.success() {
                return Err(format!("{} cannot be unpacked", file.display()).into());
            }
            unpacked.stdout
        } else {
            fs_err::read(file)?
        };
        for other in needs(&module) {
            self.keep(&other, kept)?;
        }
        fs_err::write(kept.join(format!("{:02}-{name}.ko", self.loaded.len())), module)?;
        self.loaded.push(name);
        Ok(())
    }
}

/// Returns the names of the modules that a module says it depends on.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_behind_those_that_it_says_it_needs_and_once() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, needs) in [("a", "b-1,c"), ("b-1", "c,builtin"), ("c", "")] {
            let text = format!("ELF\0license=GPL\0depends={needs}\0name={name}\0");
            fs_err::write(from.path().join(format!("{name}.ko")), text).unwrap();
        }
        let mut modules =
            Modules { busybox: PathBuf::new(), files: files(from.path()).unwrap(), loaded: vec![] };
        for name in ["a", "c", "builtin"] {
            modules.keep(name, to.path()).unwrap();
        }
        let mut kept: Vec<_> =
            fs_err::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        kept.sort();
        assert_eq!(kept, ["00-c.ko", "01-b_1.ko", "02-a.ko"]);
    }
}
