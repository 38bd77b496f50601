//! Which servers are believed to be the ones that they say they are.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use memchr::memmem;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    WantsVerifier,
};

use crate::config::reading;

/// The system's roots, those of `NODE_EXTRA_CA_CERTS` (Claude Code users have set it), and `ca_file`.
///
/// # Errors
/// A sentence: the certificates cannot be read or used.
pub(super) fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    // Reading the system's roots takes milliseconds and a megabyte: once for all endpoints without roots of their own.
    static SHARED: OnceLock<ClientConfig> = OnceLock::new();
    match (ca_file, SHARED.get()) {
        (None, Some(shared)) => Ok(shared.clone()),
        (None, None) => {
            let built = build_tls_config(Vec::new())?;
            Ok(SHARED.get_or_init(|| built).clone())
        }
        (Some(path), _) => build_tls_config(certificates(path)?),
    }
}

/// For a way that is plain from end to end: believes nobody, and reads no roots.
///
/// # Errors
/// A sentence: TLS cannot be set up.
pub(super) fn no_tls_config() -> Result<ClientConfig, String> {
    Ok(builder(Arc::new(ring::default_provider()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn build_tls_config(mut extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, String> {
    if let Some(path) = std::env::var_os("NODE_EXTRA_CA_CERTS").filter(|path| !path.is_empty()) {
        match certificates(Path::new(&path)) {
            Ok(more) => extra.extend(more),
            Err(error) => tracing::warn!("NODE_EXTRA_CA_CERTS is not used: {error}"),
        }
    }
    let provider = Arc::new(ring::default_provider());
    let by_roots = by_roots(&provider, extra.clone())?;
    let verifier = Arc::new(Verifier { by_roots, named: extra, provider: Arc::clone(&provider) });
    Ok(builder(provider)?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn builder(provider: Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.map_err(|error| error.to_string())
}

/// The platform's own verifier; on a machine without any roots (a scratch image) Mozilla's.
fn by_roots(
    provider: &Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let platform = rustls_platform_verifier::Verifier::new_with_extra_roots(extra.clone(), Arc::clone(provider));
    match platform {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => {
            tracing::warn!("the system's root certificates cannot be used, Mozilla's are instead: {error}");
            let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            for certificate in extra {
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Ok(built.build().map_err(|error| error.to_string())?)
        }
    }
}

/// # Errors
/// A sentence: the file cannot be read or holds no certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem =
        reading::regular(path, reading::CERTIFICATES).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| format!("{shown} is no PEM certificate file: {error}"))?;
    if found.is_empty() { Err(format!("{shown} holds no PEM certificate")) } else { Ok(found) }
}

/// Believes whom a root vouches for, and a server that shows the very certificate that the operator named.
///
/// `openssl req -x509` marks what it makes as an authority, which webpki takes for nobody's own certificate. OpenSSL, and
/// so curl, Python and Node, do.
#[derive(Debug)]
struct Verifier {
    by_roots: Arc<dyn ServerCertVerifier>,
    named: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.by_roots.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        verified.or_else(
            |error| {
                if self.is_named(end_entity) { self.verify_named(end_entity, name, now) } else { Err(error) }
            },
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

impl Verifier {
    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        let of_system = || std::env::var_os("SSL_CERT_FILE").and_then(|path| certificates(Path::new(&path)).ok());
        self.named.contains(certificate) || of_system().is_some_and(|named| named.contains(certificate))
    }

    /// All but whether somebody vouches for it.
    fn verify_named(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let mut alone = RootCertStore::empty();
        alone.add(certificate.clone().into_owned())?;
        let subject = alone.roots[0].subject.clone();
        let alone = WebPkiServerVerifier::builder_with_provider(Arc::new(alone), Arc::clone(&self.provider)).build();
        let alone = alone.map_err(|error| Error::General(error.to_string()))?;
        match alone.verify_server_cert(certificate, &[], name, &[], now) {
            Err(error) if !is_about_path_or_name(&error) => return Err(error),
            _ => {}
        }
        match verify_server_name(&parsed, name) {
            Err(error) if !(has_no_names(&error) && is_common_name(&subject, name)) => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }
}

/// webpki says these only of a certificate within its dates: it looks at those first.
fn is_about_path_or_name(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string() == "CaUsedAsEndEntity",
        Error::InvalidCertificate(kind) => {
            matches!(kind, CertificateError::UnknownIssuer | CertificateError::NotValidForNameContext { .. })
        }
        _ => false,
    }
}

fn has_no_names(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => presented.is_empty(),
        _ => false,
    }
}

/// Whether the subject's common name is this name: it counts where a certificate names no server in the way of today.
fn is_common_name(subject: &[u8], name: &ServerName<'_>) -> bool {
    /// In DER: the object identifier 2.5.4.3.
    const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
    let ServerName::DnsName(name) = name else { return false };
    let Some(at) = memmem::rfind(subject, COMMON_NAME) else { return false };
    // A string: its kind, its length, which is under 128 here, itself.
    let [_kind, length, text @ ..] = &subject[at + COMMON_NAME.len()..] else { return false };
    text.get(..usize::from(*length)).is_some_and(|text| text.eq_ignore_ascii_case(name.as_ref().as_bytes()))
}
