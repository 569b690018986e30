//! The host's end of an isolated vault: its calls go to a runner. The host kills a runner that
//! times out or misbehaves, and starts it again when it is next needed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_plugin_api as api;
use keystead_plugin_api::abi::{Call, Carried, Carrier, Client, Method, wire};

use super::super::grant::{CreatedPaths, Granted};
use super::super::{AbiCompatibility, loader};
use super::child::NAMESPACES;
use super::connection::{Answered, Connection, Greeted, Lost, Started};
use super::error::UNLOADABLE;
use super::proto::{Fault, Request};
use super::{CallError, During, Ended, Error, Image, Launch, Namespaces};
use crate::retry;

/// Time that a runner may take to end after it closed its connection: the time of an exit on a busy
/// machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// End of a process that the host kills.
const KILLED: Ended = Ended::Signal(9);

/// The pause after the second death in a row; each further death doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Everything that a runner is started with.
#[derive(Clone)]
pub struct Setup {
    /// Command that starts the runner.
    pub launch: Launch,
    /// The plugin.
    pub image: Image,
    /// Result of an earlier layout check of the plugin ([`Runner::fit`]), which is most of the
    /// loading cost; `None` without a check.
    pub known: Option<AbiCompatibility>,
    /// The grants, and the required sandbox level.
    pub granted: Granted,
    /// The host's services for the plugin.
    pub services: Arc<dyn api::Services>,
    /// Called at every end of a runner that its plugin is to blame for: with [`Error::Died`] or
    /// [`Error::Protocol`].
    pub on_misbehaviour: Arc<dyn Fn(&Error) + Send + Sync>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("launch", &self.launch)
            .field("granted", &self.granted)
            .finish_non_exhaustive()
    }
}

/// One isolated vault.
///
/// After a death the next call starts a new process and opens the vault again as it was opened
/// first; its unlocked state is gone. The first death costs no pause, each further death in a row
/// costs a longer pause. Until the pause is over, calls return [`Error::BackingOff`]. An answer
/// ends the row. A new process also starts, at once, if a granted file has been replaced since.
///
/// On drop, it kills its process and waits for its end (0.2 ms), so that the next opener of the
/// vault does not meet it. A vault must store its data within the call.
pub struct Runner {
    setup: Setup,
    /// Kept to open the vault again; its secrets are wiped on drop.
    request: api::OpenRequest,
    /// When the session in `request` began to run out.
    since: Instant,
    connection: Option<Connection>,
    /// Paths created for it, as long as they are unused. Dropped with the runner.
    made: CreatedPaths,
    deaths: u32,
    died: Instant,
    failure: Option<Error>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("vault", &self.request.vault)
            .field("alive", &self.connection.is_some())
            .finish_non_exhaustive()
    }
}

impl Runner {
    /// Starts a runner and opens a vault in it.
    ///
    /// # Errors
    /// The vault's own error, or any error of the runner but [`Error::BackingOff`].
    pub fn open(setup: Setup, request: api::OpenRequest) -> Result<Client<Self>, CallError> {
        Self::open_in(None, setup, request)
    }

    /// Opens a vault in `greeted`, a started runner that has this setup's grants and, if it is a
    /// file of root's, its image. `None` starts a new runner.
    ///
    /// # Errors
    /// As for [`Runner::open`].
    pub fn open_in(
        greeted: Option<Greeted>,
        setup: Setup,
        request: api::OpenRequest,
    ) -> Result<Client<Self>, CallError> {
        let now = Instant::now();
        let mut runner = Self {
            made: CreatedPaths::default(),
            setup,
            request,
            since: now,
            connection: None,
            deaths: 0,
            died: now,
            failure: None,
        };
        let mut connected = runner.connect(greeted);
        while let Err(CallError::Plugin(refused)) = &connected {
            let may_make = runner.made.is_empty() && may_want_to_make(refused);
            if may_make {
                runner.made = runner.setup.granted.make_missing();
            }
            match retry::pause(refused, runner.request.deadline) {
                Some(pause) => std::thread::sleep(pause),
                None if may_make && !runner.made.is_empty() => {}
                None => break,
            }
            runner.renew()?;
            connected = runner.connect(None);
        }
        connected?;
        Ok(Client::new(runner))
    }

    /// Returns how the plugin's API relates to the host's.
    pub fn fit(&self) -> AbiCompatibility {
        self.setup.known.expect("it was opened, which tells")
    }

