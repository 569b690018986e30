//! Lists names that every host rejects. The plugin is correct as such: its copy of plugin-api lacks
//! the check of names.

use sound::api::{Entry, Metadata, Page, SecretName};
use sound::Odd;

fn rude(kind: &str) -> String {
    match kind {
        "long" => "x".repeat(1_025),
        "control" => "a\u{1b}[2J".into(),
        "empty" => String::new(),
        // SAFETY: none: that is the point.
        _ => unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) },
    }
}

sound::plugin!("rude-names", |_, context| {
    Ok(Odd::new(context)
        .list(|_, request| {
            let pattern = request.pattern.as_deref().unwrap_or("utf-8");
            let name = SecretName::parse(&rude(pattern.trim_end_matches('*')))?;
            Ok(Page::new(vec![Entry::new(name, None, Metadata::new())], None))
        })
        .boxed())
});
