//! A plugin's vault in the host's own process, watched: each call of it is known as one, so
//! that an end of the process in it is known to be the plugin's.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use keystead_plugin_api::{
    ActionList, ActionOutcome, ActionRequest, ActionsRequest, DescribeRequest, Entry,
    GetManyRequest, GetManyResults, GetRequest, ListRemovedRequest, ListRequest, LockRequest,
    Locked, MetadataWritten, Page, PurgeRequest, Purged, RemoveRequest, Removed, RemovedPage,
    RenameRequest, Renamed, RestoreRequest, Restored, Result, Rules, RulesRequest, Secret,
    SetManyRequest, SetManyResults, SetMetadataRequest, SetRequest, TestReport, TestRequest,
    UnlockRequest, Unlocked, UnregisterRequest, Unregistered, Vault, VersionPage, VersionsRequest,
    Written,
};

use super::super::trust::CrashMarker;
use super::{Called, Kept};

/// Watches over one vault's plugin. Of a plugin without a marker, which is the host's own,
/// nothing is watched.
pub(crate) struct Watch(Option<Marked>);

/// Fields are dropped in order: nobody writes to a marker that is gone.
struct Marked {
    place: Option<Kept>,
    _marker: CrashMarker,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn start(marker: Option<CrashMarker>) -> Self {
        Self(marker.map(|marker| Marked { place: Kept::take(&marker), _marker: marker }))
    }

    /// Runs code of the plugin.
    pub(crate) fn call<T>(&self, work: impl FnOnce() -> T) -> T {
        let place = self.0.as_ref().and_then(|marked| marked.place.as_ref());
        let _called = place.map(Kept::called);
        work()
    }

    /// Learns where the code of this file is, once it is loaded: threads of the plugin's own
    /// are in no call.
    pub(crate) fn look_for(&self, file: &Path) {
        let place = self.0.as_ref().and_then(|marked| marked.place.as_ref());
        if let Some(place) = place
            && let Some((from, to)) = code_of(file)
        {
            place.has_code(from, to);
        }
    }

    /// Returns the vault so that calls of it are known.
    pub(crate) fn around(self, vault: Box<dyn Vault>) -> Box<dyn Vault> {
        match self.0 {
            Some(_) => Box::new(Watched { vault: Some(vault), watch: self }),
            None => vault,
        }
    }
}

/// Runs code of the host that a plugin has called.
pub(crate) fn in_the_host<T>(work: impl FnOnce() -> T) -> T {
    let _nobody = Called::nobody();
    work()
}

/// Returns where the code of a loaded file begins and ends; none where the system does not say.
pub(super) fn code_of(file: &Path) -> Option<(usize, usize)> {
    let inode = std::fs::metadata(file).ok()?.ino().to_string();
    let name = file.file_name()?.to_str()?;
    let maps = std::fs::read("/proc/self/maps").ok()?;
    code_in(&String::from_utf8_lossy(&maps), &inode, name)
}

fn code_in(maps: &str, inode: &str, name: &str) -> Option<(usize, usize)> {
    let mut code: Option<(usize, usize)> = None;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        if words.nth(2) != Some(inode) || !rights.contains('x') || !line.ends_with(name) {
            continue;
        }
        let (from, to) = range.split_once('-')?;
        let part = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
        code = Some(code.map_or(part, |all| (all.0.min(part.0), all.1.max(part.1))));
    }
    code
}

/// A vault that is watched.
struct Watched {
    /// There until it is dropped.
    vault: Option<Box<dyn Vault>>,
    watch: Watch,
}

impl Watched {
    fn call<T>(&mut self, work: impl FnOnce(&mut dyn Vault) -> T) -> T {
        let vault = self.vault.as_mut().expect("it is taken when this is dropped");
        self.watch.call(|| work(&mut **vault))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let vault = self.vault.take();
        self.watch.call(|| drop(vault));
    }
}

impl Vault for Watched {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        self.call(|vault| vault.get(request))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.call(|vault| vault.list(request))
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.call(|vault| vault.describe(request))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        self.call(|vault| vault.set(request))
    }

    fn set_many(&mut self, requests: SetManyRequest) -> Result<SetManyResults> {
        self.call(|vault| vault.set_many(requests))
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.call(|vault| vault.remove(request))
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        self.call(|vault| vault.rename(request))
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.call(|vault| vault.set_metadata(request))
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.call(|vault| vault.unlock(request))
    }

    fn lock(&mut self, deadline: &LockRequest) -> Result<Locked> {
        self.call(|vault| vault.lock(deadline))
    }

    fn test(&mut self, deadline: &TestRequest) -> Result<TestReport> {
        self.call(|vault| vault.test(deadline))
    }

    fn unregister(&mut self, deadline: &UnregisterRequest) -> Result<Unregistered> {
        self.call(|vault| vault.unregister(deadline))
    }

    fn get_many(&mut self, requests: &GetManyRequest) -> Result<GetManyResults> {
        self.call(|vault| vault.get_many(requests))
    }

    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        self.call(|vault| vault.versions(request))
    }

    fn list_removed(&mut self, request: &ListRemovedRequest) -> Result<RemovedPage> {
        self.call(|vault| vault.list_removed(request))
    }

    fn restore(&mut self, request: &RestoreRequest) -> Result<Restored> {
        self.call(|vault| vault.restore(request))
    }

    fn purge(&mut self, request: &PurgeRequest) -> Result<Purged> {
        self.call(|vault| vault.purge(request))
    }

    fn rules(&mut self, request: &RulesRequest) -> Result<Rules> {
        self.call(|vault| vault.rules(request))
    }

    fn actions(&mut self, deadline: &ActionsRequest) -> Result<ActionList> {
        self.call(|vault| vault.actions(deadline))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        self.call(|vault| vault.run_action(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_file_is_what_of_it_may_be_run() {
        let maps = "\
7f0000000000-7f0000001000 r--p 00000000 fe:00 77  /a b/p.so
7f0000001000-7f0000003000 r-xp 00001000 fe:00 77  /a b/p.so
7f0000003000-7f0000004000 rw-p 00003000 fe:00 77  /a b/p.so
7f0000004000-7f0000005000 r-xp 00004000 fe:00 77  /a b/p.so
7f0000006000-7f0000007000 r-xp 00000000 fe:01 77  /other.so
7f0000007000-7f0000008000 r-xp 00000000 fe:00 78  /old/p.so
7fff00000000-7fff00001000 r-xp 00000000 00:00 0   [vdso]
";
        assert_eq!(code_in(maps, "77", "p.so"), Some((0x7f00_0000_1000, 0x7f00_0000_5000)));
        assert_eq!(code_in(maps, "79", "p.so"), None);
    }

    #[test]
    fn the_code_of_this_program_is_where_its_functions_are() {
        let (from, to) = code_of(&std::env::current_exe().unwrap()).unwrap();
        let here = the_code_of_this_program_is_where_its_functions_are as *const () as usize;
        assert!((from..to).contains(&here));
    }
}
