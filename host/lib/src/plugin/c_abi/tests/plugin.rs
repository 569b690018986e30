//! Each call of the plugin API through the C ABI, state that ends with a call, and invalid tables.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::{
    Answer, Context, Deadline, Error, ErrorKind, Level, Metadata, MetadataValue, ParameterValue,
    Parameters, Result, SecretBytes, SecretName, SecretText, Services, Session, Value, Vault,
    VaultName,
};

use super::super::host_table::HOST;
use super::super::table::*;
use super::super::{copied, vault};
use super::whole::{LAST, action, asked, bare, bytes, one_version, schema, set, shown, whole};

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Services for Recorder {
    fn log(&self, level: Level, message: &str) {
        self.0.lock().unwrap().push(format!("{level:?} {message}"));
    }

    fn keep_session(&self, session: Session) {
        let line = format!("session {:?} {:?}", session.secret.expose(), session.lifetime);
        self.0.lock().unwrap().push(line);
    }

    fn forget_session(&self) {
        self.0.lock().unwrap().push("forget".to_owned());
    }

    fn exec(&self, request: api::ExecRequest) -> Result<api::ExecOutput> {
        if request.program != "program" {
            return Err(Error::permission_denied("not granted"));
        }
        let api::ExecRequest { arguments, input, environment, .. } = &request;
        let said = format!("{arguments:?} {:?} {environment:?}", input.expose());
        let output = SecretBytes::new(said.into_bytes());
        Ok(api::ExecOutput::new(3, output, "warned".to_owned()))
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn opened(table: PluginTable, context: Context) -> vault::CVault {
    let mut parameters = Parameters::new();
    parameters.insert("text", ParameterValue::Text("x".to_owned()));
    parameters.insert("number", ParameterValue::Integer(-1));
    parameters.insert("yes", ParameterValue::Boolean(true));
    parameters.insert("secret", ParameterValue::Secret(SecretText::new("s")));
    let name = VaultName::parse("v").unwrap();
    let mut request = api::OpenRequest::new(name, "k", parameters, soon());
    let secret = SecretBytes::new(b"old".to_vec());
    request.session = Some(Session::new(secret, Duration::from_secs(2)));
    request.host = Some(api::HostInfo::new("host", "1.2.3"));
    vault::open(Box::leak(Box::new(table)), &HOST, &request, context).unwrap()
}

fn named(text: &str) -> api::GetRequest {
    api::GetRequest::new(SecretName::parse(text).unwrap(), soon())
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn described(text: &str) -> api::DescribeRequest {
    api::DescribeRequest::new(name(text), soon())
}

fn removed(text: &str) -> api::RemoveRequest {
    api::RemoveRequest::new(name(text), soon())
}

fn versions_of(text: &str) -> api::VersionsRequest {
    api::VersionsRequest::new(name(text), soon())
}

fn several(names: &[&str]) -> api::GetManyRequest {
    api::GetManyRequest::new(names.iter().map(|name| named(name)).collect())
}

fn write(name: &str) -> api::SetRequest {
    api::SetRequest::new(SecretName::parse(name).unwrap(), Value::text("x"), soon())
}

fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("t", MetadataValue::Text("x".to_owned())).unwrap();
    metadata.insert("i", MetadataValue::Integer(-4)).unwrap();
    metadata.insert("b", MetadataValue::Boolean(true)).unwrap();
    metadata.insert("at", MetadataValue::Timestamp(5)).unwrap();
    let texts = ["b", "", "a"].map(str::to_owned).to_vec();
    metadata.insert("l", MetadataValue::TextList(texts)).unwrap();
    metadata.insert("no-l", MetadataValue::TextList(Vec::new())).unwrap();
    metadata
}

/// Returns the metadata that the plugin's answers hold for a secret.
fn answered() -> Metadata {
    let mut metadata = metadata();
    metadata.insert_read_only("own", MetadataValue::Integer(7)).unwrap();
    metadata
}

#[test]
fn every_c_abi_call_round_trips_to_plugin() {
    let recorder = Recorder::default();
    let mut vault = opened(whole(), Context::new(Box::new(recorder.clone())));
    let parameters = "[number:2:-1:- secret:4:0:s text:1:0:x yes:3:1:-]";
    assert_eq!(asked(), [format!("open v k {parameters} =old 2000 host/1.2.3")]);

    for (name, value) in [
        ("text", Value::text("a text")),
        ("bytes", Value::bytes(vec![0, 255])),
        ("credential", Value::credential("user", "password")),
        ("form", Value::text("ab")),
        ("json", Value::json("[1.0]").unwrap()),
    ] {
        let secret = api::Secret::with_metadata(value, answered()).of_version("v1");
        assert_eq!(vault.get(&named(name)), Ok(secret));
    }
    asked();
    let mut request = named("none");
    request.version = Some("7".to_owned());
    assert_eq!(vault.get(&request), Err(Error::not_found()));
    let slow = Error::unavailable("slow down").with_retry_after(Duration::from_millis(1_500));
    assert_eq!(vault.get(&named("slow")), Err(slow));
    assert_eq!(asked(), ["get none =7", "get slow -"]);

    let mut page = api::ListRequest::new(soon());
    (page.limit, page.pattern) = (7, Some("*".to_owned()));
    let found = vault.list(&page).unwrap();
    assert_eq!(found.next_cursor.as_deref(), Some("a"));
    // An unknown kind of metadata must not hide the entry.
    assert_eq!((found.entries.len(), found.entries[0].metadata.len()), (1, 0));
    assert_eq!(found.entries[0].version.as_deref(), Some("v1"));
    assert!(found.entries[0].metadata.is_incomplete());
    let incomplete = found.entries[0].metadata.clone();
    let lost = || {
        let mut lost = write("n");
        lost.metadata = Some(incomplete.clone());
        lost
    };
    let change = api::SetMetadataRequest::new(name("n"), incomplete.clone(), soon());
    let both = api::SetManyRequest::new(vec![lost()]);
    for refused in [
        vault.set(lost()).map(drop),
        vault.set_metadata(change).map(drop),
        vault.set_many(both).unwrap().results.remove(0).map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), api::ErrorKind::Unsupported);
    }
    assert_eq!(vault.describe(&described("n")).unwrap().kind, None);
    assert_eq!(asked(), ["list - =* - 7", "describe n"]);

    assert_eq!(vault.set(write("n")).unwrap().version.as_deref(), Some("v2"));
    let mut request = write("n");
    request.if_version = Some("v1".to_owned());
    (request.metadata, request.mode) = (Some(metadata()), api::WriteMode::CreateOnly);
    vault.set(request).unwrap();
    let mut request = write("n");
    request.metadata = Some(Metadata::new());
    vault.set(request).unwrap();
    let mut change = api::SetMetadataRequest::new(name("n"), metadata(), soon());
    change.if_version = Some(String::new());
    assert_eq!(vault.set_metadata(change).unwrap().version.as_deref(), Some("v3"));
    let rename = api::RenameRequest::new(name("n"), name("m"), soon());
    // An empty version is not an absent one.
    assert_eq!(vault.rename(&rename).unwrap().version.as_deref(), Some(""));
    let mut remove = removed("n");
    remove.if_version = Some("v1".to_owned());
    assert_eq!(vault.remove(&remove).unwrap().recoverable_until, Some(0));
    let sorted = "[at:4:5:- b:3:1:- i:2:-4:- l:5:0:b,-,a, no-l:5:0: t:1:0:x]";
    assert_eq!(
        asked(),
        [
            "set n 1 [1, 0, 0, 0, 120] 3 - -".to_owned(),
            format!("set n 1 [1, 0, 0, 0, 120] 1 {sorted} =v1"),
            "set n 1 [1, 0, 0, 0, 120] 3 [] -".to_owned(),
            format!("set_metadata n {sorted} =-"),
            "rename n m".to_owned(),
            "remove n =v1".to_owned(),
        ]
    );

    let answer = Answer::new("pin", SecretText::new("12"));
    let unlock = api::UnlockRequest::new("id", vec![answer], soon());
    vault.unlock(&unlock).unwrap();
    let session = recorder.0.lock().unwrap().pop().unwrap();
    assert_eq!(session, "session [115, 101, 115, 115, 105, 111, 110] 60s");
    let locked = vault.lock(&api::LockRequest::new(soon())).unwrap_err();
    let user = api::Prompt::choice("user", "User", ["a", "b"]);
    let prompts = vec![api::Prompt::new_secret("pin", "The PIN"), user];
    let step = api::Challenge::new("id", prompts).message("open this").url("https://example.com/");
    let step = step.poll(Duration::from_secs(5), Duration::from_secs(60));
    assert_eq!(locked, Error::locked(step));
    vault.test(&api::TestRequest::new(soon())).unwrap();
    vault.unregister(&api::UnregisterRequest::new(soon())).unwrap();
    assert_eq!(asked(), ["unlock id 1 pin 12", "lock", "plain true", "plain true"]);

    let mut newest = api::Version::new("2", Some(0));
    newest.metadata.insert("t", MetadataValue::Text("x".to_owned())).unwrap();
    let page = vault.versions(&versions_of("n")).unwrap();
    assert_eq!(page.versions, [newest, api::Version::new("1", None).unreadable()]);
    assert_eq!(page.next_cursor.as_deref(), Some("1"));
    let mut last = versions_of("n");
    (last.cursor, last.limit) = (page.next_cursor, usize::MAX);
    let still = vault.versions(&last).unwrap_err();
    assert_eq!(still.message(), "the page's cursor does not advance");
    let mut page = api::ListRemovedRequest::new(soon());
    page.limit = 2;
    let page = vault.list_removed(&page).unwrap();
    let mut gone = api::RemovedSecret::new(name("gone"));
    (gone.id, gone.removed, gone.recoverable_until) = (Some("7".to_owned()), Some(0), Some(9));
    assert_eq!(page.secrets, [gone, api::RemovedSecret::new(name("gone"))]);
    assert_eq!(page.next_cursor.as_deref(), Some("c"));
    let mut restore = api::RestoreRequest::new(name("gone"), soon());
    restore.id = Some("7".to_owned());
    assert_eq!(vault.restore(&restore).unwrap().version.as_deref(), Some("v4"));
    let mut purge = api::PurgeRequest::new(name("gone"), soon());
    purge.version = Some("2".to_owned());
    vault.purge(&purge).unwrap();
    let tables = api::UnicodeTables::new(15, 16);
    let mut rules = api::Rules::new(api::NameEquality::ComposedCase(tables));
    (rules.max_name_bytes, rules.name_grammar) = (Some(255), Some("letters".to_owned()));
    assert_eq!(vault.rules(&api::RulesRequest::new(soon())), Ok(rules));
    assert_eq!(
        asked(),
        [
            "versions n - 1000",
            "versions n =1 1000",
            "list_removed - 2",
            "restore gone =7 -",
            "purge gone - =2",
            "rules"
        ]
    );
    let mut action = api::Action::new("burn", "burns it");
    action.destructive = true;
    let kind = api::ParameterKind::Integer;
    let mut parameter = api::Parameter::required("how", kind, "how much");
    parameter.default = "3";
    action.parameters.push(parameter.into());
    assert_eq!(vault.actions(&api::ActionsRequest::new(soon())).unwrap().actions, [action]);
    let mut parameters = Parameters::new();
    parameters.insert("how", ParameterValue::Integer(3));
    let outcome = vault.run_action(&api::ActionRequest::new("burn", parameters, soon())).unwrap();
    assert_eq!((outcome.message.as_str(), outcome.value), ("done", Some(Value::text("a code"))));
    assert_eq!(asked(), ["actions", "act burn [how:2:3:-]"]);

    let many = vault.get_many(&several(&["text", "none", "form"])).unwrap().results;
    assert_eq!(many[0].as_ref().unwrap().value, Value::text("a text"));
    assert_eq!(many[1], Err(Error::not_found()));
    assert_eq!(many[2].as_ref().unwrap().metadata, answered());
    assert_eq!(many[2].as_ref().unwrap().version.as_deref(), Some("v1"));
    let mut large = write("large");
    large.value = Value::bytes(vec![0; api::MAX_VALUE_BYTES]);
    let many = vec![write("a"), large, write("bad"), write("b")];
    let many = vault.set_many(api::SetManyRequest::new(many)).unwrap().results;
    assert_eq!(many[0].as_ref().unwrap().version.as_deref(), Some("v5"));
    assert_eq!(many[3].as_ref().unwrap().version, None);
    let kinds: Vec<_> = many.iter().map(|one| one.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Invalid), Some(ErrorKind::PermissionDenied), None]);
    assert_eq!(asked(), ["get_many 3", "set_many 3"]);
    drop(vault);
    assert_eq!(asked(), ["close"]);
}

