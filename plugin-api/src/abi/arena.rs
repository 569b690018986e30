//! Holds what views point to: for the length of a call, or until a reply is given back.

use std::any::Any;

use abi_stable::prefix_type::{PrefixRef, PrefixTypeTrait, WithMetadata};
use abi_stable::std_types::{RErr, ROk};

use super::table::{AbiReply, AbiState};
use super::view::{AbiBytes, AbiSlice};
use super::{lend, read};
use crate::error::Result;
use crate::value::SecretBytes;

/// Memory that views point to. Boxed pieces never move, whatever is added.
#[derive(Default)]
pub(super) struct Arena(Vec<Box<dyn Any>>);

impl Arena {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Keeps secret bytes, wiped when the arena ends.
    pub(super) fn secret(&mut self, bytes: SecretBytes) -> AbiBytes {
        // Boxed first: a view taken before would be of memory whose owner then moves.
        let kept = Box::new(bytes);
        let view = AbiBytes::of(kept.expose());
        self.0.push(kept);
        view
    }

    /// Keeps text that is not secret.
    pub(super) fn text(&mut self, text: &str) -> AbiBytes {
        let kept = Box::new(text.to_owned());
        let view = AbiBytes::of(kept.as_bytes());
        self.0.push(kept);
        view
    }

    pub(super) fn optional(&mut self, text: Option<&str>) -> AbiBytes {
        text.map_or(AbiBytes::NONE, |text| self.text(text))
    }

    /// Keeps items.
    pub(super) fn items<T: Copy + 'static>(&mut self, items: Vec<T>) -> AbiSlice<T> {
        let kept = Box::new(items);
        let view = AbiSlice::of(&kept);
        self.0.push(kept);
        view
    }

    /// Keeps a prefix type.
    pub(super) fn prefix<T>(&mut self, value: T) -> PrefixRef<T::PrefixFields>
    where
        T: PrefixTypeTrait + 'static,
        T::PrefixFields: 'static,
    {
        let kept = vec![WithMetadata::new(value)];
        let pointer: *const WithMetadata<T> = kept.as_ptr();
        self.0.push(Box::new(kept));
        // SAFETY: the vector is kept by this arena, never changed, and outlives every
        // use: a call's arena lives until the call has returned, a reply's until `free`.
        unsafe { PrefixRef::from_raw(pointer) }
    }

    /// Hands the arena to whoever receives the reply, until it is given back.
    pub(super) fn reply<R>(
        mut self,
        result: Result<impl FnOnce(&mut Self) -> Result<R>>,
    ) -> AbiReply<R> {
        let result = match result.and_then(|lend| read::blaming_the_answerer(lend(&mut self))) {
            Ok(view) => ROk(view),
            Err(error) => RErr(lend::error(&error, &mut self)),
        };
        let owner = Box::into_raw(Box::new(self)).cast::<AbiState>();
        AbiReply { result, owner, free: free_arena }
    }
}

/// Ends a reply's memory, in the module that made it.
unsafe extern "C" fn free_arena(owner: *mut AbiState) {
    // SAFETY: `owner` came from `Box::into_raw` of an `Arena` in `reply`, the only place
    // that pairs it with this function, and is given back once.
    let arena = unsafe { Box::from_raw(owner.cast::<Arena>()) };
    // What an arena holds has no drop code of an author's.
    drop(arena);
}
