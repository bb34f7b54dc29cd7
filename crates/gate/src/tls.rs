//! TLS from certificate files that may change while we serve.
//!
//! The files are small, so they are read again and their bytes compared: that no clock and no file system can fool.
//! A bad new file keeps the old certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A certificate chain and its key, as last read.
pub struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    current: RwLock<Current>,
    /// How often it changed.
    changes: watch::Sender<u64>,
}

struct Current {
    chain_pem: Vec<u8>,
    key_pem: Vec<u8>,
    key: Arc<CertifiedKey>,
}

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not PEM, or has not what it should.
    #[error("expected {expected} in PEM form in {file}: {why}")]
    Pem {
        /// Which.
        file: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The two do not belong together, or rustls cannot use them.
    #[error("the certificate {chain} and the key {key} cannot be used together: {source}")]
    Pair {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// rustls refused the configuration.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

impl Certificate {
    /// Reads both files.
    pub fn load(chain_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Result<Arc<Self>, TlsError> {
        let (chain_file, key_file) = (chain_file.into(), key_file.into());
        let (chain_pem, key_pem) = (read(&chain_file)?, read(&key_file)?);
        let key = parse(&chain_file, &chain_pem, &key_file, &key_pem)?;
        let current = RwLock::new(Current { chain_pem, key_pem, key });
        Ok(Arc::new(Self { chain_file, key_file, current, changes: watch::Sender::new(0) }))
    }

    /// Reads both files again; whether anything changed. After an error the old certificate stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let (chain_pem, key_pem) = (read(&self.chain_file)?, read(&self.key_file)?);
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.chain_pem == chain_pem && current.key_pem == key_pem {
                return Ok(false);
            }
        }
        let key = parse(&self.chain_file, &chain_pem, &self.key_file, &key_pem)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { chain_pem, key_pem, key };
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        Ok(true)
    }

    /// Reads both files again at this interval, for ever.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        let mut interval = tokio::time::interval(every);
        let mut told = String::new();
        loop {
            interval.tick().await;
            match self.reload() {
                Ok(changed) => {
                    told.clear();
                    if changed {
                        tracing::info!(file = %self.chain_file.display(), "serving the new certificate");
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != told {
                        tracing::error!(%error, "the new certificate cannot be used; the old one stays");
                        told = text;
                    }
                }
            }
        }
    }

    /// Tells when it changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Accepts TLS connections with whatever certificate is current, for HTTP/2 and HTTP/1.1.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new()?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.key))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain_file", &self.chain_file).finish_non_exhaustive()
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

fn parse(
    chain_file: &Path,
    chain: &[u8],
    key_file: &Path,
    key: &[u8],
) -> Result<Arc<CertifiedKey>, TlsError> {
    let pem = |file: &Path, expected, why: String| TlsError::Pem { file: file.to_owned(), expected, why };
    let certificates = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem(chain_file, "certificates", error.to_string()))?;
    if certificates.is_empty() {
        return Err(pem(chain_file, "certificates", "there is none".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| pem(key_file, "a private key", error.to_string()))?;
    CertifiedKey::from_der(certificates, key, &ring::default_provider())
        .map(Arc::new)
        .map_err(|source| TlsError::Pair { chain: chain_file.to_owned(), key: key_file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    fn served(certificate: &Certificate) -> Vec<u8> {
        certificate.current.read().unwrap().key.end_entity_cert().unwrap().to_vec()
    }

    #[test]
    fn a_bad_new_file_keeps_the_old_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, "one.example");
        let certificate = Certificate::load(path.join("chain.pem"), path.join("key.pem")).unwrap();
        let first = served(&certificate);
        assert!(!certificate.reload().unwrap());

        let key = std::fs::read(path.join("key.pem")).unwrap();
        write(path, "two.example");
        std::fs::write(path.join("key.pem"), key).unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Pair { .. })), "the key of another certificate");
        std::fs::write(path.join("chain.pem"), "half a file").unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Pem { .. })));
        std::fs::remove_file(path.join("chain.pem")).unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Read { .. })));
        assert_eq!(served(&certificate), first);

        write(path, "three.example");
        assert!(certificate.reload().unwrap());
        assert_ne!(served(&certificate), first);
    }
}