#[test]
fn null_table_function_uses_trait_default() {
    let mut vault = opened(bare(), Context::silent());
    asked();
    let unsupported = |result: Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
    };
    unsupported(vault.set(write("n")).map(drop));
    let none = api::SetMetadataRequest::new(name("n"), Metadata::new(), soon());
    unsupported(vault.remove(&removed("n")).map(drop));
    let rename = api::RenameRequest::new(name("n"), name("m"), soon());
    unsupported(vault.rename(&rename).map(drop));
    unsupported(vault.set_metadata(none).map(drop));
    unsupported(vault.unlock(&api::UnlockRequest::new("id", Vec::new(), soon())).map(drop));
    unsupported(vault.lock(&api::LockRequest::new(soon())).map(drop));
    unsupported(vault.versions(&versions_of("n")).map(drop));
    unsupported(vault.list_removed(&api::ListRemovedRequest::new(soon())).map(drop));
    unsupported(vault.restore(&api::RestoreRequest::new(name("n"), soon())).map(drop));
    unsupported(vault.purge(&api::PurgeRequest::new(name("n"), soon())).map(drop));
    let rules = vault.rules(&api::RulesRequest::new(soon())).unwrap();
    assert_eq!(rules, api::Rules::new(api::NameEquality::Unknown));
    unsupported(
        vault.run_action(&api::ActionRequest::new("a", Parameters::new(), soon())).map(drop),
    );
    vault.test(&api::TestRequest::new(soon())).unwrap();
    vault.unregister(&api::UnregisterRequest::new(soon())).unwrap();
    assert_eq!(vault.actions(&api::ActionsRequest::new(soon())).unwrap().actions, []);
    assert_eq!(asked(), [] as [String; 0]);
    // The second page has this entry.
    assert_eq!(vault.describe(&described("b")).unwrap().name.as_str(), "b");
    assert_eq!(vault.describe(&described("c")), Err(Error::not_found()));
    assert_eq!(asked().len(), 4);
    let many = vault.get_many(&several(&["text", "none"])).unwrap().results;
    assert_eq!(many[1], Err(Error::not_found()));
    let many = vault.set_many(api::SetManyRequest::new(vec![write("a")])).unwrap().results;
    assert_eq!(many[0].as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(asked(), ["get text -", "get none -"]);

    let mut vault = opened(PluginTable { set: Some(set), ..bare() }, Context::silent());
    asked();
    let two = api::SetManyRequest::new(vec![write("a"), write("b")]);
    assert!(vault.set_many(two).unwrap().results.iter().all(Result::is_ok));
    assert_eq!(asked().len(), 2);
}

