//! Who the user is, and which group is hers alone: Debian's user private groups. Decided
//! from `/etc/passwd` and `/etc/group` only: where accounts come from elsewhere there is
//! no private group, and nothing group-writable is used.

use std::sync::OnceLock;

/// The number of the group whose only member is the user, if there is one.
pub(super) fn private_group(uid: u32) -> Option<u32> {
    static KNOWN: OnceLock<(u32, Option<u32>)> = OnceLock::new();
    let look = || {
        let users = fs_err::read("/etc/passwd").ok()?;
        let groups = fs_err::read("/etc/group").ok()?;
        private_group_in(uid, &users, &groups)
    };
    let (known, group) = *KNOWN.get_or_init(|| (uid, look()));
    if known == uid { group } else { look() }
}

/// A group is private when it is the user's primary group, has her name, lists no other
/// member, and is nobody else's primary group.
fn private_group_in(uid: u32, users: &[u8], groups: &[u8]) -> Option<u32> {
    let mut user = None;
    for (name, id, group) in rows(users) {
        if id == uid && user.is_none() {
            user = Some((name, u32::try_from(number(group)?).ok()?));
        }
    }
    let (name, gid) = user?;
    let shared = rows(users).any(|(_, id, group)| id != uid && number(group) == Some(gid.into()));
    if shared {
        return None;
    }
    let mut own = false;
    for (group, id, members) in rows(groups).filter(|(_, id, _)| *id == gid) {
        debug_assert_eq!(id, gid);
        let others = members.split(|b| *b == b',').any(|m| !m.is_empty() && m != name);
        if group != name || others {
            return None;
        }
        own = true;
    }
    own.then_some(gid)
}

/// Fields one, three and four of every line: name, id, and what follows it. Lines that are
/// not so formed (comments, NIS markers) are passed over.
fn rows(text: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    text.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next()?;
        let id = number(fields.nth(1)?)?;
        let rest = fields.next()?;
        Some((name, u32::try_from(id).ok()?, rest))
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        ada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n\
        bob:x:1001:1001::/home/bob:/bin/sh\n\
        eve:x:1002:100::/home/eve:/bin/sh\n\
        twin:x:1003:1001::/home/twin:/bin/sh\n+::::::\n";
    const GROUPS: &[u8] = b"root:x:0:\nusers:x:100:\nada:x:1000:ada\nbob:x:1001:\n";

    #[test]
    fn a_group_of_the_users_name_without_others_is_private() {
        assert_eq!(private_group_in(1000, USERS, GROUPS), Some(1000));
        assert_eq!(private_group_in(0, USERS, GROUPS), Some(0));
    }

    #[test]
    fn a_group_that_others_are_in_is_not_private() {
        assert_eq!(private_group_in(1002, USERS, GROUPS), None, "a common group");
        assert_eq!(private_group_in(1001, USERS, GROUPS), None, "someone else's primary group");
        let joined = b"ada:x:1000:ada,bob\n";
        assert_eq!(private_group_in(1000, USERS, joined), None, "another member");
        let alias = b"ada:x:1000:\nwheel:x:1000:eve\n";
        assert_eq!(private_group_in(1000, USERS, alias), None, "a second name for it");
    }

    #[test]
    fn an_account_from_elsewhere_has_no_private_group() {
        assert_eq!(private_group_in(5000, USERS, GROUPS), None);
        assert_eq!(private_group_in(1000, USERS, b""), None);
        assert_eq!(private_group_in(1000, b"\xff:\xfe:1000", GROUPS), None);
    }
}
