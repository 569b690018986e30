//! "Did you mean": the known name that looks most like a given one. For hints only: Keystead never
//! acts on a name that the user did not give.

/// Returns the most similar candidate, if at most a third of its letters differ.
pub fn similar<'a, T: AsRef<str> + ?Sized>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a T>,
) -> Option<&'a T> {
    // A text of this length is no typing error, and the cost grows with its square.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = candidate.as_ref().to_ascii_lowercase();
            // Letters inserted, omitted, replaced or swapped with the next.
            let away = strsim::osa_distance(&given, &known);
            (away * 3 <= known.chars().count().max(3)).then_some((away, candidate))
        })
        .min_by_key(|(away, _)| *away)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_name_is_suggested_only_for_typing_error() {
        let known = ["plugin", "kind", "parameters", "url"];
        assert_eq!(similar("plugn", &known), Some(&"plugin"));
        assert_eq!(similar("Parmaeters", &known), Some(&"parameters"));
        assert_eq!(similar("ulr", &known), Some(&"url"));
        assert_eq!(similar("password", &known), None);
        assert_eq!(similar("", &known), None);
        assert_eq!(similar(&"p".repeat(10_000), &known), None);
    }
}