#[test]
fn wrong_result_count_is_rejected() {
    let mut vault = opened(whole(), Context::silent());
    let told = |error: Error| error.message().to_owned();
    let few = vault.get_many(&several(&["text", "unanswered"])).unwrap_err();
    assert_eq!(told(few), "2 secrets were asked for and 1 came back");
    let many =
        vault.set_many(api::SetManyRequest::new(vec![write("a"), write("twice")])).unwrap_err();
    assert_eq!(told(many), "the results are more than 2");
}

#[test]
fn reply_after_call_returned_is_rejected() {
    let recorder = Recorder::default();
    let mut vault = opened(whole(), Context::new(Box::new(recorder.clone())));
    vault.get(&named("text")).unwrap();
    let (context, stale) = LAST.with_borrow(|last| *last);
    let tell = |reply| unsafe { (HOST.text)(reply, bytes("late")) };
    // Numbers of no vault, and the context's own number.
    assert_eq!([0, 1, u64::MAX, context].map(tell), [1; 4]);
    assert!(vault.get(&named("text")).is_err(), "the context's number is no reply");
    assert!(vault.get(&named("text")).is_ok(), "one fault is told once");
    assert_eq!(tell(stale), 1);
    let error = vault.get(&named("text")).unwrap_err();
    assert_eq!(error.message(), "the reply was used after its call returned");
    assert_eq!(error.kind(), ErrorKind::Internal);
    vault.get(&named("text")).unwrap();

    // After the last call only the log reports the misuse, and later misuse goes unreported.
    assert_eq!(tell(stale), 1);
    drop(vault);
    let line = "Warning the reply was used after its call returned";
    assert_eq!(*recorder.0.lock().unwrap(), [line]);
    assert_eq!(tell(stale), 1);
    assert_eq!(unsafe { (HOST.log_line)(context, 1, bytes("late")) }, 1);
    assert_eq!(recorder.0.lock().unwrap().len(), 1);
}

