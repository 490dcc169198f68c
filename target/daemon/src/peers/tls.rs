//! TLS between daemons: version 1.3 alone, both ends prove their keys (RFC 7250 raw public keys), and who is trusted is
//! said by fingerprint. Knows no sockets.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tidelock_catalog::Fingerprint;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName,
    Error, PeerIncompatible, ServerConfig, SignatureScheme,
};

use super::identity::{Identity, fingerprint};

/// Asking to be a peer: all that a stranger can do.
pub(super) const PAIR: &[u8] = b"tidelock-pair/1";
/// Requests and answers of peers.
pub(super) const PEER: &[u8] = b"tidelock-peer/1";
/// A mirror's link.
pub(super) const MIRROR: &[u8] = b"tidelock-mirror/1";

/// What the SubjectPublicKeyInfo of every Ed25519 key begins with (RFC 8410 §4); 32 bytes follow.
pub(super) const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const ED25519_BYTES: usize = ED25519_PREFIX.len() + 32;

/// Says who is trusted right now.
pub(super) trait Trust: Send + Sync + 'static {
    /// Whether a key is a peer's.
    fn trusts(&self, fingerprint: Fingerprint) -> bool;
}

/// What this daemon's connections are secured with.
pub(super) struct Tls {
    identity: Identity,
    provider: Arc<CryptoProvider>,
    /// For strangers.
    pub(super) pairing: Arc<ServerConfig>,
    /// For peers.
    pub(super) trusted: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.identity).finish()
    }
}

impl Tls {
    pub(super) fn new(identity: &Identity, trust: Arc<dyn Trust>) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let server = |whom, alpn: &[&[u8]]| -> Result<_, Error> {
            let verifier = Arc::new(Verifier {
                whom,
                provider: Arc::clone(&provider),
                found: Mutex::default(),
            });
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13])?
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
                    identity.certified(),
                )));
            config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
            // A ticket would let somebody in again who isn't trusted any more.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok(Arc::new(config))
        };
        Ok(Self {
            identity: identity.clone(),
            pairing: server(Whom::Anybody, &[PAIR])?,
            trusted: server(Whom::Trusted(trust), &[PEER, MIRROR])?,
            provider,
        })
    }

    /// For a connection to somebody, and where to find afterwards whose key it was.
    pub(super) fn client(
        &self,
        expected: Option<Fingerprint>,
        alpn: &[u8],
    ) -> Result<(Arc<ClientConfig>, Arc<Verifier>), Error> {
        let verifier = Arc::new(Verifier {
            whom: expected.map_or(Whom::Anybody, Whom::Exactly),
            provider: Arc::clone(&self.provider),
            found: Mutex::default(),
        });
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                self.identity.certified(),
            )));
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = Resumption::disabled();
        // Nobody goes by names, so none is shown to whoever listens.
        config.enable_sni = false;
        Ok((Arc::new(config), verifier))
    }
}

/// Whose key is taken.
enum Whom {
    Anybody,
    Exactly(Fingerprint),
    Trusted(Arc<dyn Trust>),
}

/// Checks keys: whose they are, and that the other end has the private one.
pub(super) struct Verifier {
    whom: Whom,
    provider: Arc<CryptoProvider>,
    found: Mutex<Option<Fingerprint>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// Whose key was shown last. Of use where there is one connection.
    pub(super) fn found(&self) -> Option<Fingerprint> {
        *self.found.lock()
    }

    fn check(&self, key: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Error> {
        let is_key = key.len() == ED25519_BYTES && key.starts_with(&ED25519_PREFIX);
        if !is_key || !rest.is_empty() {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        let found = fingerprint(key);
        *self.found.lock() = Some(found);
        let right = match &self.whom {
            Whom::Anybody => true,
            Whom::Exactly(expected) => *expected == found,
            Whom::Trusted(trust) => trust.trusts(found),
        };
        if right {
            return Ok(());
        }
        // The alert for it is access_denied.
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }
}

/// Unreachable: the configuration has TLS 1.3 alone.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(
        PeerIncompatible::Tls12NotOfferedOrEnabled,
    ))
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Whether the other end says that it doesn't trust our key.
pub(super) fn is_denial(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    matches!(
        inner,
        Some(Error::AlertReceived(AlertDescription::AccessDenied))
    )
}
