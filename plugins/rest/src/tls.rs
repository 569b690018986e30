//! TLS settings: trusted authorities and the client's certificate, from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_plugin_api::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use zeroize::Zeroizing;

/// The largest file of certificates that is read: 4 MiB, more than any system's own.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Authorities that may sign a server's certificate.
#[derive(Debug, Clone)]
pub enum Authorities {
    /// The machine's own authorities.
    System,
    /// Only the authorities in this file.
    File(PathBuf),
}

/// The client's certificate and its private key: two files in PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// File with the certificate and its intermediate certificates.
    pub certificate: PathBuf,
    /// File with the private key.
    pub key: PathBuf,
}

/// Returns the TLS configuration.
///
/// # Errors
/// `Unavailable` for an unreadable file, `Invalid` for invalid content. Both name the file.
pub(crate) fn config(authorities: &Authorities, identity: Option<&Identity>) -> Result<TlsConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match authorities {
        Authorities::System => rustls_native_certs::load_native_certs().certs,
        Authorities::File(path) => certificates(path)?,
    };
    let mut store = rustls::RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(roots.iter().cloned());
    if taken == 0 {
        return Err(match authorities {
            Authorities::System => Error::unavailable(
                "this machine has no certificates of authorities: name those of the server in a \
                 file",
            ),
            Authorities::File(path) => {
                Error::invalid(format!("no certificate in {} can be used", path.display()))
            }
        });
    }
    let client = identity.map(|identity| client(identity, &provider, store)).transpose()?;
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// Returns the client's certificate, after a check that certificate and key belong together.
fn client(
    identity: &Identity,
    provider: &Arc<rustls::crypto::CryptoProvider>,
    store: rustls::RootCertStore,
) -> Result<ClientCert> {
    let chain = certificates(&identity.certificate)?;
    let shown = identity.key.display();
    let pem = Zeroizing::new(read(&identity.key)?);
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Error::invalid(format!("{shown} holds no private key in PEM")))?;
    // `ClientCert` does not check that they match.
    rustls::ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::internal("TLS 1.2 and 1.3 are not built in"))?
        .with_root_certificates(store)
        .with_client_auth_cert(chain.clone(), key)
        .map_err(|_| {
            let certificate = identity.certificate.display();
            Error::invalid(format!(
                "the private key in {shown} does not go with the certificate in {certificate}"
            ))
        })?;
    let key = PrivateKey::from_pem(&pem)
        .map_err(|_| Error::invalid(format!("{shown} holds no private key in PEM")))?;
    let chain: Vec<_> = chain.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || Error::invalid(format!("{} holds no certificate in PEM", path.display()));
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let length = std::fs::metadata(path)
        .map_err(|error| Error::unavailable(format!("cannot read {shown}: {error}")))?
        .len();
    if length > MOST_BYTES {
        return Err(Error::invalid(format!("{shown} has more than {MOST_BYTES} bytes")));
    }
    std::fs::read(path).map_err(|error| Error::unavailable(format!("cannot read {shown}: {error}")))
}
