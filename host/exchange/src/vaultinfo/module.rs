//! The modules of SecretManagement that a plugin of Keystead replaces, or will replace. Other
//! modules have no replacement.

/// A module and its replacement.
#[derive(Debug)]
pub(super) struct Module {
    /// Its name, in lower case.
    name: &'static str,
    pub(super) instead: Instead,
    /// Its parameters that are not secret, with their names in Keystead.
    parameters: &'static [(&'static str, &'static str)],
}

/// Replacement of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instead {
    /// The encrypted local vault, which gets a copy of the secrets.
    Store,
    /// A plugin that opens the same vault.
    Plugin(&'static str),
    /// No plugin, but a format that can be imported.
    Import(&'static str),
}

const MODULES: &[Module] = &[
    Module { name: "microsoft.powershell.secretstore", instead: Instead::Store, parameters: &[] },
    Module {
        name: "secretmanagement.keepass",
        instead: Instead::Plugin("keepass"),
        parameters: &[("path", "path"), ("keypath", "key-file")],
    },
    Module {
        name: "secretmanagement.hashicorp.vault.kv",
        instead: Instead::Plugin("hashicorp"),
        parameters: &[("vaultserver", "address")],
    },
    Module {
        name: "secretmanagement.lastpass",
        instead: Instead::Plugin("lastpass"),
        parameters: &[],
    },
    Module {
        name: "secretmanagement.justingrote.credman",
        instead: Instead::Plugin("credential-manager"),
        parameters: &[],
    },
    Module {
        name: "microsoft.powershell.credmanstore",
        instead: Instead::Plugin("credential-manager"),
        parameters: &[],
    },
    Module {
        name: "secretmanagement.1password",
        instead: Instead::Import("1pux"),
        parameters: &[],
    },
    Module {
        name: "secretmanagement.bitwarden",
        instead: Instead::Import("bitwarden"),
        parameters: &[],
    },
];

impl Module {
    /// Returns the module of this name, ignoring case as PowerShell does.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        let name = name.to_lowercase();
        MODULES.iter().find(|module| module.name == name)
    }

    /// Returns the name of a parameter in Keystead.
    pub(super) fn parameter(&self, name: &str) -> Option<&'static str> {
        let name = name.to_lowercase();
        self.parameters.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
    }
}
