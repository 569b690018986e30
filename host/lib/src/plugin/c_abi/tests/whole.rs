//! A plugin of the C ABI with every function: it notes each request, and gives the answers that the
//! tests of `plugin` expect.

use std::cell::RefCell;

use keystead_plugin_api::ErrorKind;
use keystead_plugin_api::abi::wire::READ_ONLY;

use super::super::host_table::HOST;
use super::super::table::*;

thread_local! {
    /// Requests that the plugin received.
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
    // An empty value is null, never the address of no bytes.
    assert_eq!(bytes.data.is_null(), bytes.size == 0);
    if bytes.size == 0 {
        return "-".to_owned();
    }
    unsafe { bytes.text("it", 1_000) }.unwrap().escape_debug().to_string()
}

/// Returns the bytes as text if their bit is set, and `-` otherwise.
unsafe fn maybe(present: u32, bit: u32, bytes: Bytes) -> String {
    if present & bit == 0 {
        assert!(bytes.data.is_null());
        return "-".to_owned();
    }
    format!("={}", unsafe { shown(bytes) })
}

unsafe fn items(List { start: items, count }: &List<Parameter>) -> String {
    assert_eq!(items.is_null(), *count == 0);
    let each = (0..*count).map(|at| unsafe {
        let item = &**items.add(at);
        assert_eq!(item.size, size::<Parameter>());
        format!("{}:{}:{}:{}", shown(item.name), item.kind, item.integer, shown(item.text))
    });
    format!("[{}]", each.collect::<Vec<_>>().join(" "))
}

unsafe fn pieces(List { start: pieces, count }: &List<Metadata>) -> String {
    assert_eq!(pieces.is_null(), *count == 0);
    let each = (0..*count).map(|at| unsafe {
        let piece = &**pieces.add(at);
        assert_eq!((piece.size, piece.flags), (size::<Metadata>(), 0));
        let Texts { start, count } = piece.texts;
        assert_eq!(start.is_null(), count == 0);
        let texts = (0..count).map(|at| format!("{},", shown(*start.add(at))));
        let (key, text) = (shown(piece.key), shown(piece.text));
        let texts = if piece.kind == 5 { texts.collect() } else { text };
        format!("{key}:{}:{}:{texts}", piece.kind, piece.integer)
    });
    format!("[{}]", each.collect::<Vec<_>>().join(" "))
}

const STATE: State = 8 as State;

unsafe extern "C" fn open(
    host: *const HostTable,
    context: u64,
    request: *const OpenRequest,
    reply: u64,
    state: *mut State,
) -> u32 {
    unsafe {
        assert_eq!(((*host).magic, (*host).size), (MAGIC, size::<HostTable>()));
        let r = &*request;
        let parameters = items(&r.parameters);
        let (vault, kind, millis) = (shown(r.vault), shown(r.kind), r.session_millis);
        let session = maybe(r.present, with::SESSION, r.session);
        let host = format!("{}/{}", shown(r.host_name.name), shown(r.host_name.value));
        note(format!("open {vault} {kind} {parameters} {session} {millis} {host}"), reply);
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
        note(format!("get {name} {}", maybe(r.present, with::VERSION, r.version)), reply);
        tell_secret(&name, reply)
    }
}

pub(super) fn item(key: &str, kind: u32, integer: i64, text: &str) -> Metadata {
    Metadata {
        size: size::<Metadata>(),
        kind,
        key: bytes(key),
        integer,
        text: bytes(text),
        ..Metadata::default()
    }
}

/// Returns the details of a secret with this version.
pub(super) fn known(text: &str) -> Secret {
    Secret { present: with::VERSION, version: bytes(text), ..Secret::sized() }
}

/// Returns the result of a write with this version.
pub(super) fn version(text: &str) -> Written {
    Written { present: with::VERSION, version: bytes(text), ..Written::sized() }
}