#[test]
fn stale_reply_in_later_call_is_rejected() {
    unsafe extern "C" fn get(_: State, _: *const GetRequest, reply: u64) -> u32 {
        let earlier = LAST.with_borrow(|last| last.1);
        // Only data passed to the call's own reply can become its value.
        unsafe { (HOST.text)(earlier, bytes("mixed up")) };
        u32::from(earlier == reply)
    }
    let mut vault = opened(PluginTable { get: Some(get), ..whole() }, Context::silent());
    vault.test(&api::TestRequest::new(soon())).unwrap();
    let error = vault.get(&named("n")).unwrap_err();
    assert_eq!(error.message(), "the reply was used after its call returned");
}

unsafe extern "C" fn keep_output(own: *mut c_void, output: *const ExecOutput) {
    let kept = unsafe { &mut *own.cast::<String>() };
    let o = unsafe { &*output };
    let (output, errors, message) = unsafe { (shown(o.output), shown(o.errors), shown(o.message)) };
    *kept = format!("{} {output} {errors} {message}", o.status);
}

#[test]
fn log_and_exec_go_through_context() {
    let recorder = Recorder::default();
    let vault = opened(whole(), Context::new(Box::new(recorder.clone())));
    let context = LAST.with_borrow(|last| last.0);
    let log = |level, line| assert_eq!(unsafe { (HOST.log_line)(context, level, line) }, 0);
    log(1, bytes("careful"));
    log(9, bytes("who knows"));
    log(2, Bytes::of(b"\xff"));
    log(2, Bytes { data: ptr::null(), size: 7 });
    log(2, Bytes { data: b"x".as_ptr(), size: usize::MAX });
    let most = usize::MAX;
    assert_eq!(
        *recorder.0.lock().unwrap(),
        [
            "Warning careful".to_owned(),
            "Debug who knows".to_owned(),
            "Warning a log line is not UTF-8".to_owned(),
            "Warning a log line is missing".to_owned(),
            format!("Warning a log line has {most} bytes; the most is 4096"),
        ]
    );

    let arguments = [bytes("a"), bytes("b c")];
    let variables = [Pair { name: bytes("A"), value: bytes("b=c") }];
    let sound = || ExecRequest {
        deadline_millis: 1_000,
        program: bytes("program"),
        arguments: Row { start: arguments.as_ptr(), count: 2 },
        input: Bytes::of(&[1, 2]),
        variables: Row { start: variables.as_ptr(), count: 1 },
        ..ExecRequest::sized()
    };
    let arguments = |start, count| ExecRequest { arguments: Row { start, count }, ..sound() };
    let variables = |start, count| ExecRequest { variables: Row { start, count }, ..sound() };
    let exec = |context, request: *const ExecRequest| {
        let mut kept = String::new();
        let own = (&raw mut kept).cast();
        let status = unsafe { (HOST.exec)(context, request, Some(keep_output), own) };
        (status, kept)
    };
    let said = r#"3 [\"a\", \"b c\"] [1, 2] [(\"A\", \"b=c\")] warned -"#;
    assert_eq!(exec(context, &sound()), (0, said.to_owned()));
    // Without a function to receive the output, the host drops it.
    assert_eq!(unsafe { (HOST.exec)(context, &sound(), None, ptr::null_mut()) }, 0);
    let denied = ExecRequest { program: bytes("other"), ..sound() };
    let (status, kept) = exec(context, &denied);
    assert_eq!((status, kept.as_str()), (ErrorKind::PermissionDenied.code(), "0 - - not granted"));
    for (context, request, why) in [
        (context + 1, Some(sound()), "0 - - the context has ended"),
        (0, Some(sound()), "0 - - the context has ended"),
        (context, None, "0 - - a request of exec is null"),
        (
            context,
            Some(ExecRequest { size: 8, ..sound() }),
            "0 - - a request of exec says that it has 8 bytes",
        ),
        (
            context,
            Some(arguments(ptr::null(), most)),
            "0 - - `arguments` has more than 10000 items",
        ),
        (context, Some(arguments(ptr::null(), 2)), "0 - - `arguments` is missing"),
        (context, Some(ExecRequest { program: Bytes::NONE, ..sound() }), "0 - - not granted"),
        (
            context,
            Some(variables(ptr::null(), most)),
            "0 - - `environment` has more than 10000 items",
        ),
        (context, Some(variables(ptr::null(), 1)), "0 - - `environment` is missing"),
    ] {
        let pointer = request.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (status, kept) = exec(context, pointer);
        assert!(kept.starts_with(why), "{kept}");
        assert_ne!(status, 0, "{kept}");
    }
    drop(vault);
}

