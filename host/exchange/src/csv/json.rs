//! JSON in a field of a table: addresses of Proton Pass and NordPass, and NordPass's own fields.

use keystead_plugin_api::{JsonText, SecretText};

use super::super::item::Item;
use keystead::internals::json::tree::{self, Tree};

/// Adds a list of new addresses; any other text becomes a field.
pub(super) fn urls(item: &mut Item, text: SecretText) {
    let Some(list) = list(&text) else { return item.field("urls", Some(text)) };
    for one in list {
        match one {
            Tree::Text(url) => item.other_url(url),
            mut object => match object.take_text("url") {
                Some(url) => item.other_url(url),
                None => return item.field("urls", Some(text)),
            },
        }
    }
}

/// Adds a list of labels and values; any other text becomes a field.
pub(super) fn fields(item: &mut Item, text: SecretText) {
    let list = list(&text).filter(|list| {
        list.iter().all(|one| {
            one.get("label").is_some()
                && !matches!(one.get("value"), Some(Tree::List(_) | Tree::Object(_)))
        })
    });
    let Some(list) = list else { return item.field("custom fields", Some(text)) };
    for mut one in list {
        let (label, value) = (one.take_text("label"), one.take_text("value"));
        let label = label.as_ref().map_or("", SecretText::expose);
        item.field(label, value);
    }
}

fn list(text: &SecretText) -> Option<Vec<Tree>> {
    if text.expose().trim().is_empty() {
        return Some(Vec::new());
    }
    let json = JsonText::parse(text.duplicate()).ok()?;
    let json = json.expose().trim();
    match tree::parse(json, &(0..json.len())) {
        Ok(Tree::List(list)) => Some(list),
        _ => None,
    }
}
