//! For the fuzz target: a plugin that reports whatever the input says, and calls whose answers are
//! checked against the contract. Not part of the library's interface.

use std::cell::RefCell;
use std::ptr;
use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::{
    Context, Deadline, ErrorKind, MAX_CURSOR_BYTES, MAX_MESSAGE_BYTES, Parameters, SecretName,
    Value, Vault, VaultName,
};

use super::host_table::HOST;
use super::table::*;
use super::vault;

thread_local! {
    /// The rest of the plugin's script.
    static SCRIPT: RefCell<Script> = const { RefCell::new(Script::new(Vec::new())) };
}

/// Bytes that decide the plugin's behaviour.
pub(super) struct Script {
    bytes: Vec<u8>,
    at: usize,
    /// Targets of the pointers in structs, until the script ends.
    rows: Vec<Vec<Pair>>,
}

impl Script {
    const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, rows: Vec::new() }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    /// Returns a small number, as most meaningful numbers are.
    pub(super) fn small(&mut self) -> u32 {
        let byte = u32::from(self.byte().unwrap_or(0));
        // Bits of `present` are beyond a byte.
        if byte < 128 { byte } else { (byte & 127) << 7 }
    }

    fn number(&mut self) -> u64 {
        if self.byte().is_none_or(|byte| byte < 192) {
            return u64::from(self.small());
        }
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte().unwrap_or(0)))
    }

    /// Returns the size that a struct of this type states: mostly the true size, sometimes less.
    pub(super) fn size<T>(&mut self) -> u32 {
        match self.byte() {
            Some(254) => 0,
            Some(255) => size::<T>() - 1,
            _ => size::<T>(),
        }
    }

    /// Returns a field.
    pub(super) fn field<T: Scripted>(&mut self) -> T {
        T::scripted(self)
    }

    /// Returns a pointer to 2 pairs, and the stated count of pairs.
    fn row(&mut self) -> (*const Pair, usize) {
        let two = vec![self.field(), self.field()];
        let row = two.as_ptr();
        self.rows.push(two);
        match self.byte() {
            Some(255) => (row, usize::MAX / 2),
            Some(254) => (ptr::null(), 1),
            byte => (row, usize::from(byte.unwrap_or(0) % 3)),
        }
    }

    /// Returns bytes of the script, or none, or more than the host accepts.
    fn some(&mut self) -> Bytes {
        let length = self.byte().unwrap_or(0);
        let start = self.bytes.as_ptr().wrapping_add(self.at.min(self.bytes.len()));
        let left = self.bytes.len().saturating_sub(self.at);
        match length {
            255 => Bytes::NONE,
            254 => Bytes { data: ptr::null(), size: 9 },
            // No length that the host accepts leads out of the script.
            253 => Bytes { data: start, size: usize::MAX / 2 },
            252 => Bytes { data: start, size: (16 << 20) + 1 },
            length => {
                let length = usize::from(length).min(left);
                self.at += length;
                Bytes { data: start, size: length }
            }
        }
    }
}

/// A field whose value the script decides.
pub(super) trait Scripted {
    fn scripted(script: &mut Script) -> Self;
}

macro_rules! scripted {
    ($($type:ty, |$script:ident| $field:expr;)*) => {$(
        impl Scripted for $type {
            fn scripted($script: &mut Script) -> Self {
                $field
            }
        }
    )*};
}

scripted! {
    u32, |script| script.small();
    u64, |script| script.number();
    i64, |script| script.number().cast_signed();
    Bytes, |script| script.some();
    Padded, |script| Padded { number: script.small(), reserved: 0 };
    Pair, |script| Pair { name: script.some(), value: script.some() };
    NameRule, |script| NameRule {
        names: script.small(),
        folding: script.small(),
        composition: script.small(),
        reserved: 0,
    };
    Waiting, |script| Waiting {
        wait: script.small(),
        reserved: 0,
        interval_millis: script.number(),
        expires_millis: script.number(),
    };
    Variables, |script| {
        let (start, count) = script.row();
        Row { start, count }
    };
}

impl<T: Scripted> Scripted for Opt<T> {
    fn scripted(script: &mut Script) -> Self {
        Self(script.field())
    }
}

impl<const MOST: usize> Scripted for Row<Bytes, MOST> {
    fn scripted(script: &mut Script) -> Self {
        let (start, count) = script.row();
        Row { start: start.cast(), count }
    }
}