    /// Returns the process id of the runner, if a process is alive.
    pub fn process_id(&self) -> Option<u32> {
        self.connection.as_ref().map(|connection| connection.process.id())
    }

    /// Returns whether the error of the last call was not the vault's own.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Returns, once, the error of the runner, if the error of the last call was not the vault's
    /// own.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Starts a process and opens the vault in it, by the deadline in `self.request`.
    fn connect(&mut self, greeted: Option<Greeted>) -> Result<(), CallError> {
        let started = Instant::now();
        let setup = &self.setup;
        let greeted = greeted.map_or_else(
            || Started::start(&setup.launch)?.greet(&setup.granted, Some(&setup.image)),
            Ok,
        );
        let connection = greeted.and_then(|greeted| Connection::new(setup, greeted));
        let mut connection = connection.map_err(|source| Error::Spawn {
            program: self.setup.launch.program.clone(),
            source,
        })?;
        let body = wire::encode(&self.request)?;
        let request = Request::Open(body.expose(), self.request.deadline);
        match connection.call(&self.setup, &request, &mut |_| {}) {
            Ok(Answered::Opened(fit)) => {
                self.setup.known = Some(fit);
                self.connection = Some(connection);
                Ok(())
            }
            Ok(Answered::Replied(Some(error))) => Err(error.into()),
            Ok(Answered::Unloadable(code, problem)) => {
                let code = loader::Error::known_code(&code).unwrap_or(UNLOADABLE);
                Err(Error::Unloadable { code, problem }.into())
            }
            Ok(Answered::TooMuch | Answered::Unknown | Answered::Replied(None)) => {
                let lost = Lost::Fault(Fault("too much for an answer to `open`".into()));
                Err(self.bury(connection, lost, Some("open"), started).into())
            }
            Err(Lost::Unwelcome(code, _))
                if code == NAMESPACES
                    && self.setup.granted.namespaces() == Namespaces::BestEffort =>
            {
                drop(connection);
                self.setup.granted.do_without_namespaces();
                self.connect(None)
            }
            Err(lost) => Err(self.bury(connection, lost, Some("open"), started).into()),
        }
    }

    /// Starts the next process, or returns an error if the pause is not over.
    fn reconnect(&mut self, deadline: api::Deadline) -> Result<(), CallError> {
        let pause = pause_after(self.deaths);
        let wait = pause.saturating_sub(self.died.elapsed());
        if !wait.is_zero() {
            return Err(Error::BackingOff { deaths: self.deaths, wait }.into());
        }
        self.request.deadline = deadline;
        let elapsed = self.since.elapsed();
        self.since += elapsed;
        self.request.session = self.request.session.take().and_then(|mut session| {
            session.lifetime = session.lifetime.checked_sub(elapsed)?;
            Some(session)
        });
        self.renew()?;
        self.connect(None)
    }

    /// Checks the grants and opens them anew.
    fn renew(&mut self) -> Result<(), CallError> {
        self.setup.granted =
            self.setup.granted.renew().map_err(Box::new).map_err(Error::Granted)?;
        Ok(())
    }

    /// Makes a call, in a new process if the last process is gone.
    fn ask(&mut self, call: &Call<'_>, read: &mut dyn FnMut(&[u8])) -> Result<Answered, CallError> {
        let started = Instant::now();
        let (method, deadline) = (call.method, call.deadline);
        if method.may_make() && self.made.is_empty() {
            self.made = self.setup.granted.make_missing();
        }
        if self.connection.is_some() && self.setup.granted.is_outdated() {
            // This process can open the old object but not its replacement: the next process can.
            self.connection = None;
        }
        loop {
            if deadline.has_passed() {
                return Err(api::Error::timed_out().into());
            }
            if self.connection.is_none() {
                self.reconnect(deadline)?;
                continue;
            }
            // Encoded anew for each process: less of the deadline is left by then.
            let body = (call.request)()?;
            let request = Request::Call(method, body.expose(), deadline);
            let mut connection = self.connection.take().expect("there is one");
            match connection.call(&self.setup, &request, read) {
                Ok(answered) => {
                    self.deaths = 0;
                    let unlocks = method == Method::Unlock;
                    if let Answered::Replied(Some(refused)) = &answered
                        && unlocks
                        && self.made.is_empty()
                        && may_want_to_make(refused)
                    {
                        self.made = self.setup.granted.make_missing();
                        if !self.made.is_empty() {
                            // The plugin may only have wanted to create this path. The next process
                            // can write to it.
                            continue;
                        }
                    }
                    self.connection = Some(connection);
                    match &answered {
                        Answered::Replied(Some(error))
                            if error.kind() == api::ErrorKind::Locked => {}
                        Answered::Replied(Some(_)) | Answered::Unknown => self.made.undo(),
                        _ if unlocks || method.may_make() => self.made.keep(),
                        _ => {}
                    }
                    return Ok(answered);
                }
                Err(Lost::Before) => {
                    // The call has not reached the process, so that the host may make it again.
                    self.bury(connection, Lost::Before, None, started);
                }
                Err(lost) => {
                    return Err(self.bury(connection, lost, Some(method.as_str()), started).into());
                }
            }
        }
    }

