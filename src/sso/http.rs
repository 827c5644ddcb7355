//! HTTP for the SDKs: HTTP/1.1, in which the AWS CLI asks the same services, by hyper and rustls. Each request has a
//! connection of its own and is sent once: the services live at different hosts, and what comes of them after a sign-in
//! is hours apart.

use super::portal::Failure;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::name_service;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use base64_simd::STANDARD;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::rt::{Read, Write};
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use memchr::memmem::Finder;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tower_service::Service;
use webpki::EndEntityCert;
use zeroize::Zeroizing;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(4);

/// Bytes that an answer may have; recorded ones have 2,000.
const MOST: usize = 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One HTTP client for all: rustls with ring, one CA bundle, proxies from the environment.
#[derive(Clone, Debug)]
pub(super) struct Http {
    tls: Arc<ClientConfig>,
    proxies: Arc<Matcher>,
    connect_timeout: Option<Duration>,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Http {
    pub(super) fn new(context: &Context, bundle: Option<&Path>) -> Result<Self> {
        name_service::use_built_in_sources();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::System { doing: "set up TLS", source: io::Error::other(error) })?;
        let tls = match ca_bundle(context, bundle)? {
            Some(pem) => tls.dangerous().with_custom_certificate_verifier(Arc::new(Bundle { pem, provider })),
            None => tls.with_root_certificates(all_there_are()),
        };
        let mut tls = tls.with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), proxies: Arc::new(Matcher::from_env()), connect_timeout: None })
    }

    /// The same past every proxy, for who is on this machine or next to it, and must not be heard by anybody else.
    pub(super) fn direct(self) -> Self {
        Self { proxies: Arc::new(Matcher::builder().build()), ..self }
    }

    /// For the SDKs' clients, which set a time limit of their own.
    pub(super) fn for_sdk(self) -> SharedHttpClient {
        http_client_fn(move |settings, _| {
            SharedHttpConnector::new(Self { connect_timeout: settings.connect_timeout(), ..self.clone() })
        })
    }

    /// Sends one request that is no SDK's, and reads its answer within `limit`.
    pub(super) async fn ask(&self, request: Request<SdkBody>, limit: Duration) -> Result<Answer, Failure> {
        let uri = request.uri();
        let endpoint = format!("{}://{}", uri.scheme_str().unwrap_or_default(), host(uri));
        let http = Self { connect_timeout: Some(limit.min(CONNECT)), ..self.clone() };
        let answered = async {
            let response = http.exchange(request).await?;
            let (head, mut incoming) = response.into_parts();
            let mut body = Zeroizing::new(Vec::with_capacity(8 * 1024));
            while let Some(frame) = poll_fn(|task| Pin::new(&mut incoming).poll_frame(task)).await {
                body.extend_from_slice(&frame.map_err(unanswered)?.into_data().unwrap_or_default());
                if body.len() > MOST {
                    return Err(unanswered("the answer is too long"));
                }
            }
            Ok::<_, ConnectorError>(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_other() => Err(Failure::NoAnswer { endpoint, cause: innermost(&error) }),
            Ok(Err(error)) => Err(Failure::Unreachable { endpoint, cause: innermost(&error) }),
            Err(_) => Err(Failure::NoAnswer { endpoint, cause: format!("no answer within {} s", limit.as_secs()) }),
        }
    }
}

/// What a server goes by: its name and port, as a URL has them, without the name of a user.
pub(super) fn host(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// What lies at the bottom of an error.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.clone();
        let answer = async move {
            let request = request.try_into_http1x().map_err(unsent)?;
            let response = http.exchange(request).await?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x)).map_err(unanswered)
        };
        HttpConnectorFuture::new(answer)
    }
}

/// What went wrong before anything was sent.
fn unsent(error: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::io(error.into())
}

/// What went wrong after something may have been sent; [`ConnectorError::is_other`] tells it.
fn unanswered(error: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}

impl Http {
    async fn exchange(&self, mut request: Request<SdkBody>) -> Result<Response<Incoming>, ConnectorError> {
        let server = request.uri().clone();
        request.headers_mut().insert(HOST, HeaderValue::from_str(host(&server)).map_err(unsent)?);
        let mut tcp = connect::HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let direct = HttpsConnector::from((tcp, Arc::clone(&self.tls)));
        match self.proxies.intercept(&server) {
            None => send(self.connect(direct, server).await?, in_origin_form(request)?).await,
            Some(proxy) if server.scheme_str() == Some("https") => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
                if let Some(authorization) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                let tunnel = HttpsConnector::from((tunnel, Arc::clone(&self.tls)));
                send(self.connect(tunnel, server).await?, in_origin_form(request)?).await
            }
            Some(proxy) => {
                if let Some(authorization) = proxy.basic_auth() {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
                }
                send(self.connect(direct, proxy.uri().clone()).await?, request).await
            }
        }
    }

    /// A connection ready to be written to, handshakes included.
    async fn connect<C>(&self, mut connector: C, to: Uri) -> Result<C::Response, ConnectorError>
    where
        C: Service<Uri, Error = BoxError>,
    {
        let connected = async {
            poll_fn(|context| connector.poll_ready(context)).await?;
            connector.call(to).await
        };
        match self.connect_timeout {
            Some(limit) => match tokio::time::timeout(limit, connected).await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            },
            None => connected.await,
        }
        .map_err(unsent)
    }
}

