//! Faults of a C ABI plugin in structs: false sizes, invalid pointers, false counts, and unchecked
//! conditions.

use std::ptr;
use std::sync::Barrier;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::wire::READ_ONLY;
use keystead_plugin_api::{Context, Deadline, ErrorKind, Result, SecretName, Value, Vault};

use super::super::host_table::HOST;
use super::super::table::*;
use super::super::vault::{self, CVault};
use super::whole::*;

fn soon() -> Deadline {
    Deadline::after(std::time::Duration::from_secs(60))
}

fn opened(table: PluginTable, host: &'static HostTable) -> CVault {
    let name = api::VaultName::parse("v").unwrap();
    let request = api::OpenRequest::new(name, "k", api::Parameters::new(), soon());
    vault::open(Box::leak(Box::new(table)), host, &request, Context::silent()).unwrap()
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn message<T>(result: Result<T>) -> String {
    result.err().expect("it must be refused").message().to_owned()
}

#[test]
fn struct_with_wrong_size_is_rejected() {
    // SAFETY: each size but the last is refused before it is followed; the last is true.
    let check = |size: u32| unsafe { grown(&Removed { size, present: 0, recoverable_until: 5 }) };
    for size in [0, 1, 15, 65_537, u32::MAX] {
        assert_eq!(message(check(size)), format!("a removal says that it has {size} bytes"));
    }
    assert_eq!(check(16).unwrap().recoverable_until, 5);
    // A later header has more fields at the end, which are not read.
    #[repr(C)]
    struct Later(Removed, u64);
    let later = Later(Removed { size: 24, present: 512, recoverable_until: 7 }, u64::MAX);
    let read = unsafe { grown(&later.0) }.unwrap();
    assert_eq!((read.present, read.recoverable_until), (512, 7));
    assert_eq!(later.1, u64::MAX);
}

#[test]
fn struct_at_null_or_misaligned_address_is_rejected() {
    fn check<T: Grown>() {
        // SAFETY: neither is followed.
        let null = unsafe { grown::<T>(ptr::null()) };
        assert_eq!(message(null), format!("{} is null", T::WHAT));
        // SAFETY: as above.
        let odd = unsafe { grown::<T>(ptr::without_provenance(3)) };
        assert_eq!(message(odd), format!("{} is misaligned", T::WHAT));
    }
    check::<Metadata>();
    check::<Challenge>();
    check::<Prompt>();
    check::<Secret>();
    check::<Written>();
    check::<Entry>();
    check::<Removed>();
    check::<RemovedSecret>();
    check::<Version>();
    check::<Rules>();
    check::<Action>();
    check::<OwnedParameter>();
    check::<ExecRequest>();
    check::<ReadFileRequest>();
    check::<ReplaceFileRequest>();
}

#[test]
fn bytes_with_null_pointer_or_excess_size_are_rejected() {
    let read = |data: *const u8, size| unsafe { Bytes { data, size }.text("it", 8) };
    assert_eq!(message(read(ptr::null(), 1)), "it is missing");
    assert_eq!(
        message(read(b"x".as_ptr(), usize::MAX)),
        format!("it has {} bytes; the most is 8", usize::MAX)
    );
    assert_eq!(message(read(b"\xff".as_ptr(), 1)), "it is not UTF-8");
    // Without bytes, the address means nothing.
    assert_eq!(read(ptr::without_provenance(1), 0), Ok(""));
    assert_eq!(read(ptr::null(), 0), Ok(""));
    let empty = Bytes::of(b"");
    assert!(empty.data.is_null() && empty.size == 0);
}

#[test]
fn prompt_with_invalid_choices_is_rejected() {
    static mut CHOICES: (*const Bytes, usize) = (ptr::null(), 0);
    unsafe extern "C" fn get(_: State, _: *const GetRequest, reply: u64) -> u32 {
        unsafe {
            let mut prompt = prompt("p", "P", 0);
            (prompt.kind, (prompt.choices.start, prompt.choices.count)) = (Opt(2), CHOICES);
            (HOST.challenge)(reply, &challenge("id"));
            (HOST.prompt)(reply, &prompt);
        }
        ErrorKind::Locked.code()
    }
    let mut vault = opened(PluginTable { get: Some(get), ..bare() }, &HOST);
    let mut answer = |choices, count| {
        unsafe { CHOICES = (choices, count) };
        message(vault.get(&api::GetRequest::new(name("n"), soon())))
    };
    assert_eq!(answer(ptr::null(), 2), "`choices` is missing");
    assert_eq!(answer(ptr::without_provenance(3), 1), "`choices` is missing");
    assert_eq!(answer(ptr::null(), usize::MAX), "`choices` has more than 32 items");
    assert_eq!(answer(&Bytes { data: ptr::null(), size: 1 }, 1), "`choices` is missing");
    assert_eq!(answer(ptr::null(), 0), "a prompt is a choice between nothing");
    assert_eq!(answer(&bytes("a"), 1), "the vault is locked");
}

#[test]
fn challenge_with_unknown_or_invalid_fields_is_rejected() {
    static mut FORM: (u32, u32, &str) = (0, 0, "");
    unsafe extern "C" fn get(_: State, _: *const GetRequest, reply: u64) -> u32 {
        unsafe {
            let (wait, kind, url) = FORM;
            let wait = Opt(Waiting { wait, ..Waiting::default() });
            let own = Challenge { wait, url: Opt(bytes(url)), ..challenge("id") };
            (HOST.challenge)(reply, &own);
            (HOST.prompt)(reply, &Prompt { kind: Opt(kind), ..prompt("p", "P", 0) });
        }
        ErrorKind::Locked.code()
    }
    let newer = |wants: &str| {
        format!("unlocking needs a newer host: the vault {wants} that this one does not know")
    };
    let mut vault = opened(PluginTable { get: Some(get), ..bare() }, &HOST);
    for (wait, kind, url, said) in [
        (0, 0, "", "the vault is locked"),
        (2, 3, "https://a.example/x", "the vault is locked"),
        (3, 0, "", &newer("waits in a way (3)")),
        (0, 4, "", &newer("asks for a kind of answer (4)")),
        (0, 2, "", "a prompt is a choice between nothing"),
        (0, 0, "http://a.example/", "a challenge's address is not `https`"),
        (0, 0, "https://a@b/", "a challenge's address has no plain host name"),
    ] {
        unsafe { FORM = (wait, kind, url) };
        assert_eq!(message(vault.get(&api::GetRequest::new(name("n"), soon()))), said);
    }
}

#[test]
fn if_version_without_conditional_flag_is_unsupported() {
    let mut vault = opened(PluginTable { flags: 0, ..whole() }, &HOST);
    asked();
    let write = |name_of: &str, version: Option<&str>| {
        let mut request = api::SetRequest::new(name(name_of), Value::text("x"), soon());
        request.if_version = version.map(str::to_owned);
        request
    };
    let mut remove = api::RemoveRequest::new(name("n"), soon());
    remove.if_version = Some("1".to_owned());
    let mut change = api::SetMetadataRequest::new(name("n"), api::Metadata::new(), soon());
    change.if_version = Some("1".to_owned());
    for refused in [
        vault.set(write("n", Some("1"))).map(drop),
        vault.remove(&remove).map(drop),
        vault.set_metadata(change).map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(asked(), [] as [String; 0], "nothing was called");
    let many = api::SetManyRequest::new(vec![write("a", Some("1")), write("b", None)]);
    let many = vault.set_many(many).unwrap().results;
    assert_eq!(many[0].as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(many[1].is_ok());
    assert_eq!(asked(), ["set_many 1"]);
}

#[test]
fn text_list_without_text_lists_flag_is_unsupported() {
    let mut vault = opened(PluginTable { flags: CONDITIONAL, ..whole() }, &HOST);
    asked();
    let mut list = api::Metadata::new();
    list.insert("l", api::MetadataValue::TextList(Vec::new())).unwrap();
    let write = |metadata: &api::Metadata| {
        let mut request = api::SetRequest::new(name("n"), Value::text("x"), soon());
        request.metadata = Some(metadata.clone());
        request
    };
    let change = api::SetMetadataRequest::new(name("n"), list.clone(), soon());
    for refused in [vault.set(write(&list)).map(drop), vault.set_metadata(change).map(drop)] {
        let expected = api::Error::unsupported("this vault keeps no list of texts, as `l` is");
        assert_eq!(refused.unwrap_err(), expected);
    }
    assert_eq!(asked(), [] as [String; 0], "nothing was called");
    let none = api::Metadata::new();
    let many = api::SetManyRequest::new(vec![write(&list), write(&none)]);
    let many = vault.set_many(many).unwrap().results;
    assert_eq!(many[0].as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(many[1].is_ok());
    assert_eq!(asked(), ["set_many 1"]);
}

/// Returns a plugin's piece of metadata as the host reads it, or its fault.
fn answered(piece: &Metadata) -> Result<api::Metadata> {
    static mut PIECE: *const Metadata = ptr::null();
    unsafe extern "C" fn describe(_: State, request: *const DescribeRequest, reply: u64) -> u32 {
        unsafe {
            (HOST.entry)(reply, &entry((*request).name, 1));
            (HOST.metadata)(reply, PIECE)
        }
    }
    let mut vault = opened(PluginTable { describe: Some(describe), ..bare() }, &HOST);
    unsafe { PIECE = piece };
    vault.describe(&api::DescribeRequest::new(name("n"), soon())).map(|entry| entry.metadata)
}

#[test]
fn text_list_with_invalid_texts_is_rejected() {
    let list = |start: *const Bytes, count| {
        answered(&Metadata { texts: Texts { start, count }, ..item("l", 5, 0, "") })
    };
    assert_eq!(message(list(ptr::null(), 2)), "a list of texts is missing");
    assert_eq!(message(list(ptr::without_provenance(3), 1)), "a list of texts is missing");
    assert_eq!(message(list(ptr::null(), usize::MAX)), "a list of texts has more than 1000 items");
    let long = "x".repeat(api::MAX_METADATA_BYTES);
    assert_eq!(message(list(&bytes(&long), 1)), "metadata has more than 65536 bytes");
    let faulty = Bytes::of(b"\xff");
    assert_eq!(message(list(&faulty, 1)), "a list of texts is not UTF-8");
    let found = list(ptr::null(), 0).unwrap();
    assert_eq!(found.get("l"), Some(&api::MetadataValue::TextList(Vec::new())));
    // Texts of another kind are not read.
    let texts = Texts { count: 9, ..Texts::default() };
    let other = Metadata { texts, ..item("i", 2, 7, "") };
    assert_eq!(answered(&other).unwrap().get("i"), Some(&api::MetadataValue::Integer(7)));
}

#[test]
fn unknown_metadata_flag_blocks_write_unless_read_only() {
    let flagged = |kind, flags| answered(&Metadata { flags, ..item("k", kind, 7, "") }).unwrap();
    for (kind, flags, shown, read_only, lossy) in [
        (2, 0, 1, false, false),
        (2, READ_ONLY, 1, true, false),
        (2, 2, 1, false, true),
        (2, READ_ONLY | 2, 1, true, false),
        (9, 0, 0, false, true),
        (9, READ_ONLY, 0, false, false),
    ] {
        let found = flagged(kind, flags);
        let told = (found.len(), found.is_read_only("k"), found.check_complete().is_err());
        assert_eq!(told, (shown, read_only, lossy), "kind {kind}, flags {flags}");
        assert_eq!(found.is_incomplete(), lossy || kind == 9);
    }
}

#[test]
fn reply_part_of_other_call_type_is_rejected() {
    static mut WHAT: usize = 0;
    unsafe fn all(reply: u64) -> u32 {
        let gone = RemovedSecret { name: bytes("n"), ..RemovedSecret::sized() };
        unsafe {
            let wrong = [
                (HOST.written)(reply, &version("1")),
                (HOST.removed)(reply, &Removed::sized()),
                (HOST.removed_secret)(reply, &gone),
                (HOST.version)(reply, &one_version("1", None)),
                (HOST.rules)(reply, &some_rules()),
                (HOST.entry)(reply, &entry(bytes("n"), 0)),
                (HOST.action)(reply, &action("a", "")),
                // A reply's number is no context.
                (HOST.keep_session)(reply, bytes("s"), 1),
                (HOST.forget_session)(reply),
                (HOST.next_cursor)(reply, bytes("c")),
            ];
            WHAT = wrong.into_iter().filter(|refused| *refused == 1).count();
        }
        0
    }
    unsafe extern "C" fn get(_: State, _: *const GetRequest, reply: u64) -> u32 {
        unsafe { all(reply) }
    }
    let mut vault = opened(PluginTable { get: Some(get), ..bare() }, &HOST);
    let fault = message(vault.get(&api::GetRequest::new(name("n"), soon())));
    assert_eq!(fault, "a written version was told to a call that asks for none");
    assert_eq!(unsafe { WHAT }, 10);
}

#[test]
fn timestamp_outside_years_1_to_9999_is_rejected() {
    unsafe extern "C" fn remove(_: State, _: *const RemoveRequest, reply: u64) -> u32 {
        let (present, recoverable_until) = (with::RECOVERABLE_UNTIL, i64::MAX);
        unsafe {
            (HOST.removed)(reply, &Removed { present, recoverable_until, ..Removed::sized() })
        }
    }
    let mut vault = opened(PluginTable { remove: Some(remove), ..whole() }, &HOST);
    let fault = message(vault.remove(&api::RemoveRequest::new(name("n"), soon())));
    assert_eq!(fault, "the end of a removed secret is outside the years 1 to 9999");
}

#[test]
fn name_rule_of_newer_plugin_is_unknown() {
    static mut NAMES: (u32, u32) = (0, 0);
    unsafe extern "C" fn rules(_: State, _: *const RulesRequest, reply: u64) -> u32 {
        unsafe {
            let (names, folding) = NAMES;
            (HOST.rules)(
                reply,
                &Rules { names: NameRule { names, folding, ..some_rules().names }, ..some_rules() },
            )
        }
    }
    let mut vault = opened(PluginTable { rules: Some(rules), ..whole() }, &HOST);
    let tables = api::UnicodeTables::new(15, 16);
    for (names, folding, expected) in [
        (0, 0, api::NameEquality::Unknown),
        (1, 0, api::NameEquality::Exact),
        (2, 0, api::NameEquality::AsciiCase),
        (3, 15, api::NameEquality::Composed(tables)),
        (4, 256, api::NameEquality::Unknown),
        (5, 15, api::NameEquality::Unknown),
    ] {
        unsafe { NAMES = (names, folding) };
        let answer = vault.rules(&api::RulesRequest::new(soon())).unwrap();
        assert_eq!(answer.names, expected);
    }
}

#[test]
fn plugin_opened_by_two_hosts_answers_each_host() {
    thread_local! {
        static OWN: std::cell::Cell<*const HostTable> = const { std::cell::Cell::new(ptr::null()) };
    }
    unsafe extern "C" fn open(
        host: *const HostTable,
        _: u64,
        _: *const OpenRequest,
        _: u64,
        state: *mut State,
    ) -> u32 {
        unsafe { state.write(host.cast_mut().cast()) };
        0
    }
    unsafe extern "C" fn get(state: State, _: *const GetRequest, reply: u64) -> u32 {
        let host = state.cast::<HostTable>();
        OWN.set(host);
        unsafe { ((*host).text)(reply, bytes("text")) }
    }
    static OTHER: std::sync::LazyLock<HostTable> = std::sync::LazyLock::new(|| HOST);
    let table = PluginTable { open: Some(open), get: Some(get), ..bare() };
    let (mut first, mut second) = (opened(table, &HOST), opened(table, &OTHER));
    for (vault, host) in [(&mut first, &raw const HOST), (&mut second, &raw const *OTHER)] {
        vault.get(&api::GetRequest::new(name("n"), soon())).unwrap();
        assert_eq!(OWN.get(), host);
    }
}

#[test]
fn vaults_of_same_plugin_are_called_in_parallel() {
    static BOTH: Barrier = Barrier::new(2);
    unsafe extern "C" fn get(_: State, request: *const GetRequest, reply: u64) -> u32 {
        // Neither call returns before the other has begun.
        BOTH.wait();
        unsafe { (HOST.text)(reply, (*request).name) }
    }
    let table = PluginTable { get: Some(get), ..bare() };
    let callers = ["a", "b"].map(|own| {
        let mut vault = opened(table, &HOST);
        std::thread::spawn(move || {
            let secret = vault.get(&api::GetRequest::new(name(own), soon())).unwrap();
            assert_eq!(secret.value, Value::text(own));
        })
    });
    for caller in callers {
        caller.join().unwrap();
    }
}

#[test]
fn random_plugin_replies_satisfy_plugin_api() {
    // Like the fuzz target, for a moment and always with the same input.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut script = Vec::new();
        for _ in 0..1 + state % 96 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let byte = (state >> 56) as u8;
            // Small numbers choose the answer, and must be frequent.
            script.push(if state & 0x400 == 0 { byte & 31 } else { byte });
        }
        super::super::fuzzing::answer(&script);
    }
}

#[test]
fn unknown_value_kind_fails_only_its_own_result() {
    unsafe extern "C" fn get_many(_: State, request: *const GetManyRequest, reply: u64) -> u32 {
        unsafe {
            for kind in [1, 77, 1] {
                (HOST.value)(reply, kind, bytes("\u{1}\0\0\0a"));
                (HOST.result)(reply, 0);
            }
            u32::from((*request).requests.count != 3)
        }
    }
    let mut vault = opened(PluginTable { get_many: Some(get_many), ..bare() }, &HOST);
    let request = ["a", "b", "c"].map(|of| api::GetRequest::new(name(of), soon()));
    let many = vault.get_many(&api::GetManyRequest::new(request.into())).unwrap().results;
    let [first, unknown, third] = <[_; 3]>::try_from(many).unwrap();
    assert_eq!(first.unwrap().value, Value::text("a"));
    assert_eq!(third.unwrap().value, Value::text("a"));
    let unknown = unknown.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unsupported);
    assert_eq!(unknown.message(), "the value is of kind 77, unknown here");
}

/// Makes a plugin report a false length, in a process of its own. `cargo xtask test` runs this in
/// the step `boundary under AddressSanitizer` to prove that the sanitizer is on.
#[test]
#[ignore = "needs asan"]
fn overlong_length_is_caught_by_sanitizer_needs_asan() {
    const LIES: &str = "KEYSTEAD_TEST_LIES";
    const OWN: &str =
        "plugin::c_abi::tests::attack::overlong_length_is_caught_by_sanitizer_needs_asan";
    unsafe extern "C" fn get(_: State, _: *const GetRequest, reply: u64) -> u32 {
        let own = vec![b'a'; 64].into_boxed_slice();
        unsafe { (HOST.text)(reply, Bytes { data: own.as_ptr(), size: own.len() + 1 }) }
    }
    if std::env::var_os(LIES).is_some() {
        let mut vault = opened(PluginTable { get: Some(get), ..bare() }, &HOST);
        let _ = vault.get(&api::GetRequest::new(name("n"), soon()));
        return;
    }
    let mut own = std::process::Command::new(std::env::current_exe().unwrap());
    let output =
        own.args(["--exact", OWN, "--ignored", "--nocapture"]).env(LIES, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the sanitizer is not on: {said}");
    assert!(said.contains("AddressSanitizer: heap-buffer-overflow"), "{said}");
}
