//! Returns cursors in a cycle.
#![forbid(unsafe_code)]

use sound::api::Page;
use sound::Odd;

sound::plugin!("cursor-cycles", |_, context| {
    Ok(Odd::new(context)
        .list(|_, request| {
            let next = match request.cursor.as_deref() {
                Some("a") => "b",
                Some("b") => "c",
                _ => "a",
            };
            Ok(Page::new(vec![], Some(next.into())))
        })
        .boxed())
});
