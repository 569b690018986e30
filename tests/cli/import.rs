//! `import`.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use snapbox::{assert_data_eq, str};

use super::prompt::{at_terminal, end};
use super::sandbox::{Answer, CANARY, Sandbox};
use crate::plugin_files;

/// Returns a line of JSON Lines whose value contains the canary.
fn line(name: &str, value: &str) -> String {
    format!("{{\"schema\":1,\"name\":\"{name}\",\"value\":{{\"text\":\"{CANARY} {value}\"}}}}\n")
}

/// Writes a file to the commands' directory, and imports it.
fn import(sandbox: &Sandbox, content: impl AsRef<[u8]>, words: &str) -> Answer {
    std::fs::write(sandbox.here("x.given"), content).unwrap();
    sandbox.run(&format!("import x.given {words}"), &[])
}

fn get(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.run("get", &[name]).succeeds().to_vec()).unwrap()
}

#[test]
fn import_previews_and_requires_confirmation() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(format!("{CANARY} old"), "set b --stdin").succeeds();
    sandbox.feed(format!("{CANARY} c"), "set c --stdin").succeeds();
    let content = [
        line("a", "new"),
        line("b", "new"),
        line("c", "c"),
        format!("{CANARY}\n"),
        format!(
            "{{\"schema\":1,\"name\":\"d\",\"metadata\":{{\"env\":\"dev\"}},\
             \"value\":{{\"user\":\"u\",\"password\":\"{CANARY}\"}}}}\n"
        ),
    ]
    .concat();
    assert_data_eq!(
        import(&sandbox, &content, ""),
        str![[r#"
exit code 4
--- stderr
Warning: line 2, `b`: another value or other metadata is there, and stays
Warning: line 4: column 1: a line is one JSON object, `{...}`
To vault `work`: 2 new (1 credential, 1 text), 1 there already, 1 different from what is there, 1 that cannot be imported.
Error: Confirmation needed: Import 2 secrets into vault `work`?
Hint: add `--yes` to import without being asked

"#]]
    );
    sandbox.run("get a", &[]).ends_with(3);
    assert_data_eq!(
        import(&sandbox, &content, "--dry-run --json"),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"vault":"work","form":"jsonl","dry_run":true,"new":2,"replaced":0,"unchanged":1,"skipped":0,"different":1,"broken":1,"unfit":0,"failed":0,"kinds":{"credential":1,"text":1}}
--- stderr
{"schema":1,"warning":"line 2, `b`: another value or other metadata is there, and stays"}
{"schema":1,"warning":"line 4: column 1: a line is one JSON object, `{...}`"}

"#]]
    );
    sandbox.run("get a", &[]).ends_with(3);
    assert_data_eq!(
        import(&sandbox, &content, "--yes"),
        str![[r#"
exit code 5
--- stderr
Warning: line 2, `b`: another value or other metadata is there, and stays
Warning: line 4: column 1: a line is one JSON object, `{...}`
To vault `work`: 2 new (1 credential, 1 text), 1 there already, 1 different from what is there, 1 that cannot be imported.
Imported into vault `work`: 2 new (1 credential, 1 text), 1 there already, 1 different from what is there, 1 not imported.

"#]]
    );
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} new"));
    assert_eq!(get(&sandbox, "b"), format!("{CANARY} old"));
    let shown = sandbox.run("show d --json", &[]).succeeds().to_vec();
    assert!(String::from_utf8(shown).unwrap().contains("\"metadata\":{\"env\":\"dev\"}"));
}

#[test]
fn import_prompt_accepts_yes_or_no() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.here("x.given"), line("a", "")).unwrap();
    for (answer, status, there) in [("n", 1, 3), ("y", 0, 0)] {
        let mut session = at_terminal(sandbox.command("import x.given", &[]));
        session.exp_string("Import 1 secret into vault `work`? [y/N]: ").unwrap();
        session.send_line(answer).unwrap();
        assert_eq!(end(session).1, status);
        sandbox.run("get a", &[]).ends_with(there);
    }
}

