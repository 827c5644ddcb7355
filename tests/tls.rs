//! TLS for real: an HTTPS server on loopback in front of the Identity Center, with a certificate of its own.

use crate::identity_center::Operation;
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, from_now};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A certificate, and what is needed to sign others with it or to serve with it.
struct Certified {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Certified {
    fn new(params: CertificateParams, by: Option<&Self>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = match by {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Self { params, key, certificate }
    }

    fn authority(name: &str, by: Option<&Self>) -> Self {
        Self::new(authority(name), by)
    }

    /// The certificate of a server of this name.
    fn leaf(name: &str, by: Option<&Self>) -> Self {
        Self::new(CertificateParams::new([name.to_owned()]).unwrap(), by)
    }

    fn pem(&self) -> String {
        self.certificate.pem()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// An HTTPS server at `localhost` that hands every request on to an upstream.
pub(crate) struct Https {
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
}

impl Https {
    /// Starts one with a certificate of its own.
    pub(crate) fn untrusted(upstream: &str) -> Self {
        Self::in_front_of(upstream, &[&Certified::leaf("localhost", None)])
    }

    /// Starts one that shows `chain`, its own certificate first, in front of `upstream` (`http://127.0.0.1:PORT`).
    fn in_front_of(upstream: &str, chain: &[&Certified]) -> Self {
        let certificates: Vec<CertificateDer<'static>> =
            chain.iter().map(|one| one.certificate.der().clone()).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(chain[0].key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (config, upstream) = (Arc::clone(&config), upstream.clone());
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    // A client that does not trust us hangs up; that is its business.
                    let _ = relay(&mut StreamOwned::new(connection, stream), &upstream);
                });
            }
        });
        Self { url, connections }
    }
}

/// One request and its answer; the client closes or asks anew on another connection.
fn relay(client: &mut (impl Read + Write), upstream: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    let close = String::from_utf8(request).unwrap().replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(close.as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.flush()
}

/// A signed-in sandbox behind an HTTPS server whose certificate is in the CA bundle itself.
fn sandbox_behind_tls() -> Sandbox {
    let leaf = Certified::leaf("localhost", None);
    behind(&[&leaf], &leaf.pem()).0
}

/// A signed-in sandbox behind an HTTPS server that shows `chain`, and a CA bundle.
fn behind(chain: &[&Certified], bundle: &str) -> (Sandbox, Https) {
    let mut sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    let server = Https::in_front_of(&sandbox.idc.endpoint(), chain);
    let bundle = sandbox.write("ca.pem", bundle);
    sandbox.set("AWS_ENDPOINT_URL_SSO", &server.url);
    sandbox.set("AWS_CA_BUNDLE", bundle);
    (sandbox, server)
}

#[test]
fn a_certificate_of_the_ca_bundle_is_trusted() {
    let sandbox = sandbox_behind_tls();
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 1);
}

#[test]
fn the_profiles_own_ca_bundle_counts_where_the_environment_has_none() {
    let mut sandbox = sandbox_behind_tls();
    sandbox.set("AWS_CA_BUNDLE", "");
    let with_bundle = |path: &str| CONFIG.replacen("sso_role_name", &format!("ca_bundle = {path}\nsso_role_name"), 1);
    sandbox.write(".aws/config", with_bundle("~/ca.pem"));
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));

    std::fs::remove_file(sandbox.path(ROLE_FILE)).unwrap();
    sandbox.write("empty.pem", "");
    sandbox.write(".aws/config", with_bundle("~/empty.pem"));
    let shown = sandbox.transcript(&mut sandbox.awsdir(["export", "read-only"]));
    insta::assert_snapshot!(shown, @r"
    -- stderr --
    awsdir: could not use `[HOME]/empty.pem`
    caused by: it holds no certificate
    -- exit status: 1 --
    ");
}

