//! TLS for real: an HTTPS server on loopback in front of the Identity Center, with a certificate of its own.

use crate::identity_center::Operation;
use crate::sandbox::Sandbox;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Starts an HTTPS server that hands every request on to `upstream` (`http://127.0.0.1:PORT`), and returns its URL and
/// the PEM of the certificate that it shows.
fn https_in_front_of(upstream: &str) -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, upstream) = (Arc::clone(&config), upstream.clone());
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                // A client that does not trust us hangs up; that is its business.
                let _ = relay(&mut StreamOwned::new(connection, stream), &upstream);
            });
        }
    });
    (url, pem)
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

fn sandbox_behind_tls() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    let (url, pem) = https_in_front_of(&sandbox.idc.endpoint());
    let bundle = sandbox.write("ca.pem", pem);
    sandbox.set("AWS_ENDPOINT_URL_SSO", &url);
    sandbox.set("AWS_CA_BUNDLE", bundle);
    sandbox
}

#[test]
fn a_certificate_of_the_ca_bundle_is_trusted() {
    let sandbox = sandbox_behind_tls();
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 1);
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