/// Returns an entry with this name, without a version.
pub(super) fn entry(name: Bytes, kind: u32) -> Entry {
    let kind = Opt(Padded { number: kind, reserved: 0 });
    Entry { name, kind, ..Entry::sized() }
}

/// Returns a version with this name; the time of the epoch is a valid time.
pub(super) fn one_version(id: &str, created: Option<i64>) -> Version {
    let present = if created.is_some() { with::CREATED } else { 0 };
    Version { present, id: bytes(id), created: created.unwrap_or(7), ..Version::sized() }
}

/// Returns a destructive action.
pub(super) fn action(id: &str, description: &str) -> Action {
    let flags = Padded { number: 1, reserved: 0 };
    Action { id: bytes(id), description: bytes(description), flags, ..Action::sized() }
}

pub(super) fn schema(name: &str, kind: u32, description: &str, preset: &str) -> OwnedParameter {
    let (name, description, preset) = (bytes(name), bytes(description), bytes(preset));
    OwnedParameter { kind, flags: 1, name, description, preset, ..OwnedParameter::sized() }
}

/// Returns an unlock step with every field set.
pub(super) fn challenge(id: &str) -> Challenge {
    Challenge {
        id: bytes(id),
        message: Opt(bytes("open this")),
        url: Opt(bytes("https://example.com/")),
        wait: Opt(Waiting {
            wait: 1,
            interval_millis: 5_000,
            expires_millis: 60_000,
            ..Waiting::default()
        }),
        ..Challenge::sized()
    }
}

pub(super) fn prompt(name: &str, label: &str, flags: u32) -> Prompt {
    Prompt { flags, name: bytes(name), label: bytes(label), ..Prompt::sized() }
}

unsafe fn tell_secret(name: &str, reply: u64) -> u32 {
    unsafe {
        let told = match name {
            "text" => (HOST.text)(reply, bytes("a text")),
            "bytes" => (HOST.bytes)(reply, Bytes::of(&[0, 255])),
            "credential" => (HOST.credential)(reply, bytes("user"), bytes("password")),
            "json" => (HOST.json)(reply, bytes("[1.0]")),
            "form" => (HOST.value)(reply, 1, Bytes::of(b"\x02\0\0\0ab")),
            "slow" => {
                (HOST.message)(reply, bytes("slow down"));
                return (HOST.retry_after)(reply, 1_500) + ErrorKind::Unavailable.code();
            }
            _ => return ErrorKind::NotFound.code(),
        };
        for (key, kind, integer, text) in
            [("t", 1, 0, "x"), ("i", 2, -4, ""), ("b", 3, 1, ""), ("at", 4, 5, "")]
        {
            (HOST.metadata)(reply, &item(key, kind, integer, text));
        }
        let list = [bytes("b"), Bytes::NONE, bytes("a")];
        let texts = Texts { start: list.as_ptr(), count: list.len() };
        (HOST.metadata)(reply, &Metadata { texts, ..item("l", 5, 0, "") });
        (HOST.metadata)(reply, &item("no-l", 5, 0, ""));
        (HOST.metadata)(reply, &Metadata { flags: READ_ONLY, ..item("own", 2, 7, "") });
        told + (HOST.secret)(reply, &known("v1"))
    }
}

unsafe extern "C" fn list(_: State, request: *const ListRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let cursor = maybe(r.present, with::CURSOR, r.cursor);
        let pattern = maybe(r.present, with::PATTERN, r.pattern);
        note(format!("list {cursor} {pattern} {} {}", shown(r.prefix), r.limit.number), reply);
        let first = r.present & with::CURSOR == 0;
        let mut found = entry(bytes(if first { "a" } else { "b" }), 1);
        (found.present, found.version) = (with::VERSION, bytes("v1"));
        (HOST.entry)(reply, &found);
        (HOST.metadata)(reply, &item("new", 9, 0, ""));
        if first { (HOST.next_cursor)(reply, bytes("a")) } else { 0 }
    }
}

