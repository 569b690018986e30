//! Behaviour that only the command has: its streams, its exit code, its input.

use keystead::Placement;
use keystead::api::Value;

use super::oracle;
use super::world::{Kind, World};

/// Returns standard output of a command that must succeed.
#[track_caller]
fn answer(world: &World, words: &str, input: &str) -> String {
    let (code, answer, told) = world.command(words, input);
    assert_eq!(code, 0, "{words}: {told}");
    answer
}

oracle! {
    /// A vault's messages during a call go to standard error, in order and each with its level.
    /// Only the answer goes to standard output.
    sm_32_warnings_and_remarks_come_apart_from_the_answer_and_in_order for most |world| {
        let mut new = world.registration("work");
        if world.kind == Kind::Book {
            new.parameters.insert("remarks".into(), "2".into());
        }
        world.register(new);
        let (code, answer, told) = world.command("vault test work --json -v", "");
        let line = |level: &str, text: &str| {
            format!("{{\"schema\":1,\"log\":\"{text}\",\"level\":\"{level}\",\"vault\":\"work\"}}\n")
        };
        let expected = match world.kind {
            Kind::Memory => {
                let file = world.file("work");
                line("warning", &format!("secrets are kept in clear text in {}", file.display()))
            }
            Kind::Store => line("warning", "there is no vault yet: the first secret makes it"),
            Kind::Files => line("warning", "there is no directory yet: the first secret makes it"),
            Kind::Bao => line("information", &world.remark()),
            _ => (1..=2)
                .flat_map(|number| {
                    [
                        line("warning", &format!("remark {number}: the ink is dry")),
                        line("information", &format!("remark {number}: the pen is mended")),
                    ]
                })
                .collect(),
        };
        assert_eq!((code, told), (0, expected));
        let ok = "{\"schema\":1,\"vault\":\"work\",\"ok\":true,\"code\":null,\"error\":null,\"rules\":{";
        assert!(answer.starts_with(ok), "{answer}");
    }

    /// Metadata is text, an integer, a boolean, or a timestamp; the library has no other types
    /// here. The command refuses lists, maps, fractions and null, and writes nothing.
    ss_14_metadata_of_another_type_is_refused for both |world| {
        world.vault("work");
        for value in ["[1,2]", "{\"a\":1}", "1.5", "null"] {
            let (code, _, told) =
                world.command(&format!("set token --stdin --meta k:={value}"), "canary-5d1f");
            assert_eq!(code, 2, "{value}: {told}");
            assert!(told.contains('k') && !told.contains("canary"), "{told}");
        }
        assert!(!world.is_made("work"));
    }

    /// In PowerShell a switch turns protected strings into plain ones and leaves other kinds alone.
    /// `get` has no such switch: each kind has one form, its bytes. For a map, which has none, the
    /// error tells how to get a part.
    d9_each_kind_of_value_has_one_form for both |world| {
        world.vault("work");
        answer(world, "set text --stdin", "canary-5d1f plain");
        answer(world, "set bytes --kind bytes --stdin", "canary-5d1f\n\0");
        answer(world, "set credential --user bob --stdin", "canary-5d1f");
        answer(world, "set map --kind map --stdin", "{\"key\":\"canary-5d1f\"}");
        assert_eq!(answer(world, "-q get text", ""), "canary-5d1f plain");
        assert_eq!(answer(world, "-q get bytes", ""), "canary-5d1f\n\0");
        assert_eq!(answer(world, "-q get credential", ""), "canary-5d1f");
        assert_eq!(answer(world, "-q get credential --field user", ""), "bob");
        assert_eq!(answer(world, "-q get map --field key", ""), "canary-5d1f");
        let (code, answer, told) = world.command("-q get map", "");
        assert_eq!((code, &*answer), (2, ""));
        assert!(told.contains("is a map, which has no one value to print"), "{told}");
    }

    /// Vaults that are tested together pass only if each one does; the output names each.
    d10_vaults_pass_their_test_only_if_every_one_does for most |world| {
        for name in ["a", "b", "c"] {
            let vault = world.vault(name);
            if world.kind == Kind::Store {
                world.set(&vault, "token", Value::text("canary-5d1f"));
            }
        }
        assert_eq!(answer(world, "-q vault test", ""), "a: ok\nb: ok\nc: ok\n");
        world.damage("b");
        let (code, answer, _) = world.command("-q vault test", "");
        assert_eq!(code, 5);
        let lines: Vec<_> = answer.lines().collect();
        assert_eq!((lines[0], lines[2]), ("a: ok", "c: ok"));
        assert!(lines[1].starts_with("b: failed: vault `b` answered: "), "{answer}");
        assert_eq!(world.command("-q vault test b", "").0, 1);
    }
}
