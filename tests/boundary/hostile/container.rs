//! The sandbox of a command in a container of rootless Podman, with and without namespaces.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::users::tries;
use crate::plugin_files::hostile;
use crate::podman::{Mode, Podman};

#[test]
#[ignore = "needs podman"]
fn hostile_plugins_are_confined_in_container_needs_podman() {
    let podman = Podman::new(Mode::Rootless);
    for program in ["rm", "mkdir"] {
        podman.fill(&format!("bin/{program}"), &Path::new("/bin").join(program));
    }
    // A system library that rows load, and that no other program here is linked with.
    let libraries = ["/lib/x86_64-linux-gnu/librt.so.1", "/lib64/librt.so.1"];
    let library = libraries.iter().find(|path| Path::new(path).exists()).unwrap();
    podman.fill(&library[1..], Path::new(library));
    let tries = tries(Path::new("/tmp/own"));
    let mut script = String::new();
    let mut installed = "";
    for (row, what, _) in &tries {
        let name = row.name;
        if installed != name {
            installed = name;
            podman.fill(&format!("{name}.so"), &hostile(name, &podman.path(""), &[]));
            write!(
                script,
                "keystead plugin install --yes --quiet /{name}.so || exit 90\n\
                 keystead vault register {name} --quiet --placement isolated --plugin {name} \
                     --param folder=/tmp/own || exit 91\n"
            )
            .unwrap();
        }
        write!(
            script,
            "rm -rf /tmp/own && mkdir -m 700 /tmp/own && printf own >/tmp/own/here || exit 92\n\
             keystead get -V {name} '{what}'\necho \" $?\"\n"
        )
        .unwrap();
    }
    fs::write(podman.path("rootfs/tries"), script).unwrap();
    let without = podman.refusing("without", &["unshare"]);
    // Root and another user with namespaces and landlock, then root with landlock alone.
    for options in [&[][..], &["--user=1000:1000", "--cap-drop=all"], &[&without]] {
        let (code, answer, told) = podman.run(options, ". /tries");
        assert_eq!(code, Some(0), "{options:?}: {told}");
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.lines().count(), tries.len(), "{options:?}: {answer}{told}");
        let wrong = tries.iter().zip(answer.lines()).filter(|((_, _, words), line)| {
            !words.split('|').any(|word| line.strip_suffix(" 0") == Some(word))
        });
        let wrong: Vec<_> = wrong
            .map(|((row, what, words), line)| {
                format!("{} {what}: {line:?} and not {words}", row.name)
            })
            .collect();
        assert!(wrong.is_empty(), "{options:?}:\n{}\n{told}", wrong.join("\n"));
        podman.sweep();
    }
}
