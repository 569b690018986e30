//! Project of a new plugin, out of tree: a small vault or the reference plugin in Rust, or a small
//! vault in C. Its only dependency is keystead-plugin-api, or the C header.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use keystead::trust::PluginId;
use keystead_plugin_api::manifest::API_VERSION;

use crate::failure::{Exit, Failure};

/// The files of a project: their names and templates.
type Templates = &'static [(&'static str, &'static str)];

const CARGO: (&str, &str) = ("Cargo.toml", include_str!("../templates/plugin/Cargo.toml.in"));

const IGNORED: (&str, &str) = (".gitignore", include_str!("../templates/plugin/gitignore.in"));

const SMALL: Templates = &[
    CARGO,
    ("README.md", include_str!("../templates/plugin/README.md.in")),
    IGNORED,
    ("src/lib.rs", include_str!("../templates/plugin/lib.rs.in")),
];

const FULL: Templates = &[
    CARGO,
    ("README.md", include_str!("../templates/plugin/README-full.md.in")),
    IGNORED,
    ("rustfmt.toml", include_str!("../../../rustfmt.toml")),
    ("tests/conformance.rs", include_str!("../templates/plugin/conformance.rs.in")),
];

const C: Templates = &[
    ("Makefile", include_str!("../templates/plugin/Makefile.in")),
    ("README.md", include_str!("../templates/plugin/README-c.md.in")),
    (".gitignore", "*.so\n"),
    ("plugin.c", include_str!("../templates/plugin/plugin.c.in")),
];

/// The C headers of the plugin API.
const HEADERS: Templates = &[
    ("keystead_plugin.h", include_str!("../../../plugin-api/include/keystead_plugin.h")),
    ("keystead_types.h", include_str!("../../../plugin-api/include/keystead_types.h")),
    ("keystead_value.h", include_str!("../../../plugin-api/include/keystead_value.h")),
];

/// Source of the full project's `src/lib.rs`.
const PAGE: &str = include_str!("../../../plugin-api/docs/memory.rs");

/// Modules that the page uses, copied unchanged.
const MODULES: [(&str, &str); 5] = [
    ("claim", include_str!("../../../plugins/memory/src/claim.rs")),
    ("file", include_str!("../../../plugins/memory/src/file.rs")),
    ("line", include_str!("../../../plugins/memory/src/line.rs")),
    ("secrets", include_str!("../../../plugins/memory/src/secrets.rs")),
    ("session", include_str!("../../../plugins/memory/src/session.rs")),
];

/// Name of the vault's type in a project. It does not depend on the plugin's id, so that no id
/// makes a line longer.
const TYPE: &str = "MyVault";

/// Name of the vault kind in a full project.
const KIND: &str = "example";

/// Template of a project.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Template {
    /// A read-only vault in a single Rust file.
    #[default]
    Small,
    /// The reference plugin, in Rust: all that a vault can do.
    Full,
    /// A read-only vault in a single C file.
    C,
}

/// Source of the project's dependency keystead-plugin-api.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiDependency {
    /// The published crate, in this host's version.
    Published,
    /// A directory with its sources: an absolute path.
    Path(PathBuf),
}

/// Error of creating a project.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The plugin's crate has the same name as the plugin API's crate.
    #[error("a plugin cannot be named `{id}`: its crate would be `{krate}`")]
    Id {
        /// The id.
        id: PluginId,
        /// The crate's name.
        krate: String,
    },
    /// The path is not an empty directory.
    #[error("`{path}` is not an empty directory", path = path.display())]
    NotEmpty {
        /// The path.
        path: PathBuf,
    },
    /// The path has no sources of the plugin API.
    #[error(
        "`{path}` is not the absolute path of a directory with keystead-plugin-api in it",
        path = path.display()
    )]
    NoApi {
        /// The path.
        path: PathBuf,
    },
    /// A file or a directory of the project cannot be written.
    #[error("cannot write `{path}`", path = path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Returns the error's stable code.
    fn code(&self) -> &'static str {
        match self {
            Self::Id { .. } => "E01.plugin-id-reserved",
            Self::NotEmpty { .. } => "E02.not-empty",
            Self::NoApi { .. } => "E02.no-api",
            Self::Write { .. } => "E02.write",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = Some(error.code());
        let (exit, error) = (Exit::Act, Box::new(error));
        Self { exit, error, code, causes: Vec::new(), hints: Vec::new() }
    }
}

