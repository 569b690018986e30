//! The C library of Debian's next release, unpacked as the root folder of a system that has
//! nothing else: what is built here has to run there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cache::Cache;
use crate::process::captured;

/// The variable that tells tests where it is.
pub(super) const VARIABLE: &str = "KEYSTEAD_TEST_NEXT_DEBIAN";

/// The words in the names of tests that need it.
pub(super) const MARKER: &str = "needs_next_debian";

/// What is unpacked: what a Rust program is linked with.
const PACKAGES: [&str; 2] = ["libc6", "libgcc-s1"];

/// Which release comes after which.
const NEXT: [(&str, &str); 2] = [("bookworm", "trixie"), ("trixie", "forky")];

/// Returns the root folder.
pub(super) fn provide(cache: &Cache) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let here = codename()?;
    let next = NEXT.iter().find(|(this, _)| *this == here);
    let (_, next) = next.ok_or("this is no Debian whose next release is known here")?;
    let done = cache.root().join(format!("debian-{next}"));
    if !done.is_dir() {
        println!("unpacking the C library of Debian {next} once, into {}", done.display());
        let fresh = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(cache.root())?;
        for archive in Release::open(cache, &here, next)?.download(&PACKAGES)? {
            run(Command::new("dpkg").arg("-x").arg(&archive).arg(fresh.path()))?;
            fs_err::remove_file(archive)?;
        }
        // What the package of the system's first folders would have linked.
        for folder in ["lib", "lib64"] {
            let (link, target) = (fresh.path().join(folder), Path::new("usr").join(folder));
            if !link.exists() {
                std::os::unix::fs::symlink(target, link)?;
            }
        }
        fs_err::set_permissions(fresh.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        fs_err::rename(fresh.keep(), &done)?;
    }
    Ok(done)
}

/// Returns how a person adds it.
pub(super) fn by_hand() -> String {
    format!("{VARIABLE}=/path/to/root cargo xtask test   (a root folder with that C library)")
}

/// Returns the name of this system's release.
pub(super) fn codename() -> Result<String> {
    let about = fs_err::read_to_string("/etc/os-release")?;
    let name = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.ok_or("this is no Debian")?.to_owned())
}

/// What apt knows of a release, beside the system's own lists.
pub(super) struct Release {
    sources: PathBuf,
    lists: PathBuf,
    archives: PathBuf,
}

impl Release {
    /// Has apt read the lists of a release, from where this system has its own.
    pub(super) fn open(cache: &Cache, here: &str, release: &str) -> Result<Self> {
        let sources = cache.folder(&format!("apt-{release}/sources"))?;
        cache.folder(&format!("apt-{release}/lists/partial"))?;
        let lists = cache.folder(&format!("apt-{release}/lists"))?;
        let archives = cache.folder(&format!("apt-{release}/archives"))?;
        fs_err::write(sources.join("next.sources"), next_sources(here, release)?)?;
        let release = Self { sources, lists, archives };
        run(release.apt("apt-get").arg("update"))?;
        Ok(release)
    }

    /// Returns a command of apt that sees this release alone.
    pub(super) fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.current_dir(&self.archives).env("LC_ALL", "C").arg("-qq");
        for (option, value) in [
            ("Dir::Etc::sourcelist", "/dev/null".into()),
            ("Dir::Etc::sourceparts", self.sources.display().to_string()),
            ("Dir::State::Lists", self.lists.display().to_string()),
            ("Dir::Cache::pkgcache", String::new()),
            ("Dir::Cache::srcpkgcache", String::new()),
            ("Debug::NoLocking", "1".into()),
            ("APT::Sandbox::User", String::new()),
        ] {
            apt.arg("-o").arg(format!("{option}={value}"));
        }
        apt
    }

    /// Downloads packages.
    pub(super) fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        run(self.apt("apt-get").arg("download").args(packages))?;
        let found = fs_err::read_dir(&self.archives)?.map(|entry| Ok(entry?.path()));
        found.collect()
    }
}

/// Returns this system's sources, of another release: those of the release itself, and those of the
/// corrections to what could be attacked in it.
fn next_sources(here: &str, release: &str) -> Result<String> {
    let mut sources = String::new();
    for entry in fs_err::read_dir("/etc/apt/sources.list.d")? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "sources") {
            continue;
        }
        let text = fs_err::read_to_string(path)?;
        for paragraph in text.split("\n\n") {
            let value = |key: &str| {
                paragraph.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
            };
            let suites = value("Suites:").unwrap_or_default();
            let is_main = value("Components:").is_some_and(|c| c.starts_with("main"));
            let suite = suites.split_whitespace().next().and_then(|one| one.strip_prefix(here));
            let (Some(suite @ ("" | "-security")), true) = (suite, is_main) else { continue };
            let (Some(uris), Some(key)) = (value("URIs:"), value("Signed-By:")) else {
                continue;
            };
            sources.push_str(&format!(
                "Types: deb\nURIs: {uris}\nSuites: {release}{suite}\nComponents: main\nSigned-By: {key}\n\n"
            ));
        }
    }
    if sources.is_empty() {
        return Err("no source of Debian's packages was found in /etc/apt/sources.list.d".into());
    }
    Ok(sources)
}

pub(super) fn run(command: &mut Command) -> Result<()> {
    let (ok, output) = captured(command);
    if ok { Ok(()) } else { Err(super::crates::last_lines(&output, 3).into()) }
}