/// Returns the next field of the script. The borrow ends before the call of the host, which never
/// comes back here.
fn next<T: Scripted>() -> T {
    SCRIPT.with_borrow_mut(Script::field)
}

/// Calls the host as the script says, until the script gives the status to end with.
fn tell(reply: u64) -> u32 {
    loop {
        let Some(what) = SCRIPT.with_borrow_mut(Script::byte) else { return 0 };
        // SAFETY: every length that the host accepts is within the bytes of the script, which stay
        // unchanged until the call has returned; see `Script::some`.
        if let Some(status) = unsafe { told(what % 31, reply) } {
            return status;
        }
    }
}

/// Makes one call of the host, or returns the status to end with.
///
/// # Safety
/// The bytes are as the script gives them.
#[allow(clippy::multiple_unsafe_ops_per_block, reason = "one of many calls is made")]
unsafe fn told(what: u8, reply: u64) -> Option<u32> {
    /// A struct with the script's fields, whole whatever size the struct states.
    macro_rules! filled {
        ($type:ty) => {
            &SCRIPT.with_borrow_mut(<$type>::filled)
        };
    }
    let context = reply >> 24 << 24;
    let own = ptr::null_mut();
    // SAFETY: passed on to the caller.
    let _ = unsafe {
        match what {
            0 => return Some(next::<u32>() % 13),
            1 => (HOST.message)(reply, next()),
            2 => (HOST.retry_after)(reply, next()),
            3 => (HOST.challenge)(reply, filled!(Challenge)),
            4 => (HOST.prompt)(reply, filled!(Prompt)),
            5 => (HOST.value)(reply, next(), next()),
            6 => (HOST.text)(reply, next()),
            7 => (HOST.credential)(reply, next(), next()),
            8 => (HOST.bytes)(reply, next()),
            9 => (HOST.json)(reply, next()),
            10 => (HOST.next_cursor)(reply, next()),
            11 => {
                let it = Metadata {
                    size: size::<Metadata>(),
                    kind: next(),
                    key: next(),
                    integer: next(),
                    text: next(),
                    texts: next(),
                    flags: next(),
                    reserved: 0,
                };
                (HOST.metadata)(reply, &it)
            }
            12 => (HOST.keep_session)(context, next(), next()),
            13 => (HOST.version)(reply, filled!(Version)),
            14 => (HOST.action)(reply, filled!(Action)),
            15 => (HOST.parameter)(reply, filled!(OwnedParameter)),
            16 => (HOST.text)(next(), next()),
            17 => (HOST.result)(reply, next::<u32>() % 13),
            18 => (HOST.metadata)(reply, ptr::null()),
            19 => (HOST.entry)(reply, filled!(Entry)),
            20 => (HOST.secret)(reply, filled!(Secret)),
            21 => (HOST.written)(reply, filled!(Written)),
            22 => (HOST.removed)(reply, filled!(Removed)),
            23 => (HOST.removed_secret)(reply, filled!(RemovedSecret)),
            24 => (HOST.rules)(reply, filled!(Rules)),
            25 => (HOST.entry)(reply, ptr::without_provenance(3)),
            26 => (HOST.challenge)(reply, ptr::null()),
            27 => (HOST.rules)(reply, ptr::null()),
            28 => (HOST.exec)(context, filled!(ExecRequest), None, own),
            29 => (HOST.read_file)(context, filled!(ReadFileRequest), None, own),
            _ => (HOST.replace_file)(context, filled!(ReplaceFileRequest), None, own),
        }
    };
    None
}

unsafe extern "C" fn open(
    _: *const HostTable,
    _: u64,
    _: *const OpenRequest,
    reply: u64,
    state: *mut State,
) -> u32 {
    // SAFETY: the host provides memory for the state.
    unsafe { state.write(8 as State) };
    tell(reply)
}

unsafe extern "C" fn close(_: State) {}

unsafe extern "C" fn call<R>(_: State, _: *const R, reply: u64) -> u32 {
    tell(reply)
}

static PLUGIN: PluginTable = PluginTable {
    magic: MAGIC,
    size: size::<PluginTable>(),
    flags: CONDITIONAL,
    open: Some(open),
    close: Some(close),
    get: Some(call),
    list: Some(call),
    describe: Some(call),
    set: Some(call),
    remove: Some(call),
    set_metadata: Some(call),
    unlock: Some(call),
    lock: Some(call),
    test: Some(call),
    unregister: Some(call),
    versions: Some(call),
    actions: Some(call),
    run_action: Some(call),
    get_many: Some(call),
    set_many: Some(call),
    rename: Some(call),
    list_removed: Some(call),
    restore: Some(call),
    purge: Some(call),
    rules: Some(call),
    #[cfg(feature = "next")]
    health: None,
};

