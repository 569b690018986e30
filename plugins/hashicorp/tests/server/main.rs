//! Tests of the plugin against the real server and its client.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[allow(dead_code, reason = "shared with the tests of the host, which need other parts")]
#[path = "../../../../tests/bao.rs"]
mod bao;
mod needs_bao;
mod opened;
