//! Behaviour that users of PowerShell's SecretManagement and SecretStore rely on, line by line.
//! Each line is a test named by its number, for the reference plugin and a third-party one, in both
//! placements. For deliberate differences the test asserts Keystead's behaviour and gives the
//! reason.

mod command;
mod line;
mod local_vault;
mod metadata;
mod registration;
mod secret;
mod unlocking;
mod value;
mod world;

/// Makes each line a module of its name, with a test for each plugin and placement, so that a
/// failure names all three. `both` is the reference plugin, a `book` of the ledger, the local
/// vault, and a directory of a real OpenBao. `most` adds a directory of files, `all` also a `slip`.
/// These two, `bare`, have no metadata, hold only texts and bytes, and are never locked. `store` is
/// the local vault alone.
macro_rules! oracle {
    ($($(#[doc = $doc:literal])+ $name:ident for $plugins:ident |$world:ident| $body:block)+) => {
        /// The names of the tests in this file.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),+];

        $(
            $(#[doc = $doc])+
            mod $name {
                use super::*;

                fn line($world: &World) $body

                crate::secretmanagement::oracle_tests! { $plugins }
            }
        )+
    };
}

macro_rules! oracle_tests {
    (all) => {
        crate::secretmanagement::oracle_tests! { both }
        crate::secretmanagement::oracle_tests! { bare }
    };
    (most) => {
        crate::secretmanagement::oracle_tests! { both }
        crate::secretmanagement::oracle_tests! { files }
    };
    (bare) => {
        crate::secretmanagement::oracle_tests! { slip }
        crate::secretmanagement::oracle_tests! { files }
    };
    (both) => {
        crate::secretmanagement::oracle_tests! { book }
        crate::secretmanagement::oracle_test! { memory_isolated Memory Isolated }
        crate::secretmanagement::oracle_test! { memory_in_process Memory InProcess }
        crate::secretmanagement::oracle_tests! { store }
        crate::secretmanagement::oracle_test! { #[ignore = "needs bao"] needs_bao_isolated Bao Isolated }
        crate::secretmanagement::oracle_test! { #[ignore = "needs bao"] needs_bao_in_process Bao InProcess }
    };
    (store) => {
        crate::secretmanagement::oracle_test! { store_isolated Store Isolated }
        crate::secretmanagement::oracle_test! { store_in_process Store InProcess }
    };
    (book) => {
        crate::secretmanagement::oracle_test! { book_isolated Book Isolated }
        crate::secretmanagement::oracle_test! { book_in_process Book InProcess }
    };
    (files) => {
        crate::secretmanagement::oracle_test! { files_isolated Files Isolated }
        crate::secretmanagement::oracle_test! { files_in_process Files InProcess }
    };
    (slip) => {
        crate::secretmanagement::oracle_test! { slip_isolated Slip Isolated }
        crate::secretmanagement::oracle_test! { slip_in_process Slip InProcess }
    };
}

macro_rules! oracle_test {
    ($(#[$ignored:meta])? $test:ident $kind:ident $placement:ident) => {
        #[test]
        $(#[$ignored])?
        fn $test() {
            let world = World::new(Kind::$kind, Placement::$placement);
            line(&world);
            world.end();
        }
    };
}

use {oracle, oracle_test, oracle_tests};