#[test]
fn import_source_changed_during_prompt_is_rejected() {
    let sandbox = Sandbox::with_work();
    let rows: Vec<String> = (0..600).map(|at| line(&format!("a{at}"), "seen")).collect();
    std::fs::write(sandbox.here("x.given"), rows.concat()).unwrap();
    let mut session = at_terminal(sandbox.command("import x.given", &[]));
    session.exp_string("Import 600 secrets into vault `work`? [y/N]: ").unwrap();
    std::fs::write(sandbox.here("x.given"), rows.concat().replace("a599", "b599")).unwrap();
    session.send_line("y").unwrap();
    let (rest, status) = end(session);
    assert_eq!(status, 1, "{rest}");
    assert!(rest.contains("Error: The import source changed after the preview"), "{rest}");
    assert!(rest.contains("Code: E13.changed"), "{rest}");
    sandbox.run("get b599", &[]).ends_with(3);

    // Removed or added rows are changes as well.
    for changed in [rows[..599].concat(), rows.concat() + &line("more", "")] {
        std::fs::write(sandbox.here("x.given"), rows.concat()).unwrap();
        let mut session = at_terminal(sandbox.command("import x.given --prefix p/", &[]));
        session.exp_string("[y/N]: ").unwrap();
        std::fs::write(sandbox.here("x.given"), changed).unwrap();
        session.send_line("y").unwrap();
        assert_eq!(end(session).1, 1);
        sandbox.run("get p/a599", &[]).ends_with(3);
        sandbox.run("get p/more", &[]).ends_with(3);
    }
}

#[test]
fn import_warns_of_20_broken_rows_and_imports_rest() {
    let sandbox = Sandbox::with_work();
    let rows: Vec<String> = (1..=50)
        .map(|at| if at % 2 == 0 { line(&format!("a{at}"), "") } else { "{}\n".into() })
        .collect();
    let answer = import(&sandbox, rows.concat(), "--from jsonl --yes");
    answer.ends_with(5);
    assert_eq!(answer.stderr.matches("Warning: line").count(), 20);
    assert!(answer.stderr.contains("Warning: line 39: the member `name` is missing\n"));
    assert!(answer.stderr.contains("Warning: and 5 more\n"));
    assert!(
        answer.stderr.contains("Imported into vault `work`: 25 new (25 text), 25 not imported.")
    );
    assert_eq!(get(&sandbox, "a50"), format!("{CANARY} "));
}

#[test]
fn import_keeps_existing_secret_unless_replace() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(format!("{CANARY} old"), "set a --stdin --meta env=dev").succeeds();
    sandbox.feed(format!("{CANARY} new"), "set b --stdin --meta env=dev").succeeds();
    let content = [line("a", "new"), line("b", "new")].concat();
    import(&sandbox, &content, "--yes").ends_with(5);
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} old"));
    assert_data_eq!(
        import(&sandbox, &content, "--skip-existing"),
        str![[r#"
exit code 0
--- stderr
Imported into vault `work`: 0 new, 1 there already, 1 left as they are.

"#]]
    );
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} old"));
    assert_data_eq!(
        import(&sandbox, &content, "--replace --dry-run"),
        str![[r#"
exit code 0
--- stderr
Would import into vault `work`: 0 new and 1 replaced (1 text), 1 there already; nothing was changed

"#]]
    );
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} old"));
    import(&sandbox, &content, "--replace --yes").succeeds();
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} new"));
    // A row without metadata keeps the existing metadata.
    let listed = sandbox.run("list -q", &[]).succeeds().to_vec();
    assert_eq!(
        String::from_utf8(listed).unwrap(),
        "a\twork\ttext\tenv=dev\nb\twork\ttext\tenv=dev\n"
    );
}

#[test]
fn import_with_other_metadata_is_conflict() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin --meta env=dev").succeeds();
    let row = |metadata: &str| {
        format!(
            "{{\"schema\":1,\"name\":\"a\",\"metadata\":{metadata},\"value\":{{\"text\":\"{CANARY}\"}}}}"
        )
    };
    import(&sandbox, row("{\"env\":\"dev\"}"), "").succeeds();
    import(&sandbox, row("{\"env\":\"prod\"}"), "").ends_with(5);
    import(&sandbox, row("{\"n\":1}"), "--replace --yes").succeeds();
    let listed = sandbox.run("list -q", &[]).succeeds().to_vec();
    assert_eq!(String::from_utf8(listed).unwrap(), "a\twork\ttext\tn=1\n");
}

