//! The plugin's manifest.

use keystead_plugin_api::manifest::{Capability, Kind, Manifest};
use keystead_plugin_api::{Parameter, ParameterKind, ValueKind};

/// The vault kind that stores secrets.
pub(crate) const KV: &str = "kv";

/// The vault kind that creates secrets.
pub(crate) const DYNAMIC: &str = "dynamic";

const fn text(name: &'static str, description: &'static str) -> Parameter {
    Parameter::optional(name, ParameterKind::Text, description)
}

const fn path(name: &'static str, description: &'static str) -> Parameter {
    Parameter::optional(name, ParameterKind::Path, description)
}

/// Appends the parameters of all kinds (server address and login) to a kind's own parameters.
macro_rules! parameters {
    ($($own:expr),* $(,)?) => {
        &[
            Parameter::required(
                "address",
                ParameterKind::Text,
                "the server, such as https://vault.example:8200",
            ),
            $($own,)*
            text("namespace", "the namespace that mount and login are in"),
            Parameter::defaulting(
                "login",
                ParameterKind::Text,
                "token",
                "how to log in: token, approle, userpass, kubernetes or jwt",
            ),
            text("login-mount", "where the login method is mounted, if not under its own name"),
            text("token", "the token; asked for where there is neither it nor `token-file`").secret(),
            path("token-file", "a file with the token"),
            text("role", "the role: approle's role id, kubernetes' and jwt's role"),
            text("secret-id", "approle's secret id; asked for where there is none").secret(),
            text("user", "userpass's user; asked for where there is none"),
            text("jwt", "the JWT; asked for where there is neither it nor `jwt-file`").secret(),
            path("jwt-file", "a file with the JWT, such as a Kubernetes service account's"),
            path("ca-file", "the authorities to believe, in PEM, instead of the machine's"),
            path("client-cert-file", "our certificate for TLS, in PEM"),
            path("client-key-file", "its private key, in PEM"),
            text("proxy", "the proxy on the way, such as http://proxy.example:3128"),
        ]
    };
}

/// The plugin's manifest, which the host reads without running the plugin.
pub const MANIFEST: Manifest =
    Manifest::new("hashicorp", env!("CARGO_PKG_VERSION"))
        .description("HashiCorp Vault and OpenBao")
        .vendor("Keystead")
        .license("MIT OR Apache-2.0")
        .kinds(&[
            Kind::new(KV, "secrets that a KV engine keeps, version 1 or 2")
                .can(&[
                    Capability::Write,
                    Capability::Conditional,
                    Capability::Concurrent,
                    Capability::Metadata,
                    Capability::Unlock,
                    Capability::Versions,
                    Capability::ListRemoved,
                    Capability::Restore,
                    Capability::Purge,
                    Capability::Actions,
                ])
                .values(&[
                    ValueKind::Text,
                    ValueKind::Bytes,
                    ValueKind::Credential,
                    ValueKind::Map,
                    ValueKind::Json,
                ])
                .parameters(parameters![
                    Parameter::defaulting(
                        "mount",
                        ParameterKind::Text,
                        "secret",
                        "where the KV engine is mounted",
                    )
                    .beside_login(),
                    text("prefix", "the path in the mount that is this vault").beside_login(),
                    Parameter::optional(
                        "kv-version",
                        ParameterKind::Integer,
                        "the engine's version, 1 or 2; asked of the server where it is not given",
                    )
                    .beside_login(),
                ]),
            Kind::new(DYNAMIC, "credentials and certificates that an engine makes each time")
                .can(&[Capability::Unlock, Capability::Actions])
                .values(&[ValueKind::Credential, ValueKind::Map])
                .parameters(parameters![Parameter::required(
                "mount",
                ParameterKind::Text,
                "where the engine is mounted: database, pki or another that makes credentials",
            )
            .beside_login(),]),
        ])
        .permissions(&[
            "network",
            "files:{token-file}:r",
            "files:{jwt-file}:r",
            "files:{ca-file}:r",
            "files:{client-cert-file}:r",
            "files:{client-key-file}:r",
        ]);
