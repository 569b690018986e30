//! Finds groups that belong to the user alone: Debian's user private groups, and the group of root,
//! which OpenShift containers run with. Reads `/etc/passwd` and `/etc/group` only. A directory
//! service does not list all members of a group, so its groups are never private.

use std::sync::OnceLock;

/// Returns the id of the group whose only member is the user, if there is one.
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

/// Returns whether the group of root has no member but root and the user.
pub(super) fn is_alone_with_root(uid: u32) -> bool {
    let read = || Some((fs_err::read("/etc/passwd").ok()?, fs_err::read("/etc/group").ok()?));
    read().is_some_and(|(users, groups)| is_alone_with_root_in(uid, &users, &groups))
}

fn is_alone_with_root_in(uid: u32, users: &[u8], groups: &[u8]) -> bool {
    let is_allowed = |id| id == 0 || id == uid;
    let named =
        |name: &[u8]| rows(users).filter(|(user, ..)| *user == name).all(|row| is_allowed(row.1));
    let mut members = rows(groups).filter(|(_, id, _)| *id == 0).peekable();
    // Without a row, the members of the group are unknown.
    members.peek().is_some()
        && rows(users).all(|(_, id, group)| number(group) != Some(0) || is_allowed(id))
        && members.all(|(.., names)| {
            let mut names = names.split(|b| *b == b',').filter(|name| !name.is_empty());
            names.all(|name| rows(users).any(|(user, ..)| user == name) && named(name))
        })
}

/// Returns the user's private group: the primary group of this user only, with the user's
/// name, and without other members.
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

/// Returns fields 1, 3 and 4 of every line: name, id, and the field after the id. Lines in
/// another format (comments, NIS markers) are skipped.
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
    fn group_with_user_name_and_no_other_member_is_private() {
        assert_eq!(private_group_in(1000, USERS, GROUPS), Some(1000));
        assert_eq!(private_group_in(0, USERS, GROUPS), Some(0));
    }

    #[test]
    fn shared_or_aliased_group_is_not_private() {
        assert_eq!(private_group_in(1002, USERS, GROUPS), None, "a common group");
        assert_eq!(private_group_in(1001, USERS, GROUPS), None, "someone else's primary group");
        let joined = b"ada:x:1000:ada,bob\n";
        assert_eq!(private_group_in(1000, USERS, joined), None, "another member");
        let alias = b"ada:x:1000:\nwheel:x:1000:eve\n";
        assert_eq!(private_group_in(1000, USERS, alias), None, "a second name for it");
    }

    #[test]
    fn root_group_is_private_with_root_and_user_only() {
        assert!(is_alone_with_root_in(1000, USERS, GROUPS));
        assert!(is_alone_with_root_in(1_000_650_000, USERS, GROUPS), "an account without a name");
        assert!(is_alone_with_root_in(1000, USERS, b"root:x:0:root,ada\n"));
        let with_default = [USERS, b"default:x:1004:0::/opt:/bin/sh\n"].concat();
        assert!(is_alone_with_root_in(1004, &with_default, GROUPS));
        assert!(!is_alone_with_root_in(1000, &with_default, GROUPS), "another's primary group");
        assert!(!is_alone_with_root_in(1000, USERS, b"root:x:0:bob\n"), "another member");
        assert!(
            !is_alone_with_root_in(1000, USERS, b"root:x:0:unknown\n"),
            "a member without a row"
        );
        assert!(
            !is_alone_with_root_in(1000, USERS, b"wheel:x:0:bob\nroot:x:0:\n"),
            "a second name"
        );
        assert!(!is_alone_with_root_in(1000, USERS, b""), "no row");
    }

    #[test]
    fn unlisted_account_has_no_private_group() {
        assert_eq!(private_group_in(5000, USERS, GROUPS), None);
        assert_eq!(private_group_in(1000, USERS, b""), None);
        assert_eq!(private_group_in(1000, b"\xff:\xfe:1000", GROUPS), None);
    }
}