#[test]
fn duplicate_import_name_takes_last_row_with_warning() {
    let sandbox = Sandbox::with_work();
    let content = [line("a", "one"), line("b", ""), line("a", "two")].concat();
    for words in ["--dry-run", "--yes", "--yes"] {
        let answer = import(&sandbox, &content, words);
        let told = answer.stderr.clone();
        answer.succeeds();
        assert_eq!(told.matches("it takes the place of line 1").count(), 1, "{told}");
        assert!(told.contains("2 new (2 text)") || told.contains("2 there already"), "{told}");
    }
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} two"));
}

#[test]
fn last_row_of_a_name_counts_far_behind_the_first_and_from_a_pipe() {
    let sandbox = Sandbox::with_work();
    let rows: Vec<String> = (0..1_300).map(|at| line(&format!("a{}", at % 1_299), "one")).collect();
    let content = rows[..1_299].concat() + &line("a0", "two");
    import(&sandbox, &content, "--yes --prefix f/").succeeds();
    assert_eq!(get(&sandbox, "f/a0"), format!("{CANARY} two"));
    sandbox.feed(&content, "import - --from jsonl --yes --prefix p/").succeeds();
    assert_eq!(get(&sandbox, "p/a0"), format!("{CANARY} two"));
    // A secret from before the import stays unchanged.
    sandbox.feed(format!("{CANARY} own"), "set h/a0 --stdin").succeeds();
    import(&sandbox, &content, "--yes --prefix h/").ends_with(5);
    assert_eq!(get(&sandbox, "h/a0"), format!("{CANARY} own"));
}

#[test]
fn import_from_pipe_requires_yes_or_dry_run() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.feed(line("a", ""), "import - --from jsonl"),
        str![[r#"
exit code 2
--- stderr
Error: Piped input cannot be previewed
Hint: add `--dry-run` to see what would happen, or `--yes` to do it

"#]]
    );
    sandbox.feed(line("a", ""), "import - --from jsonl --dry-run").succeeds();
    sandbox.run("get a", &[]).ends_with(3);
    sandbox.feed(line("a", ""), "import - --from jsonl --yes").succeeds();
    assert_eq!(get(&sandbox, "a"), format!("{CANARY} "));
}

