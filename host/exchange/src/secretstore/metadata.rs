//! The typed metadata of an entry of SecretStore: PowerShell writes its dates in two ways.

use keystead_plugin_api::{Metadata, MetadataValue};

use super::super::item::moment;
use super::super::left_out::{LeftOut, Thing};
use keystead::internals::json::tree::Tree;

const UNKNOWN: Thing =
    Thing("value of metadata of no known kind", "values of metadata of no known kind");

/// Keys whose values are always times in Keystead, in any notation.
const MOMENTS: [&str; 3] = ["created", "updated", "expires"];

/// Returns the metadata in `AdditionalData`: a date as a timestamp, a number that is not whole as
/// its text.
///
/// # Errors
/// The part that no vault can store.
pub(super) fn typed(from: Option<Tree>, left_out: &mut LeftOut) -> Result<Metadata, String> {
    let mut metadata = Metadata::new();
    let Some(Tree::Object(members)) = from else { return Ok(metadata) };
    for (key, value) in members {
        let value = match value {
            Tree::Text(text) => Some(of_text(&key, text.expose())),
            Tree::Boolean(boolean) => Some(MetadataValue::Boolean(boolean)),
            Tree::Number(number) => Some(match number.expose().parse() {
                Ok(whole) => MetadataValue::Integer(whole),
                Err(_) => MetadataValue::Text(number.expose().to_owned()),
            }),
            // Windows PowerShell writes an object for a date with notes.
            object @ Tree::Object(_) => object
                .get("value")
                .and_then(Tree::as_text)
                .and_then(date)
                .map(MetadataValue::Timestamp),
            Tree::Null | Tree::List(_) => None,
        };
        match value {
            Some(value) => {
                metadata.insert(key, value).map_err(|refused| refused.message().to_owned())?;
            }
            None => left_out.count(UNKNOWN, 1),
        }
    }
    Ok(metadata)
}

fn of_text(key: &str, text: &str) -> MetadataValue {
    let is_moment = || MOMENTS.contains(&key).then(|| moment(text)).flatten();
    match date(text).or_else(is_moment) {
        Some(millis) => MetadataValue::Timestamp(millis),
        None => MetadataValue::Text(text.to_owned()),
    }
}

/// Returns a date of PowerShell in milliseconds since 1970: `/Date(1651363200000)/`, where an
/// offset after the number changes nothing, or `2022-05-01T00:00:00Z`. As in PowerShell, any such
/// text is a date; without an offset it is UTC.
fn date(text: &str) -> Option<i64> {
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        let sign = inner.get(1..)?.find(['+', '-']).map_or(inner.len(), |at| at + 1);
        let (millis, offset) = inner.split_at(sign);
        let digits = offset.get(1..).unwrap_or_default();
        let good = offset.is_empty()
            || digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let millis = millis.parse::<i64>().ok().filter(|_| good)?;
        let at = jiff::Timestamp::from_millisecond(millis).ok()?;
        return moment(&at.to_string());
    }
    let is_date = text.len() >= 19 && text.as_bytes()[10] == b'T';
    is_date.then(|| moment(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead::internals::json::tree;

    fn shown(json: &str) -> (Vec<String>, Vec<String>) {
        let mut left_out = LeftOut::default();
        let tree = tree::parse(json, &(0..json.len())).unwrap();
        let metadata = typed(Some(tree), &mut left_out).unwrap();
        let lines = metadata.iter().map(|(key, value)| format!("{key}: {value:?}")).collect();
        (lines, left_out.lines().collect())
    }

    #[test]
    fn metadata_values_keep_their_types() {
        let (lines, left_out) = shown(
            r#"{"Note": "a\nb", "Count": -42, "On": true, "Rate": 0.5, "Big": 99999999999999999999,
                "None": null, "List": [1], "Object": {"a": 1},
                "Due": {"value": "\/Date(1651363200000)\/", "DisplayHint": 2, "DateTime": "x"}}"#,
        );
        assert_eq!(
            lines,
            [
                r#"Big: Text("99999999999999999999")"#,
                "Count: Integer(-42)",
                "Due: Timestamp(1651363200000)",
                r#"Note: Text("a\nb")"#,
                "On: Boolean(true)",
                r#"Rate: Text("0.5")"#,
            ]
        );
        assert_eq!(left_out, ["3 values of metadata of no known kind"]);
    }

    #[test]
    fn powershell_date_formats_are_parsed() {
        for (text, millis) in [
            ("/Date(1651363200000)/", 1_651_363_200_000),
            ("/Date(1651363200000+0200)/", 1_651_363_200_000),
            ("/Date(-1000-0730)/", -1_000),
            ("/Date(0)/", 0),
            ("2022-05-01T00:00:00Z", 1_651_363_200_000),
            ("2022-05-01T02:00:00.0000000+02:00", 1_651_363_200_000),
            ("2022-05-01T00:00:00", 1_651_363_200_000),
        ] {
            assert_eq!(of_text("Due", text), MetadataValue::Timestamp(millis), "{text}");
        }
        for text in [
            "/Date()/",
            "/Date(+)/",
            "/Date(x)/",
            "/Date(1)",
            "/Date(1+02:00)/",
            "/Date(1+)/",
            "/Date(é)/",
            "/Date(99999999999999999)/",
            "/Date(9223372036854775808)/",
            "2022-05-01",
            "1651363200",
            "2022-13-01T00:00:00Z",
            "2022-05-01 00:00:00",
            "ééééééééééé",
        ] {
            assert_eq!(of_text("Due", text), MetadataValue::Text(text.into()), "{text}");
        }
        assert_eq!(of_text("expires", "2022-05-01"), MetadataValue::Timestamp(1_651_363_200_000));
    }

    #[test]
    fn empty_metadata_key_is_rejected() {
        let tree = tree::parse("{\"\":1}", &(0..6)).unwrap();
        let why = typed(Some(tree), &mut LeftOut::default()).unwrap_err();
        assert!(why.starts_with("a metadata key is 1 to "), "{why}");
        assert!(typed(None, &mut LeftOut::default()).unwrap().is_empty());
    }
}
