//! This test binary as the other processes of these tests: a runner with a vault that does what the
//! secret's name says, and a host that is watched from outside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use keystead_plugin_api::abi::Served;
use nix::sys::socket::{ControlMessage, MsgFlags, Shutdown, sendmsg};
use rustix::io::Errno;
use rustix::process::Signal;

use super::super::proto::{APART, Kind, MAX_FRAME_BYTES};
use super::*;

/// The features that a runner's kernel lacks.
pub(super) const KERNEL: &str = "KEYSTEAD_TEST_KERNEL_WITHOUT";

/// The role of a host process.
const ROLE: &str = "KEYSTEAD_TEST_HOST";

fn this_test_only() -> Vec<OsString> {
    let name = concat!(module_path!(), "::test_binary_serves_as_runner_or_host");
    let name = name.split_once("::").unwrap().1;
    [name, "--exact", "--nocapture", "--test-threads=1"].map(OsString::from).into()
}

/// Starts this test binary as a runner.
pub(super) fn launch() -> Launch {
    Launch { arguments: this_test_only(), ..Launch::new(std::env::current_exe().unwrap()) }
}

/// Returns this test binary as a host.
pub(super) fn host(role: &str) -> Command {
    host_at(&std::env::current_exe().unwrap(), role)
}

/// Returns a copy of this test binary as a host.
pub(super) fn host_at(program: &Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    command.args(this_test_only()).env(ROLE, role).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[test]
fn test_binary_serves_as_runner_or_host() {
    let socket = rustix::net::sockopt::socket_type(std::io::stdin());
    if socket == Ok(rustix::net::SocketType::SEQPACKET) {
        if let Ok(without) = std::env::var(KERNEL) {
            lack(&without);
        }
        let _ = child::run(&mut open);
        std::process::exit(0);
    }
    match std::env::var(ROLE).as_deref() {
        Ok("rounds") => rounds(),
        Ok("hang") => hang(),
        // Started by the harness: it stands in for itself.
        _ => assert_eq!(text(&mut super::open(&stage("")), "folder"), "/"),
    }
}

/// Makes this process's kernel act like an older kernel, or a restricted one.
fn lack(what: &str) {
    let calls: &[libc::c_long] = match what {
        "landlock" => &[
            libc::SYS_landlock_create_ruleset,
            libc::SYS_landlock_add_rule,
            libc::SYS_landlock_restrict_self,
        ],
        "filters" => &[libc::SYS_seccomp],
        "namespaces" => &[libc::SYS_unshare],
        // The runner detects this too late to go back.
        "mounts" => &[libc::SYS_fsopen],
        what => panic!("{what}"),
    };
    let rules = calls.iter().map(|call| (*call, vec![])).collect();
    let missing = seccompiler::SeccompAction::Errno(libc::ENOSYS as u32);
    let filter = seccompiler::SeccompFilter::new(
        rules,
        seccompiler::SeccompAction::Allow,
        missing,
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn rounds() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    drop(super::open(&stage("")));
    let before = count();
    for round in 0..200 {
        let mut stage = stage("");
        stage.setup.granted =
            Granted::for_tests(&["exec:upper", "network"], [7; 32], SandboxLevel::Full);
        let mut runner = super::open(&stage);
        match round % 4 {
            0 => drop(runner),
            1 => assert_eq!(text(&mut runner, "folder"), "/"),
            2 => assert_eq!(failure(&mut runner, "exit", amply()).code(), "E11.died"),
            _ => assert_eq!(failure(&mut runner, "send pipe", amply()).code(), "E11.protocol"),
        }
    }
    assert_eq!(count(), before, "descriptors are left");
    let children = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
    assert_eq!(children.unwrap_err(), rustix::io::Errno::CHILD, "processes are left");
}

fn hang() {
    let mut runner = super::open(&stage(""));
    println!("\npid {}", runner.carrier().process_id().unwrap());
    let _ = Vault::get(&mut runner, &get("hang"));
}

fn open(
    plugin: &child::Plugin,
    request: api::OpenRequest,
    context: api::Context,
) -> Result<child::Opened, child::NotOpened> {
    context.warn("hello");
    match std::fs::read_to_string(&plugin.path).unwrap().as_str() {
        "refuse" => Err(api::Error::unavailable("not today").into()),
        how @ ("unloadable" | "unknown") => {
            let problem = format!("{} has no ABI", plugin.file);
            let code = if how == "unknown" { "E08.example" } else { "E08.symbol" };
            Err(child::NotOpened::Unloadable { code, problem })
        }
        "exit" => std::process::exit(5),
        "hang" => forever(),
        _ => {
            let kept = BTreeMap::new();
            let vault = Box::new(Faulty { request, context, kept, locked: false, calls: 1 });
            let vault = Box::new(Served::new(vault));
            Ok(child::Opened { vault, fit: plugin.known.unwrap_or(AbiCompatibility::PluginOlder) })
        }
    }
}

struct Faulty {
    request: api::OpenRequest,
    context: api::Context,
    kept: BTreeMap<String, (api::Value, api::Metadata)>,
    locked: bool,
    /// Number of calls so far: the id of the host's next call.
    calls: u64,
}

fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1_000));
    }
}

