//! Our own rows: vaults of the plugins of this workspace, filled with the same secrets, small
//! and large.

use std::ffi::OsString;
use std::path::Path;

use super::data;
use super::home::{Home, Started};
use super::row::{Also, Race, Row, Runs, Whose};
use crate::Result;
use crate::workspace::Workspace;

/// A plugin of ours whose vaults are measured.
pub(super) struct Own {
    /// The plugin's id, and the name of its folder in `plugins/`.
    pub(super) id: &'static str,
    /// The plugin and its kind of vault, as a registration has them.
    kind: &'static str,
    /// Parameters of a vault that opens without a question. `{vault}` is a path of its own.
    open: &'static [&'static str],
    /// Parameters of a vault that asks for the password in the file `{vault}.password`; none
    /// where no vault asks.
    asking: &'static [&'static str],
    /// How many secrets a vault has of which one is read; the first is one.
    get: &'static [usize],
    /// How many secrets are listed, and imported.
    list: usize,
    import: usize,
    /// How many secrets a vault has of which one is read for the gate.
    pub(super) gated: &'static [usize],
}

/// The plugins that are measured where they are part of the workspace.
pub(super) const OWN: [Own; 3] = [
    Own {
        id: "store",
        kind: "store",
        open: &["path={vault}", "key-file={vault}.key"],
        asking: &["path={vault}"],
        get: &[1, 1_000, 10_000, 100_000, 1_000_000],
        list: 100_000,
        import: 1_000_000,
        gated: &[1, 10_000],
    },
    Own {
        id: "files",
        kind: "files:read-write",
        open: &["folder={vault}"],
        asking: &[],
        get: &[1, 10_000],
        list: 10_000,
        import: 10_000,
        gated: &[1],
    },
    // Reads its whole file for each answer: what it is for is not speed.
    Own {
        id: "memory",
        kind: "memory",
        open: &["file={vault}/secrets"],
        asking: &["file={vault}/secrets", "locked=file:{vault}.password"],
        get: &[1, 10_000],
        list: 10_000,
        import: 10_000,
        gated: &[1],
    },
];

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The vault with one secret, of the floors and ours.
    Quick,
    Whole,
}

/// Vaults of one plugin, ready to be measured.
pub(super) struct Vaults {
    pub(super) rows: Vec<Row>,
    /// The agent.
    _started: Vec<Started>,
}

impl Own {
    /// Says whether the plugin is part of the workspace.
    pub(super) fn is_in(&self, workspace: &Workspace) -> bool {
        workspace.root().join("plugins").join(self.id).is_dir()
    }

    /// Makes the vaults in a home.
    pub(super) fn vaults(&self, home: &Home, scope: Scope) -> Result<Vaults> {
        let mut vaults = Vaults { rows: Vec::new(), _started: Vec::new() };
        self.small(home, &mut vaults)?;
        if scope == Scope::Whole {
            self.large(home, &mut vaults)?;
        }
        Ok(vaults)
    }

    /// Adds the vault with one secret, in each placement, and one that a session opens.
    fn small(&self, home: &Home, vaults: &mut Vaults) -> Result<()> {
        let [vault, isolated] = self.register(home, 1)?;
        home.run(&self.import(home, &vault, 1)?)?;
        let row = |name: &str, vault: &str| {
            Row::read(Race::One, Whose::Ours, format!("keystead get, {}, {name}", self.id), home)
                .words(get(vault, 1))
                .answers(data::value(0))
        };
        vaults.rows.push(row("in-process", &vault));
        vaults.rows.push(row("isolated", &isolated).caged(true));
        if !self.asking.is_empty() {
            let unlocked = self.unlocked(home, vaults)?;
            vaults.rows.push(row("by an agent's session", &unlocked));
        }

        let mut new = row("plugin file never seen", &vault);
        let verdicts = home.at(".local/share/keystead/verdicts").into_os_string();
        new.before = Some(vec!["rm".into(), "-rf".into(), verdicts]);
        vaults.rows.push(new);

        fs_err::write(home.at("value"), data::value(1))?;
        let name = format!("keystead set, {}, in-process", self.id);
        let words = ["keystead", "set", "written", "--vault", &vault, "--file", "value"];
        vaults.rows.push(Row::read(Race::Write, Whose::Ours, name, home).words(words));
        Ok(())
    }