/// A request as a server wants it, which knows its own name. Proxies want the whole URL.
fn in_origin_form(mut request: Request<SdkBody>) -> Result<Request<SdkBody>, ConnectorError> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(unsent)?;
    Ok(request)
}

/// Sends a request, in one piece, as the only one of its connection.
async fn send<S>(stream: S, request: Request<SdkBody>) -> Result<Response<Incoming>, ConnectorError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(stream).await.map_err(unsent)?;
    // It ends with the response's last byte. Its errors are the response's too.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(unanswered)
}

/// The root certificates, as PEM, of one file: `AWS_CA_BUNDLE` or the profile's `ca_bundle` (which the SDK does not read),
/// `SSL_CERT_FILE`, or the distribution's bundle. Reading one file costs a fraction of a search through all of them. `None`
/// if there is no such file.
fn ca_bundle(context: &Context, bundle: Option<&Path>) -> Result<Option<Vec<u8>>> {
    const BUNDLES: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ];
    let usable = |pem: &Vec<u8>| any_root(pem, |_| true, |_| true);
    let (variable, named) = match bundle {
        Some(path) => ("AWS_CA_BUNDLE", Some(context.expand(path)?)),
        None => ("SSL_CERT_FILE", context.var("SSL_CERT_FILE").map(PathBuf::from)),
    };
    if let Some(path) = named {
        let pem = std::fs::read(&path).map_err(|source| Error::File { verb: "read", path: path.clone(), source })?;
        return Some(pem).filter(usable).map(Some).ok_or_else(|| match context.var(variable) {
            Some(_) => Error::Variable {
                name: variable.to_owned(),
                problem: format!("`{}` holds no certificate", path.display()),
            },
            // The profile names it.
            None => Error::File { verb: "use", path, source: io::Error::other("it holds no certificate") },
        });
    }
    Ok(BUNDLES.iter().find_map(|path| std::fs::read(path).ok().filter(usable)))
}

fn all_there_are() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Whether `holds` is true of a root in a bundle, those that TLS can use asked in turn: one odd root in a company's bundle
/// is common. rustls reads the same ones, but decodes a distribution's bundle for longer than the rest of a request takes;
/// it reads what is not written the usual way. Certificates of which `may_hold` is not true, by their bytes alone, are not
/// looked into.
fn any_root(pem: &[u8], may_hold: impl Fn(&[u8]) -> bool, mut holds: impl FnMut(&TrustAnchor<'_>) -> bool) -> bool {
    let (mut rest, mut section, mut text, mut der) = (pem, None, Vec::new(), Vec::new());
    while !rest.is_empty() {
        let here = rest;
        let (line, after) = here.split_at(memchr::memchr2(b'\n', b'\r', here).unwrap_or(here.len()));
        rest = after.get(1..).unwrap_or_default();
        if line.trim_ascii_end() == b"-----BEGIN CERTIFICATE-----" {
            section = Some(here);
            text.clear();
        } else if !line.starts_with(b"-----END CERTIFICATE-----") {
            text.extend_from_slice(line);
        } else if let Some(begin) = section.take() {
            der.clear();
            let certificate = match STANDARD.decode_append(&text, &mut der) {
                Ok(()) => Ok(CertificateDer::from(der.as_slice())),
                Err(_) => CertificateDer::from_pem_slice(&begin[..begin.len() - rest.len()]),
            };
            let Some(certificate) = certificate.ok().filter(|certificate| may_hold(certificate)) else { continue };
            if webpki::anchor_from_trusted_cert(&certificate).is_ok_and(|root| holds(&root)) {
                return true;
            }
        }
    }
    false
}

/// Verifies as rustls does with all the roots of a bundle, by rustls with those that can matter: a chain ends at a root
/// whose subject is, byte for byte, the issuer of a certificate that the server shows.
#[derive(Debug)]
struct Bundle {
    pem: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Bundle {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown: Vec<EndEntityCert<'_>> =
            std::iter::once(end_entity).chain(intermediates).filter_map(|one| one.try_into().ok()).collect();
        let mut roots = RootCertStore::empty();
        // One there must be; the first stands for all that do not matter.
        any_root(
            &self.pem,
            |_| true,
            |root| {
                roots.roots.push(root.to_owned());
                true
            },
        );
        // Whose subject it is has it among its bytes.
        let issuers: Vec<Finder<'_>> = shown.iter().map(|certificate| Finder::new(certificate.issuer())).collect();
        let may_matter = |certificate: &[u8]| issuers.iter().any(|issuer| issuer.find(certificate).is_some());
        any_root(&self.pem, may_matter, |root| {
            if shown.iter().any(|certificate| certificate.issuer() == root.subject.as_ref()) {
                roots.roots.push(root.to_owned());
            }
            false
        });
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
