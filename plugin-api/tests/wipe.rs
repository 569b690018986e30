//! Secret bytes are wiped on both sides: this process reads its own memory after every
//! kind of call that carries a secret, and finds none of them.
//!
//! The canaries are computed, so that the only whole copies in memory are the secrets
//! themselves; and each is looked for while it is held as well: a scan that finds nothing
//! then would prove nothing afterwards.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::Duration;

use keystead_plugin_api::abi::{open_linked, Client, Library};
use keystead_plugin_api::*;

const LEN: usize = 40;

/// The byte at this place of a canary; letters, so that it can be text.
fn byte(canary: u8, at: usize) -> u8 {
    b'a' + ((at * 7 + usize::from(canary) * 11 + (at * at) % 13) % 26) as u8
}

/// A canary in a vector that never grew.
fn canary(number: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEN);
    bytes.extend((0..LEN).map(|at| byte(number, at)));
    bytes
}

fn secret_text(number: u8) -> SecretText {
    SecretText::from_bytes(SecretBytes::new(canary(number))).unwrap()
}

/// Returns how many copies of each canary there are in this process's memory.
fn scan(canaries: std::ops::Range<u8>) -> BTreeMap<u8, usize> {
    const CHUNK: usize = 1 << 20;
    let mut buffer = vec![0_u8; CHUNK + LEN];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut found: BTreeMap<u8, usize> = canaries.clone().map(|number| (number, 0)).collect();
    let mut starting_with = vec![Vec::new(); 256];
    for number in canaries {
        starting_with[usize::from(byte(number, 0))].push(number);
    }
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let mut at = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        while at < end {
            let want = (end - at).min(buffer.len() as u64) as usize;
            // A region may have gone since the list was read: `buffer` is the only one of
            // size that is allocated meanwhile.
            let Ok(got) = memory.read_at(&mut buffer[..want], at) else { break };
            for (offset, first) in buffer[..got].iter().enumerate() {
                // Each place is looked at once: the overlap belongs to the next chunk.
                if offset >= CHUNK || offset + LEN > got || own.contains(&(at + offset as u64)) {
                    continue;
                }
                for number in &starting_with[usize::from(*first)] {
                    if (1..LEN).all(|n| buffer[offset + n] == byte(*number, n)) {
                        *found.entry(*number).or_default() += 1;
                    }
                }
            }
            at += CHUNK as u64;
        }
    }
    // The buffer held what it found.
    buffer.fill(0);
    // Tests are built by today's compiler, whatever the library supports.
    #[allow(clippy::incompatible_msrv)]
    std::hint::black_box(&buffer);
    found
}

struct Keeper;

#[allow(dead_code)] // some are only held
struct Kept {
    context: Context,
    token: Option<SecretText>,
    session: Option<Session>,
    answer: Option<SecretText>,
    secrets: BTreeMap<SecretName, Value>,
}

impl Plugin for Keeper {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        Ok(Box::new(Kept {
            context,
            token: request.parameters.secret("token").map(SecretText::duplicate),
            session: request.session,
            answer: None,
            secrets: BTreeMap::new(),
        }))
    }
}

impl Vault for Kept {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        let found = self.secrets.get(&request.name).ok_or_else(Error::not_found)?;
        Ok(Secret::new(found.duplicate()))
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        Ok(Page::default())
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        if request.name.as_str() == "refused" {
            return Err(Error::permission_denied("not that one"));
        }
        self.secrets.insert(request.name, request.value);
        Ok(Written::new())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.answer = request.answer("password").map(SecretText::duplicate);
        let secret = SecretBytes::new(canary(SESSION_OUT));
        self.context.keep_session(Session::new(secret, Duration::from_secs(60)));
        Ok(Unlocked::new())
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        let mut run = ExecRequest::new("tool", vec![], request.deadline);
        run.input = SecretBytes::new(canary(EXEC_IN));
        let output = self.context.exec(run)?;
        let mut outcome = ActionOutcome::new("done");
        outcome.value = Some(Value::Bytes(output.output));
        Ok(outcome)
    }
}

/// The session that the vault handed over.
static KEPT: Mutex<Option<Session>> = Mutex::new(None);

struct Tools;

impl Services for Tools {
    fn log(&self, _: Level, _: &str) {}

    fn exec(&self, request: ExecRequest) -> Result<ExecOutput> {
        assert_eq!(request.input.len(), LEN);
        Ok(ExecOutput::new(0, SecretBytes::new(canary(EXEC_OUT)), String::new()))
    }