#[test]
fn reply_from_other_thread_during_call_is_accepted() {
    unsafe extern "C" fn get(_: State, _: *const GetRequest, reply: u64) -> u32 {
        let told = std::thread::spawn(move || unsafe { (HOST.text)(reply, bytes("threaded")) });
        told.join().unwrap()
    }
    let mut vault = opened(PluginTable { get: Some(get), ..whole() }, Context::silent());
    assert_eq!(vault.get(&named("n")).unwrap().value, Value::text("threaded"));
}

#[test]
fn endless_reply_is_cut_off_at_limit() {
    unsafe extern "C" fn versions(_: State, _: *const VersionsRequest, reply: u64) -> u32 {
        // Until the host accepts no more: it ignores a plugin that goes on.
        let more = || unsafe { (HOST.version)(reply, &one_version("1", None)) };
        while more() == 0 {}
        assert_eq!(more(), 1);
        0
    }
    unsafe extern "C" fn actions(_: State, _: *const ActionsRequest, reply: u64) -> u32 {
        let begin = || unsafe { (HOST.action)(reply, &action("a", "a")) };
        begin();
        let mut parameters = 0;
        while unsafe { (HOST.parameter)(reply, &schema("a", 1, "", "")) } == 0 {
            parameters += 1;
            if parameters % 100 == 0 {
                begin();
            }
        }
        0
    }
    let (versions, actions) = (Some(versions as Call<_>), Some(actions as Call<_>));
    let mut vault = opened(PluginTable { versions, actions, ..whole() }, Context::silent());
    let told = vault.versions(&versions_of("n")).unwrap_err();
    assert_eq!(told.message(), "the versions are more than 1000");
    let told = vault.actions(&api::ActionsRequest::new(soon())).unwrap_err();
    assert_eq!(told.message(), "the actions' parameters are more than 10000");
}