fn signal(signal: Signal) -> ! {
    // Again and again, since Rust's own handler takes the first SIGSEGV.
    loop {
        rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Finds the runner's socket, as a hostile plugin would.
fn socket() -> RawFd {
    let is_socket = |number: &RawFd| {
        std::fs::read_link(format!("/proc/self/fd/{number}"))
            .is_ok_and(|target| target.to_str().unwrap().starts_with("socket:"))
    };
    (3..64).find(is_socket).unwrap()
}

fn packet(bytes: &[u8], with: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(with)];
    if with.is_empty() {
        // All that a plugin may without connections.
        nix::sys::socket::send(socket(), bytes, MsgFlags::MSG_NOSIGNAL).unwrap();
        return;
    }
    let bytes = [IoSlice::new(bytes)];
    sendmsg::<()>(socket(), &bytes, &rights, MsgFlags::MSG_NOSIGNAL, None).unwrap();
}

fn frame(id: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &[kind], body].concat()
}

impl Faulty {
    fn misbehave(&mut self, name: &str) -> Option<api::Value> {
        let id = self.calls;
        Some(match name {
            "exit" => std::process::exit(3),
            "exit 0" => std::process::exit(0),
            "abort" => std::process::abort(),
            "segv" => signal(Signal::SEGV),
            "term" => signal(Signal::TERM),
            "panic" => panic!("the plugin panics"),
            "hang" => forever(),
            "spin" => loop {
                std::hint::spin_loop();
            },
            "exit soon" => {
                std::thread::spawn(|| {
                    std::thread::sleep(Duration::from_millis(30));
                    std::process::exit(9);
                });
                api::Value::text("soon")
            }
            "too large" => api::Value::bytes(vec![0; api::MAX_VALUE_BYTES]),
            _ => {
                if let Some(body) = name.strip_prefix("reply ") {
                    packet(&frame(id, Kind::Reply as u8, &reply(body)), &[]);
                } else {
                    send(name.strip_prefix("send ")?, id);
                }
                forever()
            }
        })
    }