/// Opens a vault and calls it while the plugin reports what these bytes decide.
///
/// # Panics
/// If an answer breaks the contract.
pub fn answer(bytes: &[u8]) {
    SCRIPT.set(Script::new(bytes.to_vec()));
    let deadline = Deadline::after(Duration::from_secs(60));
    let name = VaultName::parse("v").expect("a good name");
    let request = api::OpenRequest::new(name, "k", Parameters::new(), deadline);
    let Some(mut vault) = seen(vault::open(&PLUGIN, &HOST, &request, Context::silent())) else {
        return;
    };
    let name = SecretName::parse("n").expect("a good name");
    let get = api::GetRequest::new(name.clone(), deadline);
    let describe = api::DescribeRequest::new(name.clone(), deadline);
    let versions = api::VersionsRequest::new(name.clone(), deadline);
    let two = api::GetManyRequest::new(vec![get.clone(), get.clone()]);
    let set = || api::SetRequest::new(name.clone(), Value::text("x"), deadline);
    while SCRIPT.with_borrow(|script| script.at < script.bytes.len()) {
        let Some(which) = SCRIPT.with_borrow_mut(Script::byte) else { return };
        match which % 16 {
            0 => drop(seen(vault.get(&get)).map(|secret| secret.value.encode().expect("checked"))),
            1 => {
                let mut request = api::ListRequest::new(deadline);
                (request.limit, request.cursor) = (2, Some("n".to_owned()));
                if let Some(page) = seen(vault.list(&request)) {
                    assert!(page.entries.len() <= 2 && page.next_cursor != request.cursor);
                    assert!(page.next_cursor.is_none_or(|next| next.len() <= MAX_CURSOR_BYTES));
                }
            }
            2 => drop(seen(vault.describe(&describe))),
            3 => drop(seen(vault.set(set()))),
            4 => {
                let many = seen(vault.get_many(&two));
                assert!(many.is_none_or(|many| many.results.into_iter().map(seen).count() == 2));
            }
            5 => {
                let many = seen(vault.set_many(api::SetManyRequest::new(vec![set(), set()])));
                assert!(many.is_none_or(|many| many.results.into_iter().map(seen).count() == 2));
            }
            6 => {
                let request = api::UnlockRequest::new("id", Vec::new(), deadline);
                let _ = seen(vault.unlock(&request));
            }
            7 => {
                let page = seen(vault.versions(&versions));
                assert!(page.is_none_or(|page| page.versions.len() <= versions.limit));
            }
            8 => drop(seen(vault.actions(&api::ActionsRequest::new(deadline)))),
            9 => {
                let request = api::ActionRequest::new("a", Parameters::new(), deadline);
                let outcome = seen(vault.run_action(&request));
                assert!(outcome.is_none_or(|it| it.message.len() <= MAX_MESSAGE_BYTES));
            }
            10 => {
                let page = seen(vault.list_removed(&api::ListRemovedRequest::new(deadline)));
                assert!(page.is_none_or(|page| page.secrets.len() <= api::MAX_PAGE_ENTRIES));
            }
            11 => drop(seen(vault.restore(&api::RestoreRequest::new(name.clone(), deadline)))),
            12 => drop(seen(vault.purge(&api::PurgeRequest::new(name.clone(), deadline)))),
            13 => drop(seen(vault.rules(&api::RulesRequest::new(deadline)))),
            14 => drop(seen(vault.remove(&api::RemoveRequest::new(name.clone(), deadline)))),
            _ => drop(seen(vault.test(&api::TestRequest::new(deadline)))),
        }
    }
}

/// Returns a successful answer, and checks an error.
fn seen<T>(answer: api::Result<T>) -> Option<T> {
    let error = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    assert!(error.message().len() <= MAX_MESSAGE_BYTES);
    assert_eq!(error.challenge().is_some(), error.kind() == ErrorKind::Locked);
    if let Some(challenge) = error.challenge() {
        assert!(challenge.prompts.len() <= api::Challenge::MAX_PROMPTS);
        assert!(!challenge.prompts.is_empty() || challenge.wait != api::Wait::None);
    }
    None
}
