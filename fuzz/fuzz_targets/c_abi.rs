//! A plugin of the C ABI that tells its host whatever the input says.

#![no_main]

use keystead::internals::plugin::c_abi::fuzzing::answer;

libfuzzer_sys::fuzz_target!(|input: &[u8]| answer(input));