    fn tell(&self, name: &str) -> Option<String> {
        if let Some(path) = name.strip_prefix("greet ") {
            let connected = std::os::unix::net::UnixStream::connect(path);
            return Some(connected.map_or_else(|error| error.to_string(), |_| "done".to_owned()));
        }
        if let Some(path) = name.strip_prefix("look ") {
            return Some(look(path));
        }
        if let Some(path) = name.strip_prefix("owner ") {
            let told = self.context.ownership(path);
            return Some(told.map_or_else(|error| error.to_string(), |told| format!("{told:?}")));
        }
        Some(match name {
            "parameters" => {
                let p = &self.request.parameters;
                let hidden = p.secret("hidden").unwrap().expose();
                let (plain, number) = (p.text("plain").unwrap(), p.integer("number").unwrap());
                format!("{plain} {hidden} {number} {}", p.boolean("yes").unwrap())
            }
            "exec" => {
                let mut upper = api::ExecRequest::new("upper", vec!["-x".into()], amply());
                upper.input = api::SecretBytes::copy_of(b"input");
                upper.environment = vec![("A".into(), "b".into())];
                let output = self.context.exec(upper).unwrap();
                let refused = api::ExecRequest::new("rm", vec![], amply());
                let refused = self.context.exec(refused).unwrap_err();
                let text = String::from_utf8_lossy(output.output.expose()).into_owned();
                format!("{} {text} {}, {refused}", output.status, output.errors)
            }
            "environment" => std::env::vars().fold(String::new(), |all, (name, _)| all + &name),
            "folder" => std::env::current_dir().unwrap().display().to_string(),
            "stdin" => {
                let mut read = Vec::new();
                std::io::stdin().read_to_end(&mut read).unwrap();
                format!("{} bytes", read.len())
            }
            "terminal" => match std::fs::File::open("/dev/tty") {
                Ok(_) => "there is one".to_owned(),
                Err(_) => "none".to_owned(),
            },
            "descriptors" => descriptors(),
            "names" => names(),
            "mounts" => mounts(),
            "privileges" => {
                use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set};
                let sets = capabilities(None).unwrap();
                let all = sets.permitted | sets.effective | sets.inheritable;
                let can_come_back = CapabilitySet::all()
                    .iter()
                    .filter(|one| capability_is_in_bounding_set(*one) == Ok(true));
                let can_come_back =
                    can_come_back.fold(CapabilitySet::empty(), |all, one| all | one);
                format!("{:?} and {:?}", all, can_come_back)
            }
            "sandbox" => {
                use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
                format!(
                    "privileges {}, dumpable {}, core {:?}",
                    rustix::thread::no_new_privs().unwrap(),
                    dumpable_behavior().unwrap() != DumpableBehavior::NotDumpable,
                    getrlimit(Resource::Core).maximum,
                )
            }
            "child" => Command::new("/bin/true").spawn().unwrap_err().to_string(),
            "umask" => {
                use rustix::fs::Mode;
                format!("{:o}", rustix::process::umask(Mode::RWXG | Mode::RWXO).bits())
            }
            "print" => {
                // Not by `println!`, which the test harness could capture.
                std::io::stdout().write_all(&[b'x'; 100_000]).unwrap();
                std::io::stderr().write_all(b"first \x1b[31mred\n").unwrap();
                std::io::stderr().write_all(&[b'y'; 1_000_000]).unwrap();
                "printed".to_owned()
            }
            "chatter" => {
                for _ in 0..5_000 {
                    self.context.info("and another thing");
                }
                "said".to_owned()
            }
            _ => return None,
        })
    }
}

/// Tries every access to a name, and returns the answers, each once.
fn look(path: &str) -> String {
    use rustix::fs::{Access, Mode, OFlags};
    let open = |flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map(drop);
    let answers = [
        rustix::fs::lstat(path).map(drop),
        rustix::fs::stat(path).map(drop),
        rustix::fs::readlink(path, Vec::new()).map(drop),
        rustix::fs::access(path, Access::EXISTS),
        rustix::fs::statfs(path).map(drop),
        rustix::process::chdir(path),
        open(OFlags::PATH | OFlags::NOFOLLOW),
        open(OFlags::RDONLY),
        open(OFlags::WRONLY),
    ];
    each_once(answers)
}

/// Returns the answers' names, each once.
fn each_once(answers: impl IntoIterator<Item = rustix::io::Result<()>>) -> String {
    let name = |error: Errno| format!("{:?}", nix::errno::Errno::from_raw(error.raw_os_error()));
    let answers =
        answers.into_iter().map(|answer| answer.map_or_else(name, |()| "done".to_owned()));
    let mut answers: Vec<String> = answers.collect();
    answers.sort();
    answers.dedup();
    answers.join(" ")
}

/// Tries to get out by mounts, roots and namespaces, and returns the answers, each once.
fn mounts() -> String {
    use nix::sched::CloneFlags;
    use rustix::mount::{FsOpenFlags, MountFlags, UnmountFlags};
    let namespaces = [
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWUSER,
        CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWNET,
    ];
    let answers = namespaces
        .into_iter()
        .map(|flags| {
            nix::sched::unshare(flags).map_err(|error| Errno::from_raw_os_error(error as i32))
        })
        .chain([
            rustix::process::chroot("/"),
            rustix::process::pivot_root(".", "."),
            rustix::mount::unmount("/dev/null", UnmountFlags::DETACH),
            rustix::mount::mount_remount("/", MountFlags::empty(), ""),
            rustix::mount::mount_bind("/dev", "/proc"),
            rustix::mount::fsopen("tmpfs", FsOpenFlags::empty()).map(drop),
        ]);
    each_once(answers)
}

/// Returns the names in the root directory, and those below directories in memory only.
fn names() -> String {
    let device = rustix::fs::stat("/").unwrap().st_dev;
    let (mut found, mut waiting) = (Vec::new(), vec![std::path::PathBuf::from("/")]);
    while let Some(dir) = waiting.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) => return error.to_string(),
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let stat = rustix::fs::lstat(&path).unwrap();
            if stat.st_dev == device && path.symlink_metadata().unwrap().is_dir() {
                waiting.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found.join(" ")
}

