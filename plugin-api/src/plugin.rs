//! The contract of a plugin: how a vault is opened, and what it may ask of the host.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, ErrorDetail, Result};
use crate::name::VaultName;
use crate::parameters::Parameters;
use crate::value::SecretBytes;
use crate::vault::{Deadline, Session, Vault};

/// A plugin: opens vaults. Handed to [`export_plugin!`](crate::export_plugin).
pub trait Plugin {
    /// Opens a vault.
    ///
    /// - **open-no-login**: it does nothing that needs authentication: a locked vault
    ///   opens, and its calls answer `Locked`.
    /// - **open-own-handle**: it shares nothing with another open vault.
    /// - **open-no-effect**: it creates nothing; the first write does.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the parameters make no
    /// vault; any other kind where it cannot be opened now.
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>>;
}

/// Opens one vault.
#[non_exhaustive]
#[derive(Debug)]
pub struct OpenRequest {
    /// The name it is registered under.
    pub vault: VaultName,
    /// Which of the manifest's kinds it is.
    pub kind: String,
    /// What its registration says, checked against the kind's schema, defaults filled in.
    pub parameters: Parameters,
    /// What an earlier login handed to [`Context::keep_session`], where it has not run out. It may
    /// come from another vault with the same login.
    pub session: Option<Session>,
    /// Until when.
    pub deadline: Deadline,
    /// Which program opens it; absent where that does not say so.
    pub host: Option<HostInfo>,
}

/// A program that opens vaults: for a log or a server's list of clients, never to decide by.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInfo {
    /// Its name, such as `keystead`.
    pub name: String,
    /// Its version, a semantic version.
    pub version: String,
}

impl HostInfo {
    /// Returns a program's name and version.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into() }
    }
}

impl OpenRequest {
    /// Opens a vault of this kind without a session.
    pub fn new(
        vault: VaultName,
        kind: impl Into<String>,
        parameters: Parameters,
        deadline: Deadline,
    ) -> Self {
        Self { vault, kind: kind.into(), parameters, session: None, deadline, host: None }
    }
}

/// How much a log line matters.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// A person should know, although the call goes on.
    Warning = 1,
    /// Worth a line where somebody looks.
    Info = 2,
    /// For the plugin's author.
    Debug = 3,
    /// Each step. What a later minor version might add.
    #[cfg(feature = "next")]
    Trace = 200,
}

impl Level {
    /// Returns the level of this number.
    pub fn from_code(code: u32) -> Option<Self> {
        let all = [
            Self::Warning,
            Self::Info,
            Self::Debug,
            #[cfg(feature = "next")]
            Self::Trace,
        ];
        all.into_iter().find(|l| *l as u32 == code)
    }

    /// Returns the number that stands for this level in the ABI.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// Asks the host to run a program that the registration grants. It runs in a session of its own:
/// without a terminal, and its end at the deadline is that of all in its session.
#[non_exhaustive]
#[derive(Debug)]
pub struct ExecRequest {
    /// The program as the permission `exec:PROGRAM` names it.
    pub program: String,
    /// Its arguments. Never put a secret here: other users can read arguments.
    pub arguments: Vec<String>,
    /// What it reads on standard input.
    pub input: SecretBytes,
    /// Variables of its environment, by name, beside `PATH` and the user's `HOME`, which the
    /// host sets and which are all that it has otherwise. Nothing secret either: the user's other
    /// programs can read them. The host takes the names that the permission has for this program,
    /// `exec:PROGRAM:VAR,VAR`, and refuses any other.
    pub environment: Vec<(String, String)>,
    /// Until when; the host ends the program then.
    pub deadline: Deadline,
}

impl ExecRequest {
    /// Runs this program with nothing on its standard input.
    pub fn new(program: impl Into<String>, arguments: Vec<String>, deadline: Deadline) -> Self {
        Self {
            program: program.into(),
            arguments,
            input: SecretBytes::new(Vec::new()),
            environment: Vec::new(),
            deadline,
        }
    }