/// The files of a new project, not written yet.
#[derive(Debug)]
pub(crate) struct Project {
    files: Vec<(String, String)>,
}

impl Project {
    /// Returns the project of a plugin with this id. A project in C ignores `api`: it gets copies
    /// of the headers.
    ///
    /// # Errors
    /// The id is not possible for a crate, or the plugin API is not at its path.
    pub(crate) fn new(
        id: &PluginId,
        template: Template,
        api: &ApiDependency,
    ) -> Result<Self, Error> {
        let names = Names::of(id);
        if template != Template::C && names.krate == "keystead-plugin-api" {
            return Err(Error::Id { id: id.clone(), krate: names.krate });
        }
        let api_path = match api {
            ApiDependency::Path(path) => Some(path.as_path()),
            ApiDependency::Published => None,
        };
        let (templates, api) = match template {
            Template::Small => (SMALL, dependency(api)?),
            Template::Full => (FULL, dependency(api)?),
            Template::C => (C, String::new()),
        };
        let made = templates.iter().map(|(path, template)| {
            ((*path).to_owned(), names.fill(template).replace("{{api}}", &api))
        });
        let mut files: Vec<_> = made.collect();
        match template {
            Template::Small => files.extend(rustdoc(api_path)),
            Template::Full => {
                files.extend(rustdoc(api_path));
                files.push(("src/lib.rs".to_owned(), names.page()));
                for (module, text) in MODULES {
                    files.push((format!("src/{module}.rs"), text.to_owned()));
                }
            }
            Template::C => {
                let headers = HEADERS.iter();
                files.extend(headers.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
            }
        }
        Ok(Self { files })
    }

    /// Returns the files' names below the project's directory.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _)| path.as_str())
    }

    /// Checks that the directory for the project is empty or does not exist.
    ///
    /// # Errors
    /// The directory is not empty, or cannot be read.
    pub(crate) fn check(&self, dir: &Path) -> Result<(), Error> {
        let not_empty = || Error::NotEmpty { path: dir.to_owned() };
        match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_empty()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::NotADirectory => Err(not_empty()),
            Err(source) => Err(Error::Write { path: dir.to_owned(), source }),
        }
    }

    /// Writes the files into this directory, and creates it if missing.
    ///
    /// # Errors
    /// If the directory is not empty, nothing is written. Files written before another error stay.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Error> {
        self.check(dir)?;
        for (path, text) in &self.files {
            let path = dir.join(path);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| write(&path, text))
                .map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    }
}

/// Names of the project and its parts.
struct Names<'a> {
    id: &'a str,
    krate: String,
}

impl<'a> Names<'a> {
    fn of(id: &'a PluginId) -> Self {
        Self { id: id.as_str(), krate: format!("keystead-plugin-{id}") }
    }

    fn fill(&self, template: &str) -> String {
        let module = self.krate.replace('-', "_");
        template
            .replace("{{id}}", self.id)
            .replace("{{crate}}", &self.krate)
            .replace("{{library}}", &format!("lib{module}.so"))
            .replace("{{module}}", &module)
    }

    /// Returns the page as the root of a separate crate.
    fn page(&self) -> String {
        let (docs, rest) = PAGE.split_once("\n\n").expect("the page's docs end in an empty line");
        let modules: String =
            MODULES.iter().map(|(module, _)| format!("mod {module};\n")).collect();
        let rest = rest
            .replace("Manifest::new(\"memory\", env!(\"CARGO_PKG_VERSION\"))", "cargo_manifest!()")
            .replace("\"memory\"", &format!("\"{KIND}\""))
            .replace(".vendor(\"Keystead\")", ".vendor(\"Your name\")")
            .replace("Memory", TYPE);
        let docs =
            docs.replace("Keystead's reference plugin", "Begun as Keystead's reference plugin");
        format!("{docs}\n#![forbid(unsafe_code)]\n\n{modules}\n{rest}")
    }
}