unsafe extern "C" fn describe(_: State, request: *const DescribeRequest, reply: u64) -> u32 {
    unsafe {
        note(format!("describe {}", shown((*request).name)), reply);
        (HOST.entry)(reply, &entry((*request).name, 99))
    }
}

unsafe fn shown_set(r: &SetRequest) -> String {
    let value = unsafe { r.value.read("it", 1_000) }.unwrap();
    let given = r.present & with::METADATA != 0;
    let metadata = unsafe { pieces(&r.metadata) };
    let metadata = if given { metadata } else { "-".to_owned() };
    let name = unsafe { shown(r.name) };
    let expected = unsafe { maybe(r.present, with::IF_VERSION, r.if_version) };
    format!("{name} {} {value:?} {} {metadata} {expected}", r.value_kind, r.mode)
}

pub(super) unsafe extern "C" fn set(_: State, request: *const SetRequest, reply: u64) -> u32 {
    note(format!("set {}", unsafe { shown_set(&*request) }), reply);
    unsafe { (HOST.written)(reply, &version("v2")) }
}

unsafe extern "C" fn remove(_: State, request: *const RemoveRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let expected = maybe(r.present, with::IF_VERSION, r.if_version);
        note(format!("remove {} {expected}", shown(r.name)), reply);
        (HOST.removed)(reply, &Removed { present: with::RECOVERABLE_UNTIL, ..Removed::sized() })
    }
}

unsafe extern "C" fn set_metadata(_: State, r: *const SetMetadataRequest, reply: u64) -> u32 {
    let r = unsafe { &*r };
    let metadata = unsafe { pieces(&r.metadata) };
    let expected = unsafe { maybe(r.present, with::IF_VERSION, r.if_version) };
    note(format!("set_metadata {} {metadata} {expected}", unsafe { shown(r.name) }), reply);
    unsafe { (HOST.written)(reply, &version("v3")) }
}

unsafe extern "C" fn unlock(_: State, request: *const UnlockRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let answer = &**r.answers.start;
        let (name, value) = (shown(answer.name), shown(answer.value));
        note(format!("unlock {} {} {name} {value}", shown(r.challenge), r.answers.count), reply);
        (HOST.keep_session)(LAST.with_borrow(|last| last.0), bytes("session"), 60_000)
    }
}

unsafe extern "C" fn lock(_: State, _: *const LockRequest, reply: u64) -> u32 {
    note("lock".to_owned(), reply);
    unsafe {
        (HOST.challenge)(reply, &challenge("id"));
        (HOST.prompt)(reply, &prompt("pin", "The PIN", 3));
        let choices = [bytes("a"), bytes("b")];
        let mut user = prompt("user", "User", 0);
        (user.kind, user.choices) = (Opt(2), Choices { start: choices.as_ptr(), count: 2 });
        (HOST.prompt)(reply, &user);
    }
    ErrorKind::Locked.code()
}

unsafe extern "C" fn test(_: State, request: *const TestRequest, reply: u64) -> u32 {
    unsafe { plain((*request).deadline_millis, reply) }
}

unsafe extern "C" fn unregister(_: State, request: *const UnregisterRequest, reply: u64) -> u32 {
    unsafe { plain((*request).deadline_millis, reply) }
}

fn plain(left: u64, reply: u64) -> u32 {
    note(format!("plain {}", left > 1_000 && left <= 60_000), reply);
    0
}

unsafe extern "C" fn versions(_: State, request: *const VersionsRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let cursor = maybe(r.present, with::CURSOR, r.cursor);
        note(format!("versions {} {cursor} {}", shown(r.name), r.limit.number), reply);
        (HOST.version)(reply, &one_version("2", Some(0)));
        (HOST.metadata)(reply, &item("t", 1, 0, "x"));
        (HOST.version)(
            reply,
            &Version { flags: Padded { number: 1, reserved: 0 }, ..one_version("1", None) },
        );
        (HOST.next_cursor)(reply, bytes("1"))
    }
}