    /// Checks the limits of programs, arguments and variables, as the host does.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with both numbers.
    pub fn check(&self) -> Result<()> {
        let most = |what: &str, found: usize, most: usize| match found <= most {
            true => Ok(()),
            false => Err(Error::invalid(format!("{}: {}; the most is {}", what, found, most))),
        };
        most("the program's name in bytes", self.program.len(), MAX_EXEC_PROGRAM_BYTES)?;
        most("arguments", self.arguments.len(), MAX_EXEC_ARGUMENTS)?;
        most("variables", self.environment.len(), MAX_EXEC_ARGUMENTS)?;
        for argument in &self.arguments {
            most("an argument in bytes", argument.len(), MAX_EXEC_ARGUMENT_BYTES)?;
        }
        for (name, value) in &self.environment {
            let size = name.len().saturating_add(value.len()).saturating_add(1);
            most("a variable in bytes, with its name and `=`", size, MAX_EXEC_ARGUMENT_BYTES)?;
        }
        Ok(())
    }
}

/// The most arguments, and the most variables, of a program that a plugin has the host run.
pub const MAX_EXEC_ARGUMENTS: usize = 10_000;

/// The most bytes of one of them, a variable with its name and `=`: what Linux takes for one.
pub const MAX_EXEC_ARGUMENT_BYTES: usize = 128 * 1024 - 1;

/// The most bytes of a program's name or path: what Linux takes for a path.
pub const MAX_EXEC_PROGRAM_BYTES: usize = 4_095;

/// The most bytes of a program's standard error that reach a plugin: 64 KiB.
pub const MAX_EXEC_ERRORS_BYTES: usize = 64 * 1024;

/// How a program ended.
#[non_exhaustive]
#[derive(Debug)]
pub struct ExecOutput {
    /// Its exit status; 128 plus the signal where a signal ended it.
    pub status: i32,
    /// What it wrote to standard output, at most 16 MiB.
    pub output: SecretBytes,
    /// What it wrote to standard error, as text; more than [`MAX_EXEC_ERRORS_BYTES`] is
    /// cut at the boundary.
    pub errors: String,
}

impl ExecOutput {
    /// Returns how a program ended.
    pub fn new(status: i32, output: SecretBytes, errors: String) -> Self {
        Self { status, output, errors }
    }
}

/// What a file or directory is outside the sandbox of a plugin. In there, other users' files may show
/// the number of no user, and every file may show a mount that is read-only.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The number of the user who owns it.
    pub owner: u32,
    /// Whether it is on a mount that is read-only.
    pub is_read_only: bool,
    /// The number of its file system, as `stat` gives it: a plugin compares it with what it opened.
    pub device: u64,
    /// Its number on its file system.
    pub inode: u64,
}

impl Ownership {
    /// Returns what these numbers say, of a mount that can be written.
    pub fn new(owner: u32, device: u64, inode: u64) -> Self {
        Self { owner, is_read_only: false, device, inode }
    }
}

/// Asks the host for the file of a permission `replace:PATH`, as it is now.
#[non_exhaustive]
#[derive(Debug)]
pub struct ReadFileRequest {
    /// The path as it is granted: the value of the parameter that the permission names.
    pub path: String,
    /// Until when.
    pub deadline: Deadline,
}

impl ReadFileRequest {
    /// Asks for this file.
    pub fn new(path: impl Into<String>, deadline: Deadline) -> Self {
        Self { path: path.into(), deadline }
    }
}

/// What is at the path.
#[non_exhaustive]
#[derive(Debug)]
pub struct FileRead {
    /// The file; nothing where there is none.
    pub file: Option<FileContent>,
}

impl FileRead {
    /// Returns what is at a path.
    pub fn new(file: Option<FileContent>) -> Self {
        Self { file }
    }
}

/// A file as the host read it.
#[non_exhaustive]
#[derive(Debug)]
pub struct FileContent {
    /// What is in it, at most [`MAX_FILE_BYTES`].
    pub content: SecretBytes,
    /// The host's own word for this content, for [`ReplaceFileRequest::expected`]. Where it is the
    /// same as before, so is the content.
    pub version: String,
}

impl FileContent {
    /// Returns this content.
    pub fn new(content: SecretBytes, version: impl Into<String>) -> Self {
        Self { content, version: version.into() }
    }
}

