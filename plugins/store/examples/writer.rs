//! Writes to a vault until it is killed, and says what it is about to do and when it is done: what
//! `tests/killed.rs` runs by the hundred. Not an example of anything else.
//!
//! Arguments: the vault's folder, the key file, a number of its own, a seed.
#![allow(clippy::unwrap_used, reason = "whoever runs it looks at what happens")]

use std::io::Write as _;
use std::time::Duration;

use keystead_plugin_api::{
    Context, Deadline, GetRequest, Metadata, MetadataValue, OpenRequest, ParameterValue,
    Parameters, Plugin, SecretName, SetRequest, Value, VaultName,
};
use keystead_plugin_store::Store;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, key, number, seed] = &arguments[..] else {
        panic!("give a folder, a key file, a number and a seed");
    };
    let mut random = Random(seed.parse().unwrap());
    let mut parameters = Parameters::new();
    parameters.insert("path", ParameterValue::Text(folder.clone()));
    parameters.insert("key-file", ParameterValue::Text(key.clone()));
    let name = VaultName::parse("killed").unwrap();
    let request = OpenRequest::new(name, "store", parameters, soon());
    let mut vault = Store::open(request, Context::silent()).unwrap();

    let mut own: Vec<String> = Vec::new();
    for step in 0_u64.. {
        let value = || format!("value-{number}-{step}-{}", "x".repeat((step % 5 * 700) as usize));
        match random.below(8) {
            0 if !own.is_empty() => {
                let name = own.swap_remove(random.below(own.len()));
                say(&format!("try remove {name}"));
                vault.remove(&named(&name)).unwrap();
            }
            1 if !own.is_empty() => {
                let name = &own[random.below(own.len())];
                say(&format!("try metadata {name} {step}"));
                let mut metadata = Metadata::new();
                metadata.insert("step", MetadataValue::Integer(step as i64)).unwrap();
                vault.set_metadata(&named(name), metadata).unwrap();
            }
            2 if !own.is_empty() => {
                let name = &own[random.below(own.len())];
                say(&format!("try set {name} {}", value()));
                vault.set(set(name, &value())).unwrap();
            }
            3 => {
                let name = format!("shared/{}", random.below(5));
                say(&format!("try set {name} {}", value()));
                vault.set(set(&name, &value())).unwrap();
            }
            4 => {
                let names: Vec<String> =
                    (0..10).map(|at| format!("own/{number}/{step}-{at}")).collect();
                let pairs: Vec<String> =
                    names.iter().map(|name| format!("{name} {}", value())).collect();
                say(&format!("try set {}", pairs.join(" ")));
                let requests = names.iter().map(|name| set(name, &value())).collect();
                for result in vault.set_many(requests).unwrap() {
                    result.unwrap();
                }
                own.extend(names);
            }
            _ => {
                let name = format!("own/{number}/{step}");
                say(&format!("try set {name} {}", value()));
                vault.set(set(&name, &value())).unwrap();
                own.push(name);
            }
        }
        say("done");
    }
}

fn say(line: &str) {
    // One write a line: a line that is cut off was not said.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

fn named(name: &str) -> GetRequest {
    GetRequest::new(SecretName::parse(name).unwrap(), soon())
}

fn set(name: &str, value: &str) -> SetRequest {
    SetRequest::new(SecretName::parse(name).unwrap(), Value::text(value), soon())
}

/// Numbers that look random and come again with their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