fn descriptors() -> String {
    let mut found = String::new();
    for number in 0..64 {
        let Ok(target) = std::fs::read_link(format!("/proc/self/fd/{number}")) else { continue };
        let target = target.display().to_string();
        let kind = match target.as_str() {
            t if t.starts_with("pipe:") => "pipe",
            t if t.starts_with("socket:") => "socket",
            t if t.starts_with("/memfd:") => "memfd",
            t => t,
        };
        write!(found, "{}{kind}", if found.is_empty() { "" } else { " " }).unwrap();
    }
    found
}

fn reply(what: &str) -> Vec<u8> {
    match what {
        "nothing" => vec![],
        "unknown status" => vec![3],
        "truncated" => vec![0, 1, 0, 4],
        "extended" => vec![0, 1, 0, 9, 0, 0, 0, 1],
        "without value" => vec![0],
        what => panic!("{what}"),
    }
}

fn send(what: &str, id: u64) {
    let done = Kind::Reply as u8;
    let (pipe, _write) = rustix::pipe::pipe().unwrap();
    match what {
        "nothing" => packet(&[], &[]),
        "shutdown" => nix::sys::socket::shutdown(socket(), Shutdown::Both).unwrap(),
        "short" => packet(&[1, 2, 3], &[]),
        "garbage" => packet(&[0x7f; 100], &[]),
        "oversized" => packet(&frame(id, done, &[0; MAX_FRAME_BYTES]), &[]),
        "other id" => packet(&frame(id + 1, done, &[]), &[]),
        "opened" => packet(&frame(id, Kind::Opened as u8, &[]), &[]),
        "no service" => packet(&frame(id, Kind::Ask as u8, &[2, 0]), &[]),
        "greeting" => packet(&frame(0, Kind::Ready as u8, &[]), &[]),
        "unloadable" => packet(&frame(id, Kind::Unloadable as u8, &[]), &[]),
        "request" => packet(&frame(id, Kind::Call as u8, &[]), &[]),
        "pipe" => packet(&frame(id, done | APART, &[]), &[pipe.as_raw_fd()]),
        "descriptors" => packet(&frame(id, done | APART, &[]), &[pipe.as_raw_fd(); 3]),
        "no descriptor" => packet(&frame(id, done | APART, &[]), &[]),
        "bad log" => {
            // A level and a message, as a line for the log has them.
            let line = [1, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0xff];
            packet(&frame(0, Kind::Ask as u8, &[&[1, 0, 0, 0], &line[..]].concat()), &[]);
        }
        "large log" => {
            let first = [&19_000_000u64.to_le_bytes()[..], &[0; 60_000]].concat();
            packet(&frame(0, Kind::Ask as u8 | APART, &first), &[]);
        }
        "part of another" => {
            let first = [&70_000u64.to_le_bytes()[..], &[1; MAX_FRAME_BYTES - 17]].concat();
            packet(&frame(id, done | APART, &first), &[]);
            packet(&frame(id + 1, done | APART, &[1; 8]), &[]);
        }
        "small part" => {
            packet(&frame(id, done | APART, &[&9u64.to_le_bytes()[..], &[1]].concat()), &[]);
        }
        "empty part" => {
            let first = [&70_000u64.to_le_bytes()[..], &[1; MAX_FRAME_BYTES - 17]].concat();
            packet(&frame(id, done | APART, &first), &[]);
            packet(&frame(id, done | APART, &[]), &[]);
        }
        what => panic!("{what}"),
    }
}

impl Vault for Faulty {
    fn get(&mut self, request: &api::GetRequest) -> api::Result<api::Secret> {
        self.calls += 1;
        let name = request.name.as_str();
        if self.locked {
            let prompts = vec![api::Prompt::secret("password", "Password")];
            return Err(api::Error::locked(api::Challenge::new("step 1", prompts)));
        }
        if name == "says late" {
            std::thread::sleep(request.deadline.remaining() + Duration::from_millis(5));
            return Err(api::Error::timed_out());
        }
        if let Some(text) = self.tell(name) {
            return Ok(api::Secret::new(api::Value::text(text)));
        }
        if let Some(value) = self.misbehave(name) {
            return Ok(api::Secret::new(value));
        }
        let (value, metadata) = self.kept.get(name).ok_or_else(api::Error::not_found)?;
        Ok(api::Secret::with_metadata(value.duplicate(), metadata.clone()))
    }

