//! What users of PowerShell's SecretManagement and SecretStore count on, line by line: each
//! line is a test named by its number, for the reference plugin and for one that somebody
//! else might have made, in both placements. Where we differ on purpose the test asserts
//! what we do, and says why.

mod command;
mod line;
mod local_vault;
mod metadata;
mod registration;
mod secret;
mod unlocking;
mod value;
mod world;

/// Makes each line a module of its name, with a test for each plugin and placement, so that
/// a failure names all three. `both` is the reference plugin, a book of the other one, the local
/// vault and a directory of a real OpenBao; `most` a directory of files as well, and `all` a slip, too:
/// these two, `bare`, keep no metadata, hold texts and bytes alone, and are never locked. `store`
/// is the local vault alone.
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
