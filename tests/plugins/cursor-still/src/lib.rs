//! Always returns the same cursor.
#![forbid(unsafe_code)]

use sound::api::Page;
use sound::Odd;

sound::plugin!("cursor-still", |_, context| {
    Ok(Odd::new(context).list(|_, _| Ok(Page::new(vec![], Some("here".into())))).boxed())
});
