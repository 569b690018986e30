//! Returns pages with one entry more than the limit.
#![forbid(unsafe_code)]

use sound::api::{Page, MAX_PAGE_ENTRIES};
use sound::Odd;

sound::plugin!("page-over", |_, context| {
    Ok(Odd::new(context)
        .list(|_, _| Ok(Page::new((0..=MAX_PAGE_ENTRIES).map(sound::entry).collect(), None)))
        .boxed())
});
