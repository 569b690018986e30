//! A plugin of the C door that does all there is: it notes what it is asked, and tells what
//! the tests of `plugin` expect.

use std::cell::RefCell;
use std::ptr;

use keystead_plugin_api::ErrorKind;

use super::super::table::*;
use super::super::told::HOST;

thread_local! {
    /// What the plugin was asked.
    static ASKED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The context and the last reply.
    pub(super) static LAST: RefCell<(u64, u64)> = const { RefCell::new((0, 0)) };
}

pub(super) fn asked() -> Vec<String> {
    ASKED.take()
}

fn note(text: String, reply: u64) {
    ASKED.with_borrow_mut(|asked| asked.push(text));
    LAST.with_borrow_mut(|last| last.1 = reply);
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::of(text.as_bytes())
}

pub(super) unsafe fn shown(bytes: Bytes) -> String {
    if bytes.data.is_null() {
        return "-".to_owned();
    }
    unsafe { bytes.text("it", 1_000) }.unwrap().escape_debug().to_string()
}

unsafe fn items(items: *const Item, count: usize) -> String {
    if items.is_null() {
        return "-".to_owned();
    }
    let each = (0..count).map(|at| unsafe {
        let item = &*items.add(at);
        format!("{}:{}:{}:{}", shown(item.name), item.kind, item.integer, shown(item.text))
    });
    format!("[{}]", each.collect::<Vec<_>>().join(" "))
}

const STATE: State = 8 as State;

unsafe extern "C" fn open(
    request: *const OpenRequest,
    context: u64,
    reply: u64,
    state: *mut State,
) -> u32 {
    unsafe {
        let r = &*request;
        let parameters = items(r.parameters, r.parameter_count);
        let (vault, kind, session) = (shown(r.vault), shown(r.kind), shown(r.session));
        let millis = r.session_millis;
        note(format!("open {vault} {kind} {parameters} {session} {millis}"), reply);
        state.write(STATE);
    }
    LAST.with_borrow_mut(|last| last.0 = context);
    0
}

unsafe extern "C" fn close(_: State) {
    note("close".to_owned(), 0);
}

unsafe extern "C" fn get(_: State, request: *const GetRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let name = shown(r.name);
        note(format!("get {name} {}", shown(r.version)), reply);
        tell_secret(&name, reply)
    }
}

unsafe fn tell_secret(name: &str, reply: u64) -> u32 {
    unsafe {
        let told = match name {
            "text" => (HOST.text)(reply, bytes("a text")),
            "bytes" => (HOST.bytes)(reply, Bytes::of(&[0, 255])),
            "credential" => (HOST.credential)(reply, bytes("user"), bytes("password")),
            "form" => (HOST.value)(reply, 1, Bytes::of(b"\x02\0\0\0ab")),
            "slow" => {
                (HOST.message)(reply, bytes("slow down"));
                return (HOST.wait)(reply, 1_500) + ErrorKind::Unavailable.code();
            }
            _ => return ErrorKind::NotFound.code(),
        };
        for (key, kind, integer, text) in
            [("t", 1, 0, "x"), ("i", 2, -4, ""), ("b", 3, 1, ""), ("at", 4, 5, "")]
        {
            let item = Item { name: bytes(key), kind, integer, text: bytes(text) };
            (HOST.metadata)(reply, &item);
        }
        told
    }
}

unsafe extern "C" fn list(_: State, request: *const ListRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        note(format!("list {} {} {}", shown(r.cursor), shown(r.pattern), r.limit), reply);
        let first = r.cursor.data.is_null();
        (HOST.entry)(reply, bytes(if first { "a" } else { "b" }), 1);
        let unknown = Item { name: bytes("new"), kind: 9, integer: 0, text: Bytes::NONE };
        (HOST.metadata)(reply, &unknown);
        if first { (HOST.next_cursor)(reply, bytes("a")) } else { 0 }
    }
}

unsafe extern "C" fn describe(_: State, request: *const GetRequest, reply: u64) -> u32 {
    unsafe {
        note(format!("describe {}", shown((*request).name)), reply);
        (HOST.entry)(reply, (*request).name, 99)
    }
}

unsafe fn shown_set(r: &SetRequest) -> String {
    let value = unsafe { r.value.read("it", 1_000) }.unwrap();
    let metadata = unsafe { items(r.metadata, r.metadata_count) };
    let name = unsafe { shown(r.name) };
    format!("{name} {} {value:?} {} {metadata}", r.value_kind, r.mode)
}

pub(super) unsafe extern "C" fn set(_: State, request: *const SetRequest, reply: u64) -> u32 {
    note(format!("set {}", unsafe { shown_set(&*request) }), reply);
    0
}

