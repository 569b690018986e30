//! Compares what was written down of the boundary with what it is: only what is added at an end may
//! differ. Texts alone, so that `cargo xtask contract` compares with older versions as well.

/// What follows the faults.
pub(crate) const HELP: &str = "\
Plugins are built against what was written down, and are never built again. Fields may be added behind
the last one of what grows at its end, and calls, numbers, types and structs may be added. Undo the rest
(docs/reference/abi.md, `What never changes`). While the contract is a draft, `cargo xtask contract --write` writes
it down anew.";

/// A type, a record or a struct, with a line for each of its members.
struct Block<'a> {
    line: usize,
    head: &'a str,
    members: Vec<&'a str>,
}

/// How a block may change.
#[derive(PartialEq)]
enum Rule {
    /// Behind its last member.
    AtItsEnd,
    /// By a member anywhere, whose number no other has.
    AnyMember,
    /// Not at all.
    Never,
}

impl<'a> Block<'a> {
    fn all(text: &'a str) -> Vec<Self> {
        let mut blocks: Vec<Self> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            match (line.strip_prefix("    "), blocks.last_mut()) {
                (Some(member), Some(block)) => block.members.push(member),
                _ => blocks.push(Self { line: at + 1, head: line, members: Vec::new() }),
            }
        }
        blocks
    }

    /// Returns its name, which stands before the colon.
    fn name(&self) -> &'a str {
        self.head.split(": ").next().unwrap_or(self.head)
    }

    fn rule(&self) -> Rule {
        // What abi_stable calls a prefix type.
        if self.head.contains("prefix type") || self.head.ends_with("grows at its end") {
            Rule::AtItsEnd
        } else if self.head.ends_with("grows") {
            Rule::AnyMember
        } else {
            Rule::Never
        }
    }

    /// Returns the head without its size, and the size.
    fn sized(&self) -> (String, u64) {
        let without = || (self.head.to_owned(), 0);
        let at = match self.head.find("size ") {
            Some(at) => at + "size ".len(),
            None => return without(),
        };
        let digits = self.head[at..].bytes().take_while(u8::is_ascii_digit).count();
        match self.head[at..at + digits].parse() {
            Ok(size) => (format!("{}{}", &self.head[..at], &self.head[at + digits..]), size),
            Err(_) => without(),
        }
    }
}

/// Returns what of `found` is neither as it was written down nor an addition, one line a fault:
/// the file, the line to read, what it was and what it is.
pub(crate) fn faults(file: &str, written: &str, found: &str) -> Vec<String> {
    let now = Block::all(found);
    let mut faults = Vec::new();
    for old in Block::all(written) {
        let mut fault = |line: usize, was: &str, is: &str| {
            faults.push(format!("{file}:{line}: `{}`: was `{was}`, is {is}", old.name()));
        };
        let new = match now.iter().find(|new| new.name() == old.name()) {
            Some(new) => new,
            None => {
                fault(old.line, old.head, "gone");
                continue;
            }
        };
        let rule = old.rule();
        let ((old_head, old_size), (new_head, new_size)) = (old.sized(), new.sized());
        let is_longer = rule == Rule::AtItsEnd && new_size >= old_size;
        if old_head != new_head || !(is_longer || old_size == new_size) {
            fault(old.line, old.head, &format!("`{}`", new.head));
        }
        for (at, was) in old.members.iter().enumerate() {
            let line = old.line + 1 + at;
            match (&rule, new.members.get(at)) {
                (Rule::AnyMember, _) if new.members.contains(was) => {}
                (Rule::AnyMember, _) => fault(line, was, "gone"),
                (_, Some(is)) if is == was || is_in_reserve(was, is) => {}
                (_, Some(is)) => fault(line, was, &format!("`{is}`")),
                (_, None) => fault(line, was, "gone"),
            }
        }
        match rule {
            Rule::AtItsEnd => {}
            Rule::AnyMember => {
                for added in new.members.iter().filter(|member| !old.members.contains(member)) {
                    let number = number(added);
                    let other = old
                        .members
                        .iter()
                        .position(|old| number.is_some() && number == self::number(old));
                    if let Some(at) = other {
                        fault(
                            old.line + 1 + at,
                            old.members[at],
                            &format!("the number of `{added}`"),
                        );
                    }
                }
            }
            Rule::Never => {
                if let Some(added) = new.members.get(old.members.len()) {
                    let last = old.line + old.members.len();
                    fault(
                        last,
                        old.members.last().unwrap_or(&old.head),
                        &format!("not the last: `{added}`"),
                    );
                }
            }
        }
    }
    faults
}

/// Says whether a member takes the place of one that was reserved: `OFFSET+SIZE TYPE reserved`.
fn is_in_reserve(was: &str, is: &str) -> bool {
    let place = |member: &str| member.split(' ').next().map(str::to_owned);
    was.ends_with(" reserved") && was.contains('+') && place(was) == place(is)
}

