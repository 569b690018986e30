//! The part of a page that a task writes: between two lines, the rest is by people.

use crate::Result;

/// A part, by the lines around it.
pub(crate) struct Part {
    pub(crate) page: &'static str,
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Part {
    /// Returns the page with this part replaced.
    pub(crate) fn replaced(&self, page: &str, made: &str) -> Result<String> {
        let Self { page: name, begin, end } = self;
        let parts = page.split_once(begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(end)?;
            Some((before, after))
        });
        let (before, after) = parts.ok_or_else(|| {
            format!("{name} has no lines `{}` and `{}`", begin.trim_end(), end.trim_end())
        })?;
        Ok(format!("{before}{begin}\n{}\n\n{end}{after}", made.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_made_part_of_the_page_is_replaced() {
        let part = Part { page: "docs/speed.md", begin: "<!-- begin -->\n", end: "<!-- end -->\n" };
        let page = "# Speed\n\n<!-- begin -->\nold\n<!-- end -->\nHow to repeat.\n";
        let new = part.replaced(page, "new\n").unwrap();
        let expected = "# Speed\n\n<!-- begin -->\n\nnew\n\n<!-- end -->\nHow to repeat.\n";
        assert_eq!(new, expected);
        assert_eq!(part.replaced(&new, "new").unwrap(), new);
        assert!(part.replaced("# Speed\n", "new").is_err());
    }
}