unsafe extern "C" fn remove(_: State, request: *const GetRequest, reply: u64) -> u32 {
    note(format!("remove {}", unsafe { shown((*request).name) }), reply);
    0
}

unsafe extern "C" fn set_metadata(_: State, r: *const SetMetadataRequest, reply: u64) -> u32 {
    let r = unsafe { &*r };
    let metadata = unsafe { items(r.metadata, r.metadata_count) };
    note(format!("set_metadata {} {metadata}", unsafe { shown(r.name) }), reply);
    0
}

unsafe extern "C" fn unlock(_: State, request: *const UnlockRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let answer = &*r.answers;
        let (name, value) = (shown(answer.name), shown(answer.value));
        note(format!("unlock {} {} {name} {value}", shown(r.challenge), r.answer_count), reply);
        (HOST.session)(reply, bytes("session"), 60_000)
    }
}

unsafe extern "C" fn lock(_: State, _: *const PlainRequest, reply: u64) -> u32 {
    note("lock".to_owned(), reply);
    unsafe {
        (HOST.challenge)(reply, bytes("id"));
        (HOST.prompt)(reply, bytes("pin"), bytes("The PIN"), 3);
        (HOST.prompt)(reply, bytes("user"), bytes("User"), 0);
    }
    ErrorKind::Locked.code()
}

unsafe extern "C" fn plain(_: State, request: *const PlainRequest, reply: u64) -> u32 {
    let left = unsafe { (*request).deadline_millis };
    note(format!("plain {}", left > 1_000 && left <= 60_000), reply);
    0
}

unsafe extern "C" fn versions(_: State, request: *const GetRequest, reply: u64) -> u32 {
    unsafe {
        note(format!("versions {}", shown((*request).name)), reply);
        (HOST.version)(reply, bytes("2"), &7);
        (HOST.version)(reply, bytes("1"), ptr::null())
    }
}

unsafe extern "C" fn actions(_: State, _: *const PlainRequest, reply: u64) -> u32 {
    note("actions".to_owned(), reply);
    unsafe {
        (HOST.action)(reply, bytes("burn"), bytes("burns it"), 1);
        (HOST.parameter)(reply, bytes("how"), 2, 1, bytes("how much"), bytes("3"))
    }
}

unsafe extern "C" fn act(_: State, request: *const ActionRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let parameters = items(r.parameters, r.parameter_count);
        note(format!("act {} {parameters}", shown(r.action)), reply);
        (HOST.message)(reply, bytes("done"));
        (HOST.text)(reply, bytes("a code"))
    }
}

unsafe extern "C" fn get_many(
    _: State,
    requests: *const *const GetRequest,
    count: usize,
    reply: u64,
) -> u32 {
    note(format!("get_many {count}"), reply);
    for at in 0..count {
        unsafe {
            let name = shown((**requests.add(at)).name);
            if name != "unanswered" {
                let status = tell_secret(&name, reply);
                (HOST.result)(reply, status);
            }
        }
    }
    0
}

unsafe extern "C" fn set_many(
    _: State,
    requests: *const *const SetRequest,
    count: usize,
    reply: u64,
) -> u32 {
    note(format!("set_many {count}"), reply);
    for at in 0..count {
        unsafe {
            let name = shown((**requests.add(at)).name);
            (HOST.result)(
                reply,
                if name == "bad" { ErrorKind::PermissionDenied.code() } else { 0 },
            );
            if name == "twice" {
                (HOST.result)(reply, 0);
            }
        }
    }
    0
}

unsafe extern "C" fn rename(_: State, request: *const RenameRequest, reply: u64) -> u32 {
    // SAFETY: the host keeps the request alive until this returns.
    let (from, to) = unsafe { (shown((*request).from), shown((*request).to)) };
    note(format!("rename {from} {to}"), reply);
    0
}

/// A table with everything.
pub(super) fn whole() -> PluginTable {
    PluginTable {
        magic: MAGIC,
        size: size_of::<PluginTable>(),
        open: Some(open),
        close: Some(close),
        get: Some(get),
        list: Some(list),
        describe: Some(describe),
        set: Some(set),
        remove: Some(remove),
        set_metadata: Some(set_metadata),
        unlock: Some(unlock),
        lock: Some(lock),
        test: Some(plain),
        unregister: Some(plain),
        versions: Some(versions),
        actions: Some(actions),
        run_action: Some(act),
        get_many: Some(get_many),
        set_many: Some(set_many),
        rename: Some(rename),
    }
}

/// A table with what every plugin has.
pub(super) fn bare() -> PluginTable {
    PluginTable {
        describe: None,
        set: None,
        remove: None,
        set_metadata: None,
        unlock: None,
        lock: None,
        test: None,
        unregister: None,
        versions: None,
        actions: None,
        run_action: None,
        get_many: None,
        set_many: None,
        rename: None,
        ..whole()
    }
}
