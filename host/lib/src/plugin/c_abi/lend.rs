//! Converts plain requests to those of the C ABI: how each type of the plugin API is lent as a
//! field in C. Results point into the plain request and into `Kept`. They are valid as long as both
//! live: until the call has returned.

use std::any::Any;
use std::ptr;
use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::wire::{Content, Kinded};
use keystead_plugin_api::{Deadline, Result, SecretBytes, SecretText};

use super::table::*;

/// A record of the plugin API that the host lends.
pub(super) trait Lent {
    /// Its struct in C.
    type Twin;

    /// Returns the struct, valid as long as this record and `kept` live.
    fn lent(&self, kept: &mut Kept) -> Result<Self::Twin>;
}

/// A field of a record, as a field in C.
pub(super) trait Lend<C> {
    /// Returns the field, valid as long as this value and `kept` live.
    fn lend(&self, kept: &mut Kept) -> Result<C>;
}

/// Data that is made for a call and dropped after the call.
#[derive(Default)]
pub(super) struct Kept(Vec<Box<dyn Any>>);

impl Kept {
    /// Keeps structs and returns their pointers for C; null if there are none.
    fn list<T: 'static>(&mut self, structs: Vec<T>) -> List<T> {
        if structs.is_empty() {
            return List { start: ptr::null(), count: 0 };
        }
        let pointers: Vec<*const T> = structs.iter().map(ptr::from_ref).collect();
        let list = List { start: pointers.as_ptr(), count: pointers.len() };
        // Both are on the heap and keep their addresses when the vectors move.
        self.0.push(Box::new((structs, pointers)));
        list
    }

    /// Returns the content of a parameter or of metadata as one of three fields of C.
    fn content(&mut self, content: Content<'_>) -> (i64, Bytes, Texts) {
        let texts = match content {
            Content::Bytes(bytes) => return (0, Bytes::of(bytes), Texts::default()),
            Content::Number(number) => return (number, Bytes::NONE, Texts::default()),
            Content::Texts([]) => return (0, Bytes::NONE, Texts::default()),
            Content::Texts(texts) => texts,
        };
        let row: Vec<_> = texts.iter().map(|text| Bytes::of(text.as_bytes())).collect();
        let texts = Texts { start: row.as_ptr(), count: row.len() };
        self.0.push(Box::new(row));
        (0, Bytes::NONE, texts)
    }

    fn bytes(&mut self, bytes: SecretBytes) -> Bytes {
        let kept = Box::new(bytes);
        let view = Bytes::of(kept.expose());
        self.0.push(kept);
        view
    }
}

/// Returns whole milliseconds, at most `u64::MAX` (584 million years).
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Types that are lent without keeping data.
macro_rules! lend {
    ($($type:ty as $c:ty, |$it:ident| $lent:expr;)*) => {$(
        impl Lend<$c> for $type {
            fn lend(&self, _: &mut Kept) -> Result<$c> {
                let $it = self;
                Ok($lent)
            }
        }
    )*};
}

lend! {
    String as Bytes, |text| Bytes::of(text.as_bytes());
    Option<String> as Bytes, |text| Bytes::optional(text.as_deref());
    SecretText as Bytes, |text| Bytes::of(text.expose().as_bytes());
    api::SecretName as Bytes, |name| Bytes::of(name.as_str().as_bytes());
    api::VaultName as Bytes, |name| Bytes::of(name.as_str().as_bytes());
    Option<api::Session> as Bytes, |session| match session {
        Some(session) => Bytes::of(session.secret.expose()),
        None => Bytes::NONE,
    };
    Option<api::Session> as u64, |session| session.as_ref().map_or(0, |it| millis(it.lifetime));
    Option<api::HostInfo> as Pair, |host| host.as_ref().map_or(Pair::default(), |host| Pair {
        name: Bytes::of(host.name.as_bytes()),
        value: Bytes::of(host.version.as_bytes()),
    });
    Deadline as u64, |deadline| millis(deadline.remaining());
    api::Value as u32, |value| value.kind().code();
    api::WriteMode as u32, |mode| mode.code();
    // A page's limit within the bounds of the plugin API.
    usize as Padded, |limit| Padded {
        number: (*limit).clamp(1, api::MAX_PAGE_ENTRIES) as u32,
        reserved: 0,
    };
}

impl Lend<Bytes> for api::Value {
    fn lend(&self, kept: &mut Kept) -> Result<Bytes> {
        Ok(kept.bytes(self.encode()?))
    }
}

impl<R: Lent> Lend<List<R::Twin>> for Vec<R>
where
    R::Twin: 'static,
{
    fn lend(&self, kept: &mut Kept) -> Result<List<R::Twin>> {
        let each: Result<Vec<_>> = self.iter().map(|record| record.lent(kept)).collect();
        Ok(kept.list(each?))
    }
}

impl Lend<List<Parameter>> for api::Parameters {
    fn lend(&self, kept: &mut Kept) -> Result<List<Parameter>> {
        let each = self.iter().map(|(name, value)| {
            let (kind, content) = value.content();
            let (integer, text, _) = kept.content(content);
            let name = Bytes::of(name.as_bytes());
            Parameter { size: size::<Parameter>(), kind, name, integer, text }
        });
        let each = each.collect();
        Ok(kept.list(each))
    }
}

impl Lend<List<Metadata>> for api::Metadata {
    fn lend(&self, kept: &mut Kept) -> Result<List<Metadata>> {
        let each = self.iter().map(|(key, value)| {
            let (kind, content) = value.content();
            let (integer, text, texts) = kept.content(content);
            let (size, key) = (size::<Metadata>(), Bytes::of(key.as_bytes()));
            Metadata { size, kind, key, integer, text, texts, flags: 0, reserved: 0 }
        });
        let each = each.collect();
        Ok(kept.list(each))
    }
}

impl Lend<List<Metadata>> for Option<api::Metadata> {
    fn lend(&self, kept: &mut Kept) -> Result<List<Metadata>> {
        match self {
            Some(metadata) => metadata.lend(kept),
            None => Ok(kept.list(Vec::new())),
        }
    }
}