    /// Makes a vault that asks for a password, gives the agent its session, and returns its
    /// name.
    fn unlocked(&self, home: &Home, vaults: &mut Vaults) -> Result<String> {
        let vault = format!("{}-session", self.id);
        let password = home.at(format!("{vault}.password"));
        fs_err::write(&password, "correct horse battery staple\n")?;
        let own = parameters(self.asking, &home.at(&vault));
        home.run(&registration(&vault, self.kind, "in-process", &own))?;
        vaults._started.push(home.at_the_end(&["keystead", "agent", "stop"]));
        let answer = OsString::from(format!("password=file:{}", password.display()));
        let mut import = self.import(home, &vault, 1)?;
        import.extend(["--unlock".into(), answer.clone()]);
        home.run(&import)?;
        let unlock = ["keystead", "vault", "unlock", &vault, "--for", "8h", "--unlock"];
        let mut unlock: Vec<OsString> = unlock.map(OsString::from).into();
        unlock.push(answer);
        home.run(&unlock)?;
        Ok(vault)
    }

    /// Adds the larger vaults, one of which is measured while it is filled.
    fn large(&self, home: &Home, vaults: &mut Vaults) -> Result<()> {
        let id = self.id;
        for secrets in self.get.iter().copied().filter(|secrets| *secrets > 1) {
            let shown = data::grouped(secrets);
            let [vault, isolated] = self.register(home, secrets)?;
            let import = self.import(home, &vault, secrets)?;
            let bulk = |verb: &str| {
                let name = format!("keystead {verb} of {shown}, {id}");
                let mut row = Row::read(Race::Bulk, Whose::Ours, name, home);
                row.also = Also::Memory;
                row
            };
            if secrets == self.import {
                let mut row = bulk("import").words(import);
                row.runs = Runs::Once;
                vaults.rows.push(row);
            } else {
                home.run(&import)?;
            }
            for (placement, vault) in [("in-process", &vault), ("isolated", &isolated)] {
                let name = format!("keystead get, {id}, {placement}, 1 of {shown}");
                let row = Row::read(Race::Many, Whose::Ours, name, home).words(get(vault, secrets));
                let row = row.caged(placement == "isolated");
                vaults.rows.push(row.answers(data::value(data::measured(secrets))));
            }
            if secrets == self.list {
                vaults.rows.push(bulk("list").words(["keystead", "list", "--vault", &vault]));
            }
        }
        Ok(())
    }

    /// Registers the vault of so many secrets in both placements, and returns the two names.
    pub(super) fn register(&self, home: &Home, secrets: usize) -> Result<[String; 2]> {
        let own = parameters(self.open, &home.at(format!("{}-{secrets}", self.id)));
        let names = ["in-process", "isolated"].map(|placement| {
            let vault = format!("{}-{secrets}-{placement}", self.id);
            home.run(&registration(&vault, self.kind, placement, &own)).map(|_| vault)
        });
        let [own, isolated] = names;
        Ok([own?, isolated?])
    }

    /// Returns the command that fills a vault.
    pub(super) fn import(&self, home: &Home, vault: &str, secrets: usize) -> Result<Vec<OsString>> {
        let file = format!("{secrets}.jsonl");
        if !home.at(&file).exists() {
            data::write_lines(&home.at(&file), secrets)?;
        }
        Ok(["keystead", "import", &file, "--vault", vault, "--yes"].map(OsString::from).into())
    }
}

/// Returns the command that reads a secret of a vault with so many.
pub(super) fn get(vault: &str, secrets: usize) -> [OsString; 5] {
    let name = data::name(data::measured(secrets));
    ["keystead", "get", &name, "--vault", vault].map(OsString::from)
}

fn parameters(templates: &[&str], vault: &Path) -> Vec<String> {
    let vault = vault.display().to_string();
    templates.iter().map(|template| template.replace("{vault}", &vault)).collect()
}

fn registration(
    vault: &str,
    plugin: &str,
    placement: &str,
    parameters: &[String],
) -> Vec<OsString> {
    let fixed =
        ["keystead", "vault", "register", vault, "--plugin", plugin, "--placement", placement];
    let mut words: Vec<OsString> = fixed.map(OsString::from).into();
    for parameter in parameters {
        words.extend(["--param".into(), parameter.into()]);
    }
    words
}
