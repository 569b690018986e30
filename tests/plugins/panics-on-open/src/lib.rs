//! Panics in `open`.
#![forbid(unsafe_code)]

sound::plugin!("panics-on-open", |_, _| panic!("hunter2 must not be told"));
