//! A new plugin's project, out of tree: the reference plugin under another name, with its
//! test and a README. Its only dependency is keystead-plugin-api.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::pins::PluginId;

/// The files that are made from templates of their own, and what they are made from.
const TEMPLATES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../templates/plugin/Cargo.toml.in")),
    ("README.md", include_str!("../../templates/plugin/README.md.in")),
    (".gitignore", include_str!("../../templates/plugin/gitignore.in")),
    ("tests/conformance.rs", include_str!("../../templates/plugin/conformance.rs.in")),
];

/// The page that the project's `src/lib.rs` is made from.
const PAGE: &str = include_str!("../../../plugin-api/docs/memory.rs");

/// What the page leaves to other modules, as it is.
const MODULES: [(&str, &str); 5] = [
    ("claim", include_str!("../../../plugins/memory/src/claim.rs")),
    ("file", include_str!("../../../plugins/memory/src/file.rs")),
    ("line", include_str!("../../../plugins/memory/src/line.rs")),
    ("secrets", include_str!("../../../plugins/memory/src/secrets.rs")),
    ("session", include_str!("../../../plugins/memory/src/session.rs")),
];

/// Where the project takes keystead-plugin-api from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiDependency {
    /// A version in the registry of packages, as Cargo writes requirements.
    Version(String),
    /// A folder with its sources: an absolute path.
    Path(PathBuf),
}

/// Why no project was made.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The id's crate would have the name of the contract itself.
    #[error("a plugin cannot be named `{id}`: its crate would be `{krate}`")]
    Id {
        /// The id.
        id: PluginId,
        /// The crate's name.
        krate: String,
    },
    /// There is something where the project should go.
    #[error("`{path}` is not an empty folder", path = path.display())]
    NotEmpty {
        /// The path.
        path: PathBuf,
    },
    /// There are no sources of the contract where they should be.
    #[error(
        "`{path}` is not the absolute path of a folder with keystead-plugin-api in it",
        path = path.display()
    )]
    NoApi {
        /// The path.
        path: PathBuf,
    },
    /// A file or a folder of the project cannot be written.
    #[error("cannot write `{path}`", path = path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Returns the error's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Id { .. } => "E01.plugin-id-reserved",
            Self::NotEmpty { .. } => "E02.not-empty",
            Self::NoApi { .. } => "E02.no-api",
            Self::Write { .. } => "E02.write",
        }
    }
}

/// Writes a new project into this folder, which is made where it is missing, and returns the
/// paths of its files.
///
/// # Errors
/// Where the folder has something in it, nothing is written. What was written before the
/// system refused stays.
pub fn new(folder: &Path, id: &PluginId, api: &ApiDependency) -> Result<Vec<PathBuf>, Error> {
    let names = Names::of(id)?;
    let api = dependency(api)?;
    let mut files = Vec::with_capacity(TEMPLATES.len() + MODULES.len() + 1);
    for (path, template) in TEMPLATES {
        files.push((path.to_owned(), names.fill(template).replace("{{api}}", &api)));
    }
    files.push(("src/lib.rs".to_owned(), names.page()));
    for (module, text) in MODULES {
        files.push((format!("src/{module}.rs"), text.to_owned()));
    }

    prepare(folder)?;
    let mut written = Vec::with_capacity(files.len());
    for (path, text) in files {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| write(&path, &text))
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

/// What the project and what is in it are called.
struct Names<'a> {
    id: &'a str,
    krate: String,
    kind: String,
}

impl<'a> Names<'a> {
    fn of(id: &'a PluginId) -> Result<Self, Error> {
        let krate = format!("keystead-plugin-{id}");
        if krate == "keystead-plugin-api" {
            return Err(Error::Id { id: id.clone(), krate });
        }
        Ok(Self { id: id.as_str(), krate, kind: type_name(id.as_str()) })
    }

    fn fill(&self, template: &str) -> String {
        let module = self.krate.replace('-', "_");
        template
            .replace("{{id}}", self.id)
            .replace("{{crate}}", &self.krate)
            .replace("{{library}}", &format!("lib{module}.so"))
            .replace("{{module}}", &module)
            .replace("{{type}}", &self.kind)
    }

    /// Returns the page as the root of a crate of its own.
    fn page(&self) -> String {
        let (docs, rest) = PAGE.split_once("\n\n").expect("the page's docs end in an empty line");
        let modules: String =
            MODULES.iter().map(|(module, _)| format!("mod {module};\n")).collect();
        let rest = rest
            .replace("\"memory\"", &format!("\"{}\"", self.id))
            .replace("vendor: \"Keystead\"", "vendor: \"Your name\"")
            .replace("Memory", &self.kind);
        let docs =
            docs.replace("Keystead's reference plugin", "Begun as Keystead's reference plugin");
        format!("{docs}\n#![forbid(unsafe_code)]\n\n{modules}\n{rest}")
    }
}