#[test]
fn any_other_certificate_is_refused_before_the_token_is_sent() {
    let mut sandbox = sandbox_behind_tls();
    sandbox.set("AWS_CA_BUNDLE", "");
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", sandbox.shown(&output));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.starts_with("awsdir: could not reach `https://localhost:"), "{words}");
    assert!(words.contains("caused by: invalid peer certificate"), "{words}");
    assert_eq!(sandbox.idc.requests().len(), 0);
}

#[test]
fn a_missing_ca_bundle_is_named() {
    let mut sandbox = sandbox_behind_tls();
    sandbox.set("AWS_CA_BUNDLE", "/nowhere/ca.pem");
    let shown = sandbox.transcript(&mut sandbox.awsdir(["export", "read-only"]));
    insta::assert_snapshot!(shown, @r"
    -- stderr --
    awsdir: could not read `/nowhere/ca.pem`
    caused by: No such file or directory (os error 2)
    -- exit status: 1 --
    ");
}

#[test]
fn what_is_no_certificate_in_a_bundle_is_passed_over() {
    const ODD: &str = "-----BEGIN CERTIFICATE-----\nZZZZ\n-----END CERTIFICATE-----\n";
    let mut sandbox = sandbox_behind_tls();
    let good = sandbox.read("ca.pem");
    sandbox.write("ca.pem", format!("{ODD}{good}"));
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));

    let odd = sandbox.write("odd.pem", ODD);
    sandbox.set("AWS_CA_BUNDLE", odd);
    let shown = sandbox.transcript(&mut sandbox.awsdir(["export", "prod-admin"]));
    insta::assert_snapshot!(shown, @r"
    -- stderr --
    awsdir: `AWS_CA_BUNDLE` in the environment: `[HOME]/odd.pem` holds no certificate
    -- exit status: 3 --
    ");
}

#[test]
fn a_cold_fetch_is_one_request_over_one_connection() {
    let root = Certified::authority("Test Root", None);
    let intermediate = Certified::authority("Test Intermediate", Some(&root));
    let leaf = Certified::leaf("localhost", Some(&intermediate));
    let others: String =
        (0..20).map(|number| Certified::authority(&format!("Other Root {number}"), None).pem()).collect();
    let (sandbox, server) = behind(&[&leaf, &intermediate], &(others + &root.pem()));
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
}

#[test]
fn a_bundle_need_not_be_tidy() {
    let (leaf, other) = (Certified::leaf("localhost", None), Certified::authority("Other Root", None));
    let (pem, other) = (leaf.pem(), other.pem());
    let lines = |end: &str| pem.replace('\n', end);
    let unfinished = other.split("-----END").next().unwrap();
    let spaced = pem.replace('\n', "  \n ").replace(" -----", "-----");
    let bundles = [
        lines("\r\n"),
        lines("\r"),
        pem.trim_end().to_owned(),
        format!("Text before\n{other}\n\n# and between: {other}{pem}"),
        format!("{}{pem}", other.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
        format!("{pem}{unfinished}"),
        spaced,
    ];
    let (sandbox, _server) = behind(&[&leaf], "");
    for bundle in bundles {
        sandbox.write("ca.pem", &bundle);
        sandbox.plant_role_credentials(&from_now(-60));
        let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
        assert!(output.status.success(), "{bundle:?}: {}", sandbox.shown(&output));
    }
}

#[test]
fn no_hostile_chain_is_taken_for_a_trusted_one() {
    let root = Certified::authority("Test Root", None);
    let imposter = Certified::authority("Test Root", None);
    let intermediate = Certified::authority("Test Intermediate", Some(&root));
    let imposters = Certified::authority("Test Intermediate", Some(&imposter));
    let good = Certified::leaf("localhost", Some(&root));
    let mut expired = CertificateParams::new(["localhost".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut expired_authority = authority("Expired Intermediate");
    expired_authority.not_after = date_time_ymd(2020, 1, 1);
    let expired_authority = Certified::new(expired_authority, Some(&root));
    let below = |authority: &Certified| Certified::leaf("localhost", Some(authority));

    let mut sandbox = Sandbox::new();
    sandbox.plant_token(&from_now(3600), false);
    let bundle = sandbox.write("ca.pem", Certified::authority("Other Root", None).pem() + &root.pem());
    sandbox.set("AWS_CA_BUNDLE", bundle);
    let refused = |what: &str, chain: &[&Certified], why: &str| {
        let server = Https::in_front_of(&sandbox.idc.endpoint(), chain);
        let output = sandbox.awsdir(["export", "read-only"]).env("AWS_ENDPOINT_URL_SSO", &server.url).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{what}: {words}");
        assert!(words.contains("caused by: invalid peer certificate: ") && words.contains(why), "{what}: {words}");
    };
    refused("another root's", &[&below(&Certified::authority("Unknown Root", None))], "UnknownIssuer");
    refused("self-signed", &[&Certified::leaf("localhost", None)], "UnknownIssuer");
    refused("a root of the same name", &[&below(&imposter), &imposter], "BadSignature");
    refused("an intermediate of the same name", &[&below(&imposters), &intermediate], "BadSignature");
    refused("intermediate not shown", &[&below(&intermediate)], "UnknownIssuer");
    refused("signed by what is no authority", &[&below(&good), &good], "EndEntityUsedAsCa");
    refused("another name", &[&Certified::leaf("example.com", Some(&root))], "not valid for name");
    refused("expired", &[&Certified::new(expired, Some(&root))], "expired");
    refused("below an expired intermediate", &[&below(&expired_authority), &expired_authority], "expired");
    assert_eq!(sandbox.idc.requests().len(), 0);
}

/// A proxy, and the heads of the requests that it got.
struct Proxy {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || Self::serve(client, &seen));
            }
        });
        Self { address, heads }
    }

    fn serve(mut client: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        seen.lock().unwrap().push(head.to_lowercase());
        let (first, rest) = head.split_once("\r\n").unwrap();
        let target = first.split(' ').nth(1).unwrap().trim_start_matches("http://");
        let (host, path) = target.split_once('/').unwrap_or((target, ""));
        let mut server = TcpStream::connect(host)?;
        if first.starts_with("CONNECT ") {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        } else {
            write!(server, "GET /{path} HTTP/1.1\r\nConnection: close\r\n{rest}")?;
        }
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        std::io::copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Write)
    }
}

#[test]
fn proxies_of_the_environment_are_used() {
    let proxy = Proxy::start();
    let mut sandbox = sandbox_behind_tls();
    let url = format!("http://ana:secret@{}", proxy.address);
    // The base64 of `ana:secret`, all in lower case.
    let authorization = "proxy-authorization: basic yw5honnly3jlda==";
    let fetch = |sandbox: &Sandbox| -> Vec<String> {
        sandbox.plant_role_credentials(&from_now(-60));
        let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
        assert!(output.status.success(), "{}", sandbox.shown(&output));
        assert_eq!(sandbox.asked(), "GetRoleCredentials");
        sandbox.idc.clear_requests();
        proxy.heads.lock().unwrap().drain(..).collect()
    };
    // To HTTPS through a tunnel, in which the proxy sees nothing.
    sandbox.set("HTTPS_PROXY", &url);
    let heads = fetch(&sandbox);
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with("connect localhost:") && heads[0].contains(authorization), "{heads:?}");
    assert!(!heads[0].contains("token"), "{heads:?}");
    // Not to what `NO_PROXY` names.
    sandbox.set("NO_PROXY", "localhost");
    assert_eq!(fetch(&sandbox), [""; 0]);
    // To plain HTTP by the whole URL.
    let endpoint = sandbox.idc.endpoint();
    sandbox.set("AWS_ENDPOINT_URL_SSO", &endpoint);
    sandbox.set("http_proxy", &url);
    let heads = fetch(&sandbox);
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with(&format!("get {endpoint}/federation/credentials?")), "{heads:?}");
    assert!(heads[0].contains(authorization), "{heads:?}");
}