#[test]
fn import_of_unknown_format_is_rejected() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        import(&sandbox, CANARY, ""),
        str![[r#"
exit code 1
--- stderr
Error: Cannot detect the import format
Hint: add `--from FORMAT`: `jsonl`, `dotenv`, `bitwarden`, `1pux`, `keepass-xml`, `csv`, `pass`, `secretstore` or `vaultinfo`
Code: E13.unknown-form

"#]]
    );
    assert_data_eq!(
        sandbox.run("import . --from dotenv --yes", &[]),
        str![[r#"
exit code 1
--- stderr
Error: This is not an environment file: it is a directory
Code: E13.not-of-form

"#]]
    );
    assert_data_eq!(
        sandbox.run("import nothing.env", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Cannot open `nothing.env`
Caused by: No such file or directory (os error 2)

"#]]
    );
    sandbox.run("import x --from word", &[]).ends_with(2);
}

#[test]
fn import_of_dotenv_creates_texts() {
    let sandbox = Sandbox::with_work();
    let content = format!("# said\nexport A='{CANARY} $X'\r\nB={CANARY} # no\nC\n");
    assert_data_eq!(
        import(&sandbox, content, "--from dotenv --prefix app/ --yes"),
        str![[r#"
exit code 5
--- stderr
Warning: line 4: there is no `=` behind a key
To vault `work`: 2 new (2 text), 1 that cannot be imported.
Imported into vault `work`: 2 new (2 text), 1 not imported.

"#]]
    );
    assert_eq!(get(&sandbox, "app/A"), format!("{CANARY} $X"));
    assert_eq!(get(&sandbox, "app/B"), CANARY);
}

#[test]
fn import_of_names_equal_in_vault_takes_first_row() {
    let sandbox = Sandbox::installed();
    let file = plugin_files::plugin("folds-names");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register odd --plugin folds-names", &[]).succeeds();
    let content = [line("A", "one"), line("b", ""), line("a", "two")].concat();
    assert_data_eq!(
        import(&sandbox, content, "--yes --replace"),
        str![[r#"
exit code 5
--- stderr
Warning: line 3: its name stood in line 1 already
To vault `odd`: 2 new (2 text), 1 that cannot be imported.
Imported into vault `odd`: 2 new (2 text), 1 not imported.

"#]]
    );
}

#[test]
fn import_warns_of_unsupported_secrets() {
    let sandbox = Sandbox::installed();
    let file = plugin_files::plugin("in-order");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register odd --plugin in-order", &[]).succeeds();
    let content = format!(
        "{}{{\"schema\":1,\"name\":\"c\",\"value\":{{\"user\":\"u\",\"password\":\"{CANARY}\"}}}}\n\
         {{\"schema\":1,\"name\":\"m\",\"metadata\":{{\"a\":1}},\"value\":{{\"text\":\"{CANARY}\"}}}}\n{}",
        line("b", ""),
        line(&"x".repeat(1_020), "")
    );
    assert_data_eq!(
        import(&sandbox, content, "--dry-run --prefix long/"),
        str![[r#"
exit code 5
--- stderr
Warning: line 2, `long/c`: this vault cannot hold a value of kind credential
Warning: line 3, `long/m`: this vault keeps no metadata
Warning: line 4: a secret's name has 1025 bytes; the most is 1024
Would import into vault `odd`: 1 new (1 text), 3 that cannot be imported; nothing was changed

"#]]
    );
}

#[test]
fn killed_import_is_completed_by_next_run() {
    const ROWS: usize = 2_000;
    let sandbox = Sandbox::with_work();
    let rows: Vec<String> = (0..ROWS).map(|at| line(&format!("a{at}"), "")).collect();
    std::fs::write(sandbox.here("x.given"), rows.concat()).unwrap();
    let mut command = sandbox.command("import x.given --yes", &[]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let vault = sandbox.here("work.secrets");
    let until = Instant::now() + Duration::from_secs(60);
    while !vault.metadata().is_ok_and(|found| found.len() > 1_000) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(Instant::now() < until, "nothing is written");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let answer = sandbox.run("import x.given --yes --json", &[]);
    let told: serde_json::Value = serde_json::from_slice(answer.succeeds()).unwrap();
    let number = |what: &str| told[what].as_u64().unwrap() as usize;
    assert!(number("new") > 0 && number("unchanged") > 0, "{answer}");
    assert_eq!(number("new") + number("unchanged"), ROWS);
    let listed = sandbox.run("list -q", &[]).succeeds().to_vec();
    assert_eq!(String::from_utf8(listed).unwrap().lines().count(), ROWS);
    sandbox.check_files();
}

#[test]
fn parallel_imports_of_same_file_lose_nothing() {
    const ROWS: usize = 100;
    let sandbox = Sandbox::with_work();
    let rows: Vec<String> = (0..ROWS).map(|at| line(&format!("a{at}"), "")).collect();
    std::fs::write(sandbox.here("x.given"), rows.concat()).unwrap();
    let start = |_| {
        let mut command = sandbox.command("import x.given --yes --timeout 60s", &[]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..8).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for at in [0, ROWS / 2, ROWS - 1] {
        assert_eq!(get(&sandbox, &format!("a{at}")), format!("{CANARY} "));
    }
    let listed = sandbox.run("list -q", &[]).succeeds().to_vec();
    assert_eq!(String::from_utf8(listed).unwrap().lines().count(), ROWS);
}

/// Runs a command to its end, and returns its peak memory in KiB.
pub(super) fn most_memory(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            most = kib.parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    most
}

#[test]
fn import_of_100_000_rows_uses_under_40_mib() {
    const ROWS: usize = 100_000;
    let sandbox = Sandbox::installed();
    // Without a file: the runner's memory, where the vault is, is not part of the measurement.
    sandbox.run("vault register work --plugin memory", &[]).succeeds();
    let rows: Vec<String> =
        (0..ROWS).map(|at| line(&format!("service/{at}/password"), "")).collect();
    let content = rows.concat();
    std::fs::write(sandbox.here("x.given"), &content).unwrap();
    let most = most_memory(sandbox.command("import x.given --yes", &[]));
    // Each row keeps a fingerprint (16 bytes) and the name's (16) with its line (40), twice while a
    // table grows: 15 MiB. The program itself and a batch take less than 25 MiB.
    assert!(most < 40 * 1024, "{most} KiB for {} KiB", content.len() / 1024);
    sandbox.check_files();
}