/// The most bytes of a file that the host reads or replaces: 16 MiB.
pub const MAX_FILE_BYTES: usize = crate::value::MAX_VALUE_BYTES;

/// Asks the host to replace the file of a permission `replace:PATH` as a whole: after a crash there
/// is the old file or the new one.
#[non_exhaustive]
#[derive(Debug)]
pub struct ReplaceFileRequest {
    /// The path as it is granted.
    pub path: String,
    /// The version that this content is made from; nothing to create the file. Where the file is
    /// another by now, it is not replaced.
    pub expected: Option<String>,
    /// All of the new content, at most [`MAX_FILE_BYTES`].
    pub content: SecretBytes,
    /// Until when.
    pub deadline: Deadline,
}

impl ReplaceFileRequest {
    /// Puts this content in the place of that version.
    pub fn new(
        path: impl Into<String>,
        expected: Option<String>,
        content: SecretBytes,
        deadline: Deadline,
    ) -> Self {
        Self { path: path.into(), expected, content, deadline }
    }
}

/// The file was replaced, and is on the disk.
#[non_exhaustive]
#[derive(Debug)]
pub struct FileReplaced {
    /// The version of the new content.
    pub version: String,
}

impl FileReplaced {
    /// Returns this version.
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into() }
    }
}

/// What the host does for a plugin. The host implements it; an author's tests may, too.
pub trait Services: Send + Sync {
    /// Takes a line for the log.
    fn log(&self, level: Level, message: &str);

    /// Runs a granted program.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for a program that is not granted, or a
    /// variable that is not granted for it.
    fn exec(&self, request: ExecRequest) -> Result<ExecOutput> {
        let message = format!("running `{}` is not granted", request.program);
        Err(Error::detailed(ErrorDetail::NotGranted, message))
    }

    /// Returns what is at an absolute path that is granted, without following a link in or below
    /// what is granted; nothing where the plugin sees for itself what it is.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for a path that is not granted,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where nothing can be seen there.
    fn ownership(&self, path: &str) -> Result<Option<Ownership>> {
        let _ = path;
        Ok(None)
    }

    /// Returns whether a permission is granted, which is written as in a manifest, without parameters;
    /// `true` where nothing holds the plugin back: not in a sandbox.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no permission, and so not granted.
    fn is_granted(&self, permission: &str) -> Result<bool> {
        let _ = permission;
        Ok(true)
    }

    /// Returns a file that may be replaced.
    ///
    /// # Errors
    /// As for [`Context::read_file`].
    fn read_file(&self, request: ReadFileRequest) -> Result<FileRead> {
        Err(not_granted("reading", &request.path))
    }

    /// Replaces a file as a whole.
    ///
    /// # Errors
    /// As for [`Context::replace_file`].
    fn replace_file(&self, request: ReplaceFileRequest) -> Result<FileReplaced> {
        Err(not_granted("replacing", &request.path))
    }

    /// Takes a session that reopens the vault without another login. The host decides whether it
    /// keeps it, and a later one replaces it.
    fn keep_session(&self, session: Session) {
        drop(session);
    }

    /// Forgets the session that this vault was opened with or handed over: the vault does not take it
    /// any more.
    fn forget_session(&self) {}

    /// Shows a person a line on the desktop. What a later minor version might add.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where there is no desktop, or an older
    /// host.
    #[cfg(feature = "next")]
    fn notify(&self, line: &str) -> Result<()> {
        let _ = line;
        Err(Error::unsupported("this host notifies of nothing"))
    }
}

fn not_granted(what: &str, path: &str) -> Error {
    Error::detailed(ErrorDetail::NotGranted, format!("{} `{}` is not granted", what, path))
}

/// A vault's way to its host: a log, and granted programs. Nothing else is reachable; no
/// plugin sees another vault.
pub struct Context(Box<dyn Services>);

impl Context {
    /// Returns a context over these services.
    pub fn new(services: Box<dyn Services>) -> Self {
        Self(services)
    }

    /// Returns a context that forgets what is logged and runs nothing.
    pub fn silent() -> Self {
        struct Silent;
        impl Services for Silent {
            fn log(&self, _: Level, _: &str) {}
        }
        Self::new(Box::new(Silent))
    }