#[test]
fn invalid_plugin_table_is_rejected_with_reason() {
    let check = |table: *const PluginTable| unsafe { copied(table) }.map(|_| ()).unwrap_err();
    assert_eq!(check(ptr::null()), "it is null");
    let table = whole();
    assert_eq!(
        check(ptr::from_ref(&table).wrapping_byte_add(4)),
        "its address is not one of a table"
    );
    for (table, why) in [
        (PluginTable { magic: 0, ..whole() }, "it does not begin as the header says"),
        (PluginTable { size: 0, ..whole() }, "it has 0 bytes; the first version has 192"),
        (PluginTable { size: 191, ..whole() }, "it has 191 bytes; the first version has 192"),
        (
            PluginTable { size: u32::MAX, ..whole() },
            "it says that it has 4294967295 bytes; the most is 65536",
        ),
        (PluginTable { open: None, ..whole() }, "its function `open` is null"),
        (PluginTable { close: None, ..whole() }, "its function `close` is null"),
        (PluginTable { get: None, ..whole() }, "its function `get` is null"),
        (PluginTable { list: None, ..whole() }, "its function `list` is null"),
    ] {
        assert_eq!(check(&table), why);
    }
    // A newer table has more functions at the end.
    let newer = (PluginTable { size: size::<PluginTable>() + 8, ..whole() }, 0_u64);
    assert!(unsafe { copied(&newer.0) }.is_ok());
}

#[test]
fn session_is_kept_and_forgotten_during_call() {
    unsafe extern "C" fn test(_: State, _: *const TestRequest, _: u64) -> u32 {
        let context = LAST.with_borrow(|last| last.0);
        let large = vec![b'x'; api::MAX_SESSION_BYTES + 1];
        let large = Bytes { data: large.as_ptr().cast(), size: large.len() };
        unsafe {
            assert_eq!((HOST.keep_session)(context, bytes("renewed"), u64::MAX), 0);
            assert_eq!((HOST.keep_session)(context, large, 1), 1);
            assert_eq!((HOST.keep_session)(0, bytes("nobody's"), 1), 1);
            assert_eq!((HOST.forget_session)(context), 0);
            assert_eq!((HOST.forget_session)(0), 1);
        }
        0
    }
    let recorder = Recorder::default();
    let context = Context::new(Box::new(recorder.clone()));
    let mut vault = opened(PluginTable { test: Some(test), ..bare() }, context);
    vault.test(&api::TestRequest::new(soon())).unwrap();
    let told = recorder.0.lock().unwrap().clone();
    let renewed = format!("session {:?} {:?}", b"renewed", api::MAX_SESSION_LIFETIME);
    assert_eq!((told[0].as_str(), told[2].as_str(), told.len()), (&*renewed, "forget", 3));
    assert!(told[1].starts_with("Warning") && told[1].contains("a session"), "{}", told[1]);
}