/// Returns the value of `keystead-plugin-api = ` in Cargo.toml.
fn dependency(api: &ApiDependency) -> Result<String, Error> {
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    match api {
        ApiDependency::Published => Ok(quoted(API_VERSION)),
        ApiDependency::Path(path) => {
            let text = path.to_str().filter(|_| path.is_absolute());
            match text.filter(|_| path.join("Cargo.toml").is_file()) {
                // With a version too, so that the author can publish the crate later.
                Some(text) => {
                    let version = quoted(API_VERSION);
                    Ok(format!("{{ version = {version}, path = {} }}", quoted(text)))
                }
                None => Err(Error::NoApi { path: path.clone() }),
            }
        }
    }
}

/// Returns Cargo settings with which `cargo doc` hides abi_stable's methods from the plugin API's
/// pages, if the API comes from a directory. docs.rs hides them itself.
fn rustdoc(api: Option<&Path>) -> Option<(String, String)> {
    let header = api?.join("docs/rustdoc.html");
    let text = header.to_str().filter(|_| header.is_file())?;
    let header = toml_edit::Value::from(text);
    let settings = format!(
        "# The contract's pages without methods of abi_stable, which no author calls.\n\
         [build]\nrustdocflags = [\"--html-in-header\", {header}]\n"
    );
    Some((".cargo/config.toml".to_owned(), settings))
}