    /// Tells a person something, although the call goes on. Never a secret.
    pub fn warn(&self, message: &str) {
        self.0.log(Level::Warning, message);
    }

    /// Tells whoever looks. Never a secret.
    pub fn info(&self, message: &str) {
        self.0.log(Level::Info, message);
    }

    /// Tells the plugin's author. Never a secret.
    pub fn debug(&self, message: &str) {
        self.0.log(Level::Debug, message);
    }

    /// Tells each step. What a later minor version might add.
    #[cfg(feature = "next")]
    pub fn trace(&self, message: &str) {
        self.0.log(Level::Trace, message);
    }

    /// Shows a person a line on the desktop. What a later minor version might add.
    ///
    /// # Errors
    /// As for [`Services::notify`].
    #[cfg(feature = "next")]
    pub fn notify(&self, line: &str) -> Result<()> {
        self.0.notify(line)
    }

    /// Runs a program that the registration grants: code in the sandbox never forks.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for a program that is not granted,
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) when the deadline ended it,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when it cannot be started.
    pub fn exec(&self, request: ExecRequest) -> Result<ExecOutput> {
        self.0.exec(request)
    }

    /// Returns what is at an absolute path that is granted, without following a link in or below
    /// what is granted; nothing where what `stat` and `statvfs` say is true, as it is outside of a
    /// sandbox and with hosts that are older.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for a path that is not granted,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where nothing can be seen there.
    pub fn ownership(&self, path: &str) -> Result<Option<Ownership>> {
        self.0.ownership(path)
    }

    /// Returns the file of a permission `replace:PATH`, read by the host: isolated or not, and however
    /// often the file was replaced since the vault was opened.
    ///
    /// # Errors
    /// [`ErrorDetail::NotGranted`] for a path that no permission `replace:PATH` grants,
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for one that leads where no
    /// grant does, [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where it cannot be read
    /// or is no file, [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where it is too large.
    pub fn read_file(&self, request: ReadFileRequest) -> Result<FileRead> {
        self.0.read_file(request)
    }

    /// Replaces the file of a permission `replace:PATH` as a whole, or creates it. Its owner, mode,
    /// access list and labels are kept. Keystead on this machine replaces it from one place at a time.
    ///
    /// # Errors
    /// [`ErrorDetail::Conflict`] where the file is no longer what was read: read it again, and merge;
    /// [`ErrorDetail::NotGranted`] and [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied)
    /// as for [`Context::read_file`];
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where it cannot be replaced: it
    /// has a second name, something is mounted on it, its owner or an attribute cannot be kept, the disk is full;
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) where another process held it until the
    /// deadline.
    pub fn replace_file(&self, request: ReplaceFileRequest) -> Result<FileReplaced> {
        let size = request.content.expose().len();
        if size > MAX_FILE_BYTES {
            let message = format!("a file of {} bytes; the most is {}", size, MAX_FILE_BYTES);
            return Err(Error::invalid(message));
        }
        self.0.replace_file(request)
    }

    pub(crate) fn services(&self) -> &dyn Services {
        &*self.0
    }

    /// Hands over a session that reopens the vault without another login: after a login, and when a
    /// session was renewed. From any call; a later one replaces it. The host decides whether to keep
    /// it, and hands it to [`Plugin::open`] of this vault, and of others that log in the same way (see
    /// [`Parameter::beside_login`](crate::Parameter::beside_login)). A host that keeps none, or is
    /// older, drops it.
    pub fn keep_session(&self, session: Session) {
        self.0.keep_session(session);
    }

    /// Tells the host that the session of this vault is good for nothing any more: the server does
    /// not take it, or the user changed what it was made from.
    pub fn forget_session(&self) {
        self.0.forget_session();
    }

    /// Returns the services themselves.
    pub fn into_services(self) -> Box<dyn Services> {
        self.0
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

/// The most bytes of a session's secret: 16 KiB. A key or a token has far fewer; the host drops a
/// larger one and logs that.
pub const MAX_SESSION_BYTES: usize = 16 * 1024;

/// The longest a session may live: a day.
pub const MAX_SESSION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