/// Returns the number that a member begins with.
fn number(member: &str) -> Option<i64> {
    member.split(' ').next().and_then(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::faults;

    const WRITTEN: &str = "\
Table: size 16, alignment 8, C, prefix type, 2 in the prefix
    call: fn(u32) -> Reply
    close: fn() -> ()
Reply: size 16, alignment 8, C, struct
    start: *const<u8>
    len: usize
record GetRequest: grows at its end
    1 name: SecretName
    2 version: Option<String>
    3 deadline: Deadline
struct keystead_entry: size 24, grows at its end
    0+4 uint32_t size
    4+4 uint32_t reserved
    8+16 keystead_bytes name
struct keystead_bytes: size 16
    0+8 const char *data
    8+8 size_t size
numbers of KEYSTEAD_OK: grows
    0 KEYSTEAD_OK
    1 KEYSTEAD_NOT_FOUND
";

    /// Changes the text, and returns the faults without the file's name.
    fn of(changes: &[(&str, &str)]) -> Vec<String> {
        let mut found = WRITTEN.to_owned();
        for (old, new) in changes {
            assert_eq!(found.matches(old).count(), 1, "{old}");
            found = found.replace(old, new);
        }
        let faults = faults("golden", WRITTEN, &found);
        faults.iter().map(|fault| fault.strip_prefix("golden:").unwrap().to_owned()).collect()
    }

    #[test]
    fn abi_addition_at_end_passes() {
        for changes in [
            &[][..],
            // A function of a table, a field of a record, a field of a struct, each behind the last.
            &[
                ("size 16, alignment 8, C, prefix", "size 24, alignment 8, C, prefix"),
                ("    close: fn() -> ()\n", "    close: fn() -> ()\n    more: fn() -> ()\n"),
            ],
            &[("    3 deadline: Deadline\n", "    3 deadline: Deadline\n    4 reason: String\n")],
            &[
                ("size 24, grows", "size 32, grows"),
                ("keystead_bytes name\n", "keystead_bytes name\n    24+8 uint64_t more\n"),
            ],
            // What was reserved gets a name.
            &[("4+4 uint32_t reserved", "4+4 uint32_t flags")],
            // A number between others; a record.
            &[("    0 KEYSTEAD_OK\n", "    0 KEYSTEAD_OK\n    2 KEYSTEAD_TWO\n")],
            &[("record GetRequest", "record Another: grows at its end\nrecord GetRequest")],
        ] {
            assert_eq!(of(changes), [""; 0], "{changes:?}");
        }
    }

    #[test]
    fn abi_change_elsewhere_fails_with_line() {
        for (changes, fault) in [
            // Reordered.
            (
                &[(
                    "    1 name: SecretName\n    2 version: Option<String>\n",
                    "    1 version: Option<String>\n    2 name: SecretName\n",
                )][..],
                "8: `record GetRequest`: was `1 name: SecretName`, is `1 version: Option<String>`",
            ),
            // Another number, another type, another name.
            (
                &[("3 deadline", "4 deadline")],
                "10: `record GetRequest`: was `3 deadline: Deadline`, is `4 deadline: Deadline`",
            ),
            (
                &[("2 version: Option<String>", "2 version: Option<u64>")],
                "9: `record GetRequest`: was `2 version: Option<String>`, is `2 version: Option<u64>`",
            ),
            (
                &[
                    ("4+4 uint32_t reserved", "4+4 int32_t reserved"),
                    ("0+4 uint32_t size", "0+4 int32_t size"),
                ],
                "12: `struct keystead_entry`: was `0+4 uint32_t size`, is `0+4 int32_t size`",
            ),
            // Inserted, removed.
            (
                &[("    close: fn() -> ()\n", "    more: fn() -> ()\n    close: fn() -> ()\n")],
                "3: `Table`: was `close: fn() -> ()`, is `more: fn() -> ()`",
            ),
            (
                &[("    3 deadline: Deadline\n", "")],
                "10: `record GetRequest`: was `3 deadline: Deadline`, is gone",
            ),
            (
                &[("    1 KEYSTEAD_NOT_FOUND\n", "")],
                "20: `numbers of KEYSTEAD_OK`: was `1 KEYSTEAD_NOT_FOUND`, is gone",
            ),
            (
                &[(
                    "record GetRequest: grows at its end\n    1 name",
                    "record Get: grows at its end\n    1 name",
                )],
                "7: `record GetRequest`: was `record GetRequest: grows at its end`, is gone",
            ),
            // A number twice.
            (
                &[("    1 KEYSTEAD_NOT_FOUND\n", "    1 KEYSTEAD_NOT_FOUND\n    1 KEYSTEAD_NEW\n")],
                "20: `numbers of KEYSTEAD_OK`: was `1 KEYSTEAD_NOT_FOUND`, is the number of `1 KEYSTEAD_NEW`",
            ),
            // What never grows, and what no longer does; a prefix that is another.
            (
                &[("    8+8 size_t size\n", "    8+8 size_t size\n    16+8 size_t room\n")],
                "17: `struct keystead_bytes`: was `8+8 size_t size`, is not the last: `16+8 size_t room`",
            ),
            (
                &[("Reply: size 16", "Reply: size 24")],
                "4: `Reply`: was `Reply: size 16, alignment 8, C, struct`, is `Reply: size 24, alignment 8, C, struct`",
            ),
            (
                &[("2 in the prefix", "1 in the prefix")],
                "1: `Table`: was `Table: size 16, alignment 8, C, prefix type, 2 in the prefix`, \
                 is `Table: size 16, alignment 8, C, prefix type, 1 in the prefix`",
            ),
            (
                &[("size 16, alignment 8, C, prefix", "size 8, alignment 8, C, prefix")],
                "1: `Table`: was `Table: size 16, alignment 8, C, prefix type, 2 in the prefix`, \
                 is `Table: size 8, alignment 8, C, prefix type, 2 in the prefix`",
            ),
        ] {
            let faults = of(changes);
            assert!(faults.iter().any(|own| own == fault), "{changes:?}: {faults:#?}");
        }
    }
}