/// Writes a new file; fails if the file exists.
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
        let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-api");
        ApiDependency::Path(api.canonicalize().unwrap())
    }

    fn made(dir: &Path, text: &str, api: &ApiDependency) -> Result<(), Error> {
        Project::new(&id(text), Template::Small, api)?.write(dir)
    }

    /// Runs a project's tests. Slow the first time: this also builds the plugin API.
    #[track_caller]
    fn passes_its_tests(name: &str, template: Template, tests: usize) {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("my vault");
        Project::new(&id(name), template, &this_api()).unwrap().write(&project).unwrap();

        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/new-plugin");
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
        assert!(said.contains(&format!("{tests} passed")), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }

    #[test]
    fn new_project_builds_offline_and_passes_its_test() {
        passes_its_tests("my-notes", Template::Small, 1);
    }

    #[test]
    fn full_project_builds_offline_and_passes_its_tests() {
        passes_its_tests("my-vault", Template::Full, 3);
    }

    #[test]
    fn plugin_api_docs_in_new_project_hide_abi_stable_methods() {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path(), "my-notes", &this_api()).unwrap();
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/new-plugin");
        let documented = Command::new(env!("CARGO"))
            .args(["doc", "--offline", "--quiet", "--no-deps", "-p", "keystead-plugin-api"])
            .current_dir(dir.path())
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTDOCFLAGS")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&documented.stderr);
        assert!(documented.status.success(), "{errors}");
        let page = target.join("doc/keystead_plugin_api/struct.Secret.html");
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains("id=\"blanket-implementations\""));
        assert!(page.contains("#blanket-implementations, #blanket-implementations-list"));
    }

    /// The shortest and longest ids, which sort before and after the plugin API's crate.
    fn ids() -> [String; 4] {
        ["a".to_owned(), "z".to_owned(), "a".repeat(63), format!("z{}", "-y".repeat(31))]
    }

    #[test]
    fn new_project_has_single_file_of_at_most_60_lines() {
        for name in ids() {
            let project =
                Project::new(&id(&name), Template::Small, &ApiDependency::Published).unwrap();
            let sources: Vec<_> =
                project.files.iter().filter(|(path, _)| path.ends_with(".rs")).collect();
            assert_eq!(sources.len(), 1);
            assert!(sources[0].1.lines().count() <= 60, "{}", sources[0].1.lines().count());
        }
    }

    #[test]
    fn new_project_with_any_id_is_rustfmt_formatted() {
        for name in ids() {
            for template in [Template::Small, Template::Full] {
                let dir = tempfile::tempdir().unwrap();
                let project = Project::new(&id(&name), template, &this_api()).unwrap();
                project.write(dir.path()).unwrap();
                let formatted = Command::new(env!("CARGO"))
                    .args(["fmt", "--check"])
                    .current_dir(dir.path())
                    .output()
                    .unwrap();
                let shown = String::from_utf8_lossy(&formatted.stdout);
                let errors = String::from_utf8_lossy(&formatted.stderr);
                assert!(formatted.status.success(), "{name}: {shown}{errors}");
            }
        }
    }

    #[test]
    fn c_project_compiles_without_warnings() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("my vault");
        Project::new(&id("my-vault"), Template::C, &this_api()).unwrap().write(&project).unwrap();
        let made = Command::new("make")
            .arg("WARNINGS=-Wall -Wextra -Wpedantic -Wconversion -Werror")
            .current_dir(&project)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = fs::read(project.join("my-vault.so")).unwrap();
        let inspected = keystead::internals::plugin::inspect::inspect(&file).unwrap();
        assert_eq!(inspected.manifest.id, "my-vault");
        assert!(inspected.manifest.left_out().is_empty());
    }

    #[test]
    fn new_project_keeps_no_template_placeholders() {
        let project = |template| {
            Project::new(&id("1pass"), template, &ApiDependency::Published).unwrap().files
        };
        for (path, text) in
            [Template::Small, Template::Full, Template::C].map(project).iter().flatten()
        {
            for hole in ["{{id}}", "{{api}}", "{{crate}}", "{{type}}", "{{module}}", "{{library}}"]
            {
                assert!(!text.contains(hole), "{hole} in {path}");
            }
            assert!(!text.contains("keystead_plugin_memory"), "{path}");
        }
        let files = project(Template::Full);
        let text = |name: &str| &files.iter().find(|(path, _)| path == name).unwrap().1;
        let page = text("src/lib.rs");
        assert!(page.contains("= cargo_manifest!()\n") && page.contains("pub struct MyVault"));
        assert!(!page.contains("\"memory\"") && !page.contains("Memory"), "{page}");
        assert!(page.contains(".vendor(\"Your name\")"), "{page}");
        let manifest: toml_edit::DocumentMut = text("Cargo.toml").parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("keystead-plugin-1pass"));
        let api = manifest["dependencies"]["keystead-plugin-api"].as_str();
        assert_eq!(api, Some(API_VERSION));
    }

    #[test]
    fn full_project_has_every_module_of_reference_plugin() {
        let project = Project::new(&id("x"), Template::Full, &ApiDependency::Published).unwrap();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/memory/src");
        for entry in fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let there = project.files().any(|file| file == format!("src/{name}"));
            assert!(there || !name.ends_with(".rs"), "{name} is missing");
        }
    }

    #[test]
    fn api_path_with_quotes_is_escaped_in_cargo_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let api = dir.path().join("it's \"here\"\\");
        fs::create_dir(&api).unwrap();
        fs::write(api.join("Cargo.toml"), "").unwrap();
        let project = dir.path().join("a/b/project");
        made(&project, "x", &ApiDependency::Path(api.clone())).unwrap();
        let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        let manifest: toml_edit::DocumentMut = manifest.parse().unwrap();
        let found = manifest["dependencies"]["keystead-plugin-api"]["path"].as_str();
        assert_eq!(found, api.to_str());
    }

    #[test]
    fn new_project_never_overwrites_existing_files() {
        let dir = tempfile::tempdir().unwrap();
        let mine = dir.path().join("Cargo.toml");
        fs::write(&mine, "mine").unwrap();
        for path in [dir.path(), mine.as_path()] {
            let error = made(path, "x", &this_api()).unwrap_err();
            assert_eq!(error.code(), "E02.not-empty", "{error}");
        }
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn new_project_with_wrong_id_or_api_path_creates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("project");
        let error = made(&project, "api", &this_api()).unwrap_err();
        assert_eq!(error.code(), "E01.plugin-id-reserved", "{error}");
        // A project in C has no crate.
        Project::new(&id("api"), Template::C, &this_api()).unwrap();
        for path in [dir.path().to_owned(), PathBuf::from("relative"), project.join("none")] {
            let error = made(&project, "x", &ApiDependency::Path(path)).unwrap_err();
            assert_eq!(error.code(), "E02.no-api", "{error}");
        }
        assert!(!project.exists());
    }
}