unsafe extern "C" fn list_removed(_: State, r: *const ListRemovedRequest, reply: u64) -> u32 {
    unsafe {
        let cursor = maybe((*r).present, with::CURSOR, (*r).cursor);
        note(format!("list_removed {cursor} {}", (*r).limit.number), reply);
        let name = bytes("gone");
        let all = with::ID | with::REMOVED | with::RECOVERABLE_UNTIL;
        for (present, id) in [(all, bytes("7")), (0, Bytes::NONE)] {
            let recoverable_until = 9;
            let it =
                RemovedSecret { present, name, id, recoverable_until, ..RemovedSecret::sized() };
            (HOST.removed_secret)(reply, &it);
        }
        (HOST.next_cursor)(reply, bytes("c"))
    }
}

unsafe extern "C" fn restore(_: State, request: *const RestoreRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let id = maybe(r.present, with::ID, r.id);
        let version_of = maybe(r.present, with::VERSION, r.version);
        note(format!("restore {} {id} {version_of}", shown(r.name)), reply);
        (HOST.written)(reply, &version("v4"))
    }
}

unsafe extern "C" fn purge(_: State, request: *const PurgeRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let id = maybe(r.present, with::ID, r.id);
        let version = maybe(r.present, with::VERSION, r.version);
        note(format!("purge {} {id} {version}", shown(r.name)), reply);
    }
    0
}

/// Returns the rules that the plugin answers.
pub(super) fn some_rules() -> Rules {
    Rules {
        names: NameRule { names: 4, folding: 15, composition: 16, reserved: 0 },
        max_name_bytes: Opt(255),
        name_grammar: Opt(bytes("letters")),
        ..Rules::sized()
    }
}

unsafe extern "C" fn rules(_: State, _: *const RulesRequest, reply: u64) -> u32 {
    note("rules".to_owned(), reply);
    unsafe { (HOST.rules)(reply, &some_rules()) }
}

unsafe extern "C" fn actions(_: State, _: *const ActionsRequest, reply: u64) -> u32 {
    note("actions".to_owned(), reply);
    unsafe {
        (HOST.action)(reply, &action("burn", "burns it"));
        (HOST.parameter)(reply, &schema("how", 2, "how much", "3"))
    }
}

unsafe extern "C" fn act(_: State, request: *const ActionRequest, reply: u64) -> u32 {
    unsafe {
        let r = &*request;
        let parameters = items(&r.parameters);
        note(format!("act {} {parameters}", shown(r.action)), reply);
        (HOST.message)(reply, bytes("done"));
        (HOST.text)(reply, bytes("a code"))
    }
}

unsafe extern "C" fn get_many(_: State, request: *const GetManyRequest, reply: u64) -> u32 {
    let List { start: requests, count } = unsafe { &(*request).requests };
    note(format!("get_many {count}"), reply);
    for at in 0..*count {
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

unsafe extern "C" fn set_many(_: State, request: *const SetManyRequest, reply: u64) -> u32 {
    let List { start: requests, count } = unsafe { &(*request).requests };
    note(format!("set_many {count}"), reply);
    for at in 0..*count {
        unsafe {
            let name = shown((**requests.add(at)).name);
            if name == "a" {
                (HOST.written)(reply, &version("v5"));
            }
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
    unsafe { (HOST.written)(reply, &version("")) }
}

/// Returns a table with every function.
pub(super) fn whole() -> PluginTable {
    PluginTable {
        magic: MAGIC,
        size: size::<PluginTable>(),
        flags: CONDITIONAL | TEXT_LISTS,
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
        test: Some(test),
        unregister: Some(unregister),
        versions: Some(versions),
        actions: Some(actions),
        run_action: Some(act),
        get_many: Some(get_many),
        set_many: Some(set_many),
        rename: Some(rename),
        list_removed: Some(list_removed),
        restore: Some(restore),
        purge: Some(purge),
        rules: Some(rules),
    }
}

/// Returns a table with only the functions that every plugin has.
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
        list_removed: None,
        restore: None,
        purge: None,
        rules: None,
        ..whole()
    }
}