    fn list(&mut self, request: &api::ListRequest) -> api::Result<api::Page> {
        self.calls += 1;
        let name = |n: usize| api::SecretName::parse(&format!("{n:0>1024}")).unwrap();
        match request.pattern.as_deref() {
            Some("heavy") => {
                let mut metadata = api::Metadata::new();
                let text = "x".repeat(16 * 1024);
                metadata.insert("k", api::MetadataValue::Text(text)).unwrap();
                let entry = |n| api::Entry::new(name(n), None, metadata.clone());
                Ok(api::Page::new((0..1_000).map(entry).collect(), None))
            }
            Some("page") => {
                let entry = |n| api::Entry::new(name(n), None, api::Metadata::new());
                Ok(api::Page::new((0..1_001).map(entry).collect(), None))
            }
            Some("cursor") => Ok(api::Page::new(vec![], Some("x".repeat(5_000)))),
            _ => {
                let entry = |(name, (value, metadata)): (&String, &(api::Value, api::Metadata))| {
                    let name = api::SecretName::parse(name).unwrap();
                    api::Entry::new(name, Some(value.kind()), metadata.clone())
                };
                Ok(api::Page::new(self.kept.iter().map(entry).collect(), None))
            }
        }
    }

    fn set(&mut self, request: api::SetRequest) -> api::Result<api::Written> {
        self.calls += 1;
        let name = request.name.as_str().to_owned();
        if request.mode == api::WriteMode::CreateOnly && self.kept.contains_key(&name) {
            return Err(api::Error::already_exists());
        }
        self.kept.insert(name, (request.value, request.metadata.unwrap_or_default()));
        Ok(api::Written::new())
    }

    fn set_many(&mut self, request: api::SetManyRequest) -> api::Result<api::SetManyResults> {
        let (count, requests) = (self.calls, request.requests);
        let too_few = requests.iter().any(|request| request.name.as_str() == "too few");
        let mut results: Vec<_> = requests.into_iter().map(|one| self.set(one)).collect();
        // One call, however many secrets.
        self.calls = count + 1;
        results.truncate(if too_few { 1 } else { results.len() });
        Ok(api::SetManyResults::new(results))
    }

    fn remove(&mut self, request: &api::RemoveRequest) -> api::Result<api::Removed> {
        self.calls += 1;
        if request.name.as_str() == "answer twice" {
            packet(&frame(self.calls, Kind::Reply as u8, &[0]), &[]);
        }
        Ok(api::Removed::new())
    }

    fn set_metadata(
        &mut self,
        request: api::SetMetadataRequest,
    ) -> api::Result<api::MetadataWritten> {
        self.kept.get_mut(request.name.as_str()).ok_or_else(api::Error::not_found)?.1 =
            request.metadata;
        Ok(api::MetadataWritten::new())
    }

    fn unlock(&mut self, request: &api::UnlockRequest) -> api::Result<api::Unlocked> {
        if request.answer("password").map(api::SecretText::expose) != Some("canary") {
            return Err(
                api::Error::permission_denied("no").with_retry_after(Duration::from_millis(1_500))
            );
        }
        self.locked = false;
        let secret = api::SecretBytes::copy_of(b"session");
        let session = api::Session::new(secret, Duration::from_secs(60));
        self.context.keep_session(session);
        Ok(api::Unlocked::new())
    }

    fn lock(&mut self, _: &api::LockRequest) -> api::Result<api::Locked> {
        self.locked = true;
        Ok(api::Locked::new())
    }

    fn versions(&mut self, request: &api::VersionsRequest) -> api::Result<api::VersionPage> {
        let all = vec![api::Version::new("v1", Some(-5)), api::Version::new("v0", None)];
        api::VersionPage::of(all, request)
    }

    fn actions(&mut self, _: &api::ActionsRequest) -> api::Result<api::ActionList> {
        let mut action = api::Action::new("dig", "digs");
        let depth = api::Parameter::required("depth", api::ParameterKind::Integer, "how deep");
        action.parameters = vec![depth.into()];
        action.destructive = true;
        Ok(api::ActionList::new(vec![action]))
    }

    fn run_action(&mut self, request: &api::ActionRequest) -> api::Result<api::ActionOutcome> {
        let depth = request.parameters.integer("depth").unwrap();
        let mut outcome = api::ActionOutcome::new(format!("dug {depth} deep"));
        outcome.value = Some(api::Value::text("gold"));
        Ok(outcome)
    }
}
