//! For the fuzz target: each end reads the other's frames, and the agent handles them. Not part of
//! the library's interface.

use std::time::Duration;

use keystead_plugin_api::VaultName;

use super::proto::{MAX_FRAME_BYTES, MemoryLock, Reply, Request, Secret, Status, UnlockedVault};
use super::server::RequestHandler;
use super::session_table::SessionTable;
use super::{MAX_VAULTS, SessionKey};
use crate::codec::Writer;
use crate::paths::Layer;
use crate::plugin::pins::Digest;

/// A block without any data.
static ZEROES: [u8; SessionTable::BLOCK_BYTES] = [0; SessionTable::BLOCK_BYTES];

/// Sends these frames to an agent in order, and also reads each as an agent's reply.
///
/// A frame follows its length (`u16`). The length follows the seconds that have passed since the
/// last frame (`u8`).
///
/// # Panics
/// If a reader panics, a value changes when it is written and read again, or an agent keeps more
/// than it may or for longer.
pub fn talk(mut bytes: &[u8]) {
    let mut block = vec![0; SessionTable::BLOCK_BYTES];
    let keep = SessionTable::new(&mut block);
    let mut desk = RequestHandler { keep, locked: MemoryLock::No, used: Duration::ZERO };
    let mut now = Duration::ZERO;
    while let Some(([seconds, low, high], rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(rest.len().min(u16::from_le_bytes([*low, *high]).into()));
        bytes = rest;
        now += Duration::from_secs((*seconds).into());
        if let Ok(Some(request)) = Request::read(frame) {
            let again = written(&|w| request.write(w));
            assert!(Request::read(&again) == Ok(Some(request)), "a request is read as another");
        }
        if let Ok(reply) = Reply::read(frame) {
            let again = written(&|w| reply.write(w));
            assert!(Reply::read(&again) == Ok(reply), "an answer is read as another");
        }
        // The agent does not answer a client that breaks the protocol.
        if let Ok((reply, _)) = desk.answer(frame, now) {
            let answer = written(&|w| reply.write(w));
            assert!(answer.len() <= MAX_FRAME_BYTES, "an answer of {} bytes", answer.len());
            assert!(Reply::read(&answer) == Ok(reply), "an answer is read as another");
        }
        let held = desk.keep.vaults(now);
        assert!(held.len() <= MAX_VAULTS);
        assert!(held.iter().all(|held| !held.idle_left.is_zero() && held.idle_left <= held.left));
    }
    drop(desk);
    assert!(block == ZEROES, "something is left behind");
}

/// Returns valid inputs to start from: one with all requests, and one for each reply.
pub fn seeds() -> Vec<Vec<u8>> {
    let vault = VaultName::parse("work").expect("it keeps the rules");
    let key = SessionKey {
        layer: Layer::User,
        plugin: Digest::of(b"plugin"),
        kind: "memory".to_owned(),
        registered: Digest::of(b"parameters"),
        account: Digest::of(b"account"),
    };
    let (whole, idle) = (Duration::from_secs(9), Duration::from_secs(5));
    let keep = || Request::Keep {
        key: key.clone(),
        vault: vault.clone(),
        secret: Secret(b"session"),
        whole,
        lifetime: whole,
        idle,
        replace: true,
    };
    let requests = [
        keep(),
        Request::Get { key: key.clone(), vault: vault.clone() },
        Request::Renew { key: key.clone(), serial: 1, secret: Secret(b"new"), lifetime: idle },
        Request::Status,
        Request::Refused { key: key.clone(), serial: 1 },
        keep(),
        Request::Forget(vault.clone()),
        keep(),
        Request::ForgetAll,
        keep(),
        Request::Stop,
    ];
    let held = UnlockedVault {
        vault: vault.clone(),
        layer: Layer::System,
        session: 3,
        left: whole,
        idle_left: idle,
    };
    let status = Status {
        process: 7,
        version: "1.2.3".to_owned(),
        locked: MemoryLock::Sessions,
        vaults: vec![held.clone(), held],
    };
    let replies = [
        Reply::Session { serial: 3, secret: Secret(b"session"), left: idle },
        Reply::None,
        Reply::Kept(3),
        Reply::Full,
        Reply::Forgotten(vec![vault.clone()]),
        Reply::Is(status),
        Reply::Stopping,
        Reply::OtherVersion,
    ];
    let record = |frame: Vec<u8>| {
        let len = u16::try_from(frame.len()).expect("these are short").to_le_bytes();
        [&[1, len[0], len[1]], &frame[..]].concat()
    };
    let requests = requests.iter().map(|request| record(written(&|w| request.write(w))));
    let replies = replies.iter().map(|reply| record(written(&|w| reply.write(w))));
    let mut seeds: Vec<_> = replies.collect();
    seeds.push(requests.collect::<Vec<_>>().concat());
    seeds
}

/// Writes a frame as both ends do.
fn written(write: &dyn Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut measure = Writer::new(&mut []);
    write(&mut measure);
    let mut frame = vec![0; measure.wanted()];
    write(&mut Writer::new(&mut frame));
    frame
}

#[cfg(test)]
mod tests {
    #[test]
    fn agent_fuzz_seeds_and_truncated_seeds_never_panic() {
        for seed in super::seeds() {
            for length in 0..=seed.len() {
                super::talk(&seed[..length]);
            }
        }
    }
}