    fn keep_session(&self, session: Session) {
        *KEPT.lock().unwrap() = Some(session);
    }
}

const TOKEN: u8 = 1;
const SESSION_IN: u8 = 2;
const SESSION_OUT: u8 = 3;
const ANSWER: u8 = 4;
const EXEC_IN: u8 = 5;
const EXEC_OUT: u8 = 6;
const TEXT: u8 = 7;
const BYTES: u8 = 8;
const PASSWORD: u8 = 9;
const IN_MAP: u8 = 10;
const ACTION: u8 = 11;
const OF_MANY: u8 = 12;
const NEVER_MADE: u8 = 13;
const ALL: std::ops::Range<u8> = 1..14;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn value(number: u8) -> Value {
    match number {
        TEXT => Value::Text(secret_text(TEXT)),
        BYTES => Value::bytes(canary(BYTES)),
        PASSWORD => Value::Credential(Credential::new("bob", secret_text(PASSWORD))),
        _ => {
            let mut inner = Map::new();
            inner.insert("inner", Value::Text(secret_text(number)));
            let mut map = Map::new();
            map.insert("map", Value::Map(inner));
            Value::Map(map)
        }
    }
}

fn open() -> Client<Library> {
    let mut parameters = Parameters::new();
    parameters.insert("token", ParameterValue::Secret(secret_text(TOKEN)));
    let vault = VaultName::parse("work").unwrap();
    let mut request = OpenRequest::new(vault, "kept", parameters, soon());
    let secret = SecretBytes::new(canary(SESSION_IN));
    request.session = Some(Session::new(secret, Duration::from_secs(60)));
    open_linked::<Keeper>(&request, Context::new(Box::new(Tools))).unwrap()
}

#[test]
fn dropped_secret_leaves_no_copy_in_host_or_plugin_memory() {
    let mut vault = open();
    let mut held = Vec::new();
    for number in TEXT..=IN_MAP {
        let name = name(&number.to_string());
        vault.set(SetRequest::new(name.clone(), value(number), soon())).unwrap();
        held.push(vault.get(&GetRequest::new(name, soon())).unwrap());
    }
    let names = held.iter().enumerate().map(|(n, _)| name(&(usize::from(TEXT) + n).to_string()));
    let requests = names.map(|name| GetRequest::new(name, soon())).collect();
    let many = vault.get_many(&GetManyRequest::new(requests)).unwrap();
    let of_many = ["of many", "refused"].map(name);
    let of_many = of_many.map(|name| SetRequest::new(name, value(OF_MANY), soon()));
    let written = vault.set_many(SetManyRequest::new(of_many.into())).unwrap().results;
    assert_eq!(written, [Ok(Written::new()), Err(Error::permission_denied("not that one"))]);
    let answers = vec![Answer::new("password", secret_text(ANSWER))];
    let unlock = UnlockRequest::new("c", answers, soon());
    vault.unlock(&unlock).unwrap();
    let session = KEPT.lock().unwrap().take().unwrap();
    let mut parameters = Parameters::new();
    parameters.insert("new", ParameterValue::Secret(secret_text(ACTION)));
    let act = ActionRequest::new("run", parameters, soon());
    let outcome = vault.run_action(&act).unwrap();

    // Held now: the vault's own copy of each, and what the host was given.
    let found = scan(ALL);
    let expected = [
        (TOKEN, 1),
        (SESSION_IN, 1),
        (SESSION_OUT, 1),
        (ANSWER, 2),
        (EXEC_IN, 0),
        (EXEC_OUT, 1),
        (TEXT, 3),
        (BYTES, 3),
        (PASSWORD, 3),
        (IN_MAP, 3),
        (ACTION, 1),
        (OF_MANY, 1),
        (NEVER_MADE, 0),
    ];
    assert_eq!(found, BTreeMap::from(expected));

    drop((held, many, session, outcome, unlock, act));
    let found = scan(ALL);
    for (number, count) in found {
        // The vault still keeps what it was told to keep, once.
        let kept =
            [TOKEN, SESSION_IN, ANSWER, TEXT, BYTES, PASSWORD, IN_MAP, OF_MANY].contains(&number);
        assert_eq!(count, usize::from(kept), "canary {number}");
    }

    drop(vault);
    assert_eq!(scan(ALL), ALL.map(|number| (number, 0)).collect());
}