/// Returns `MyVault` for `my-vault`: a name that is none of the contract's.
fn type_name(id: &str) -> String {
    let mut name = String::new();
    for part in id.split('-') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    // `1password` begins with what no type does; `Vault`, `Plugin` and the like are taken.
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.insert(0, 'V');
    }
    if name == "Vault" || !name.ends_with("Vault") {
        name.push_str("Vault");
    }
    name
}

/// Returns what stands behind `keystead-plugin-api = ` in Cargo.toml.
fn dependency(api: &ApiDependency) -> Result<String, Error> {
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    match api {
        ApiDependency::Version(version) => Ok(quoted(version)),
        ApiDependency::Path(path) => {
            let text = path.to_str().filter(|_| path.is_absolute());
            match text.filter(|_| path.join("Cargo.toml").is_file()) {
                Some(text) => Ok(format!("{{ path = {} }}", quoted(text))),
                None => Err(Error::NoApi { path: path.clone() }),
            }
        }
    }
}

/// Makes the folder, unless there is an empty one.
fn prepare(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: folder.to_owned(), source };
    match fs::create_dir_all(folder) {
        Ok(()) => {}
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::NotEmpty { path: folder.to_owned() });
        }
        Err(source) => return Err(failed(source)),
    }
    match fs::read_dir(folder).map_err(failed)?.next() {
        None => Ok(()),
        Some(_) => Err(Error::NotEmpty { path: folder.to_owned() }),
    }
}

/// Writes a file that was not there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn id(text: &str) -> PluginId {
        PluginId::parse(text).unwrap()
    }

    fn this_api() -> ApiDependency {
        let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
        ApiDependency::Path(api.canonicalize().unwrap())
    }

    /// Slow the first time: a plugin's author builds the contract, too.
    #[test]
    fn a_new_project_builds_offline_and_passes_its_tests() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("my vault");
        let files = new(&project, &id("my-vault"), &this_api()).unwrap();
        assert!(files.contains(&project.join("src/lib.rs")), "{files:?}");

        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/new-plugin");
        let tested = Command::new(env!("CARGO"))
            .args(["test", "--offline", "--quiet"])
            .current_dir(&project)
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tested.stderr).into_owned()
            + &String::from_utf8_lossy(&tested.stdout);
        assert!(tested.status.success(), "{said}");
        assert!(said.contains("3 passed"), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }

    #[test]
    fn nothing_of_the_template_is_left_in_a_project() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("a/b/c");
        for path in new(&project, &id("1pass"), &ApiDependency::Version("1".into())).unwrap() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("{{id}}") && !text.contains("{{api}}"), "{text}");
            if path.ends_with("src/lib.rs") {
                assert!(text.contains("id: \"1pass\"") && text.contains("pub struct V1passVault"));
                assert!(!text.contains("\"memory\"") && !text.contains("Memory"), "{text}");
                assert!(text.contains("vendor: \"Your name\""), "{text}");
            }
        }
        let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("\nkeystead-plugin-api = \"1\"\n"), "{manifest}");
        manifest.parse::<toml_edit::DocumentMut>().unwrap();
    }

    #[test]
    fn a_path_with_quotes_is_still_a_path_in_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let api = folder.path().join("it's \"here\"\\");
        fs::create_dir(&api).unwrap();
        fs::write(api.join("Cargo.toml"), "").unwrap();
        let project = folder.path().join("project");
        new(&project, &id("x"), &ApiDependency::Path(api.clone())).unwrap();
        let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        let manifest: toml_edit::DocumentMut = manifest.parse().unwrap();
        let found = manifest["dependencies"]["keystead-plugin-api"]["path"].as_str();
        assert_eq!(found, api.to_str());
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("Cargo.toml");
        fs::write(&mine, "mine").unwrap();
        for path in [folder.path(), mine.as_path()] {
            let error = new(path, &id("x"), &this_api()).unwrap_err();
            assert_eq!(error.code(), "E02.not-empty", "{error}");
        }
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_id_or_a_folder_without_the_contract_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        assert_eq!(
            new(&project, &id("api"), &this_api()).unwrap_err().code(),
            "E01.plugin-id-reserved"
        );
        for path in [folder.path().to_owned(), PathBuf::from("relative"), project.join("none")] {
            let error = new(&project, &id("x"), &ApiDependency::Path(path)).unwrap_err();
            assert_eq!(error.code(), "E02.no-api", "{error}");
        }
        assert!(!project.exists());
    }

    #[test]
    fn a_type_is_named_like_a_type_and_like_nothing_of_the_contract() {
        for (id, name) in [
            ("my-vault", "MyVault"),
            ("vault", "VaultVault"),
            ("plugin", "PluginVault"),
            ("a-b-", "ABVault"),
            ("1password", "V1passwordVault"),
        ] {
            assert_eq!(type_name(id), name);
        }
    }
}
