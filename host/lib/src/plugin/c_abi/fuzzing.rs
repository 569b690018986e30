//! For the fuzz target: a plugin that tells the host whatever the input says, and
//! calls whose answers are held to the contract. Not part of the library's interface.

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
    /// What the plugin is still to tell.
    static SCRIPT: RefCell<Script> = const { RefCell::new(Script { bytes: Vec::new(), at: 0 }) };
}

/// Bytes that decide.
struct Script {
    bytes: Vec<u8>,
    at: usize,
}

impl Script {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for _ in 0..8 {
            number = number << 8 | u64::from(self.byte().unwrap_or(0));
        }
        number
    }

    /// Returns bytes of the script, or none, or more than anybody takes.
    fn some(&mut self) -> Bytes {
        let length = self.byte().unwrap_or(0);
        let start = self.bytes.as_ptr().wrapping_add(self.at.min(self.bytes.len()));
        let left = self.bytes.len().saturating_sub(self.at);
        match length {
            255 => Bytes::NONE,
            254 => Bytes { data: ptr::null(), size: 9 },
            // No length that is believed leads out of the script.
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

/// Tells what the script says, until it says with which status to end.
fn tell(reply: u64) -> u32 {
    loop {
        // The borrow ends before the host is called: nothing there comes back here.
        let Some(what) = SCRIPT.with_borrow_mut(Script::byte) else { return 0 };
        let what = what % 28;
        let (a, b, number) = SCRIPT.with_borrow_mut(|script| match what {
            0 => (Bytes::NONE, Bytes::NONE, u64::from(script.byte().unwrap_or(0))),
            3 | 7 | 11..=25 => (script.some(), script.some(), script.number()),
            _ => (script.some(), Bytes::NONE, u64::from(script.byte().unwrap_or(0))),
        });
        // SAFETY: every length that the host believes is that of bytes of the script, which
        // stays as it is until the call has returned; see `Script::some`.
        let _ = unsafe { told(what, reply, a, b, number) };
        if what == 0 {
            return (number & 0xff) as u32 % 13;
        }
    }
}

/// Returns the size that a struct of this type says it has: mostly the truth, sometimes less.
fn said<T>(number: u64) -> u32 {
    match number >> 56 {
        1 => 0,
        2 => size::<T>() - 1,
        _ => size::<T>(),
    }
}

/// # Safety
/// The bytes are as the script gives them.
#[allow(clippy::multiple_unsafe_ops_per_block, reason = "one of many calls is made")]
unsafe fn told(what: u8, reply: u64, a: Bytes, b: Bytes, number: u64) -> u32 {
    let small = (number & 0xff) as u32;
    let signed = number.cast_signed();
    let (kind, flags, present, reserved) = (small, small >> 4, (number >> 8) as u32, 0);
    let secret = Secret {
        size: said::<Secret>(number),
        present,
        version: a,
        #[cfg(feature = "next")]
        lease_millis: number,
    };
    // SAFETY: passed on to the caller. Each struct is whole, whatever size it says.
    unsafe {
        match what {
            1 => (HOST.message)(reply, a),
            2 => (HOST.retry_after)(reply, number),
            3 => {
                let (message, url, wait, size) = (b, b, small, said::<Challenge>(number));
                let (interval_millis, expires_millis) = (number, number);
                let it = Challenge {
                    size,
                    present,
                    id: a,
                    message,
                    url,
                    wait,
                    reserved,
                    interval_millis,
                    expires_millis,
                };
                (HOST.challenge)(reply, &it)
            }
            4 => {
                let size = said::<Prompt>(number);
                let (choices, choice_count) = (&raw const b, usize::from(small == 9));
                let (name, label) = (a, a);
                let it = Prompt { size, present, kind, flags, name, label, choices, choice_count };
                (HOST.prompt)(reply, &it)
            }
            5 => (HOST.value)(reply, small, a),
            6 => (HOST.text)(reply, a),
            7 => (HOST.credential)(reply, a, b),
            8 => (HOST.bytes)(reply, a),
            9 => (HOST.json)(reply, a),
            10 => (HOST.next_cursor)(reply, a),
            11 => {
                let (size, integer) = (said::<Metadata>(number), signed);
                let list = [a, b];
                let (texts, text_count) = (list.as_ptr(), (small % 3) as usize);
                let (key, text) = (a, b);
                let it =
                    Metadata { size, kind, key, integer, text, texts, text_count, flags, reserved };
                (HOST.metadata)(reply, &it)
            }
            12 => (HOST.keep_session)(reply >> 24 << 24, a, number),
            13 => {
                let (size, created) = (said::<Version>(number), signed);
                let it = Version { size, present, id: a, created, flags, reserved };
                (HOST.version)(reply, &it)
            }
            14 => {
                let size = said::<Action>(number);
                let it = Action { size, present, id: a, description: b, flags, reserved };
                (HOST.action)(reply, &it)
            }
            15 => {
                let size = said::<Schema>(number);
                let (description, preset) = (b, b);
                let it = Schema { size, present, kind, flags, name: a, description, preset };
                (HOST.parameter)(reply, &it)
            }
            16 => (HOST.text)(number, a),
            17 => (HOST.result)(reply, small % 13),
            18 => (HOST.metadata)(reply, ptr::null()),
            19 => {
                let size = said::<Entry>(number);
                let it = Entry { size, present, name: a, kind, reserved, version: b };
                (HOST.entry)(reply, &it)
            }
            20 => (HOST.secret)(reply, &secret),
            21 => (HOST.written)(reply, &secret),
            22 => {
                let size = said::<Removed>(number);
                (HOST.removed)(reply, &Removed { size, present, recoverable_until: signed })
            }
            23 => {
                let size = said::<RemovedSecret>(number);
                let (removed, recoverable_until) = (signed, signed);
                let it =
                    RemovedSecret { size, present, name: a, id: b, removed, recoverable_until };
                (HOST.removed_secret)(reply, &it)
            }
            24 => {
                let size = said::<Rules>(number);
                let (names, folding, composition) = (small % 6, flags, small);
                let (max_name_bytes, max_value_bytes, name_grammar) = (number, number, a);
                let it = Rules {
                    size,
                    present,
                    names,
                    folding,
                    composition,
                    reserved,
                    max_name_bytes,
                    max_value_bytes,
                    name_grammar,
                };
                (HOST.rules)(reply, &it)
            }
            25 => (HOST.entry)(reply, ptr::without_provenance(3)),
            26 => (HOST.challenge)(reply, ptr::null()),
            27 => (HOST.rules)(reply, ptr::null()),
            _ => 0,
        }
    }
}

unsafe extern "C" fn open(
    _: *const HostTable,
    _: u64,
    _: *const OpenRequest,
    reply: u64,
    state: *mut State,
) -> u32 {
    // SAFETY: the host gives a place for it.
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

/// Opens a vault and calls it while the plugin tells what these bytes say.
///
/// # Panics
/// Where an answer breaks the contract.
pub fn answer(bytes: &[u8]) {
    SCRIPT.set(Script { bytes: bytes.to_vec(), at: 0 });
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

/// Returns what was answered, after a look at an error.
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