    /// Makes sure that the process has ended and returns the reason.
    fn bury(
        &mut self,
        mut connection: Connection,
        lost: Lost,
        call: Option<&'static str>,
        started: Instant,
    ) -> Error {
        let program = || self.setup.launch.program.clone();
        let after = started.elapsed();
        let call = During(call);
        let natural = match &lost {
            Lost::Closed | Lost::Before => connection.process.ended_within(PATIENCE),
            _ => Ok(None),
        };
        let killed = connection.process.kill();
        connection.last_words(&self.setup);
        let error = match (lost, natural, killed) {
            (_, Err(source), _) | (_, _, Err(source)) | (Lost::System(source), ..) => {
                Error::System { call, source }
            }
            (Lost::Unwelcome(code, problem), ..) if code == "sandbox" || code == NAMESPACES => {
                Error::Sandbox { problem }
            }
            (Lost::Unwelcome(_, problem), ..) => Error::Handshake { program: program(), problem },
            // The process was still there, so the host killed it for this.
            (Lost::Closed | Lost::Before, Ok(None), Ok(KILLED)) => {
                Error::Protocol { call, what: "the end of its connection".to_owned() }
            }
            (Lost::Closed | Lost::Before, _, Ok(status)) if connection.greeted => {
                Error::Died { call, status }
            }
            (Lost::Closed | Lost::Before, _, Ok(status)) => {
                Error::Handshake { program: program(), problem: ended(status) }
            }
            (Lost::Late, ..) => Error::Late { call, after },
            (Lost::Fault(fault), ..) if connection.greeted => {
                Error::Protocol { call, what: fault.0.into_owned() }
            }
            (Lost::Fault(fault), ..) => {
                Error::Handshake { program: program(), problem: format!("it sent {}", fault.0) }
            }
        };
        self.deaths = self.deaths.saturating_add(1);
        self.died = Instant::now();
        // If root has written to the file that is mapped, the process may have died of that.
        if error.is_misbehaviour() && self.setup.image.is_as_proven() {
            (self.setup.on_misbehaviour)(&error);
        }
        error
    }
}

impl Carrier for Runner {
    /// Makes a call, and keeps an error of the runner for [`Runner::failure`].
    fn carry(&mut self, call: Call<'_>, read: &mut dyn FnMut(&[u8])) -> api::Result<Carried> {
        self.failure = None;
        match self.ask(&call, read) {
            Ok(Answered::Replied(_) | Answered::Unknown) => Ok(Carried::Replied),
            Ok(_) => Ok(Carried::TooMuch),
            Err(CallError::Plugin(error)) => Err(error),
            Err(CallError::Runner(error)) => {
                let flat = api::Error::from(&error);
                self.failure = Some(error);
                Err(flat)
            }
        }
    }
}

/// Returns whether a plugin may have failed because it cannot create missing paths.
fn may_want_to_make(refused: &api::Error) -> bool {
    use api::ErrorKind::{Internal, PermissionDenied, Unavailable};
    matches!(refused.kind(), PermissionDenied | Internal | Unavailable)
}

fn ended(status: Ended) -> String {
    format!("it ended with {status}")
}

/// Returns the pause after this many deaths in a row.
pub(super) fn pause_after(deaths: u32) -> Duration {
    match deaths {
        0 | 1 => Duration::ZERO,
        // Ten doublings are far beyond the longest.
        deaths => (FIRST_PAUSE * (1 << (deaths - 2).min(10))).min(LONGEST_PAUSE),
    }
}
