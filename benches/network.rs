//! A cold fetch of role credentials, whole process, against one bare TLS exchange with the same server. The server is
//! 40 ms away: it waits before the handshake's answer and before the reply, as two round trips would.

use crate::paired::{Candidate, paired};
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, from_now};
use crate::table::Row;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ROUNDS: usize = 100;

/// Of each of the two round trips.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Where Debian and most others keep the certificates that the system trusts, about 144 of them.
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What the raw client sends; awsdir's request in all that matters.
const REQUEST: &str = "GET /federation/credentials?role_name=ReadOnly&account_id=111111111111 HTTP/1.1\r\n\
                       host: localhost\r\nx-amz-sso_bearer_token: planted-access-token\r\n\r\n";

/// Rows for every program, an awsdir with its label.
pub(crate) fn rows(programs: &[(&str, PathBuf)]) -> Vec<Row> {
    let server = Server::start();
    let mut sandbox = Sandbox::new();
    sandbox.set("AWS_ENDPOINT_URL_SSO", &server.url);
    let system = std::fs::read_to_string(SYSTEM_BUNDLE).unwrap_or_default();
    let bundle = system + &server.root;
    let certificates = bundle.matches("-----BEGIN CERTIFICATE-----").count();
    sandbox.set("AWS_CA_BUNDLE", sandbox.write("bundle.pem", bundle));
    let root = sandbox.write("root.pem", &server.root);
    sandbox.write(".aws/config", CONFIG);
    sandbox.plant_token(&from_now(24 * 3600), true);
    let cold = |mut command: Command| {
        sandbox.plant_role_credentials(&from_now(-60));
        command.current_dir(sandbox.home());
        command
    };
    let fetch = |program: &Path| {
        let mut command = sandbox.command(program);
        command.args(["export", "read-only"]);
        cold(command)
    };
    let raw = || {
        let mut command = sandbox.command(std::env::current_exe().unwrap());
        command.arg("raw-tls").arg(&server.url).arg(&root);
        cold(command)
    };

    let mut candidates = vec![Candidate::new("raw", raw)];
    for (label, program) in programs {
        candidates.push(Candidate::new(label, move || fetch(program)));
    }
    let runs = paired(ROUNDS, candidates);
    let mut rows = vec![Row::plain("one TLS exchange, raw, CPU", runs[0].cpu(), " ms")];
    for ((label, program), fetched) in programs.iter().zip(&runs[1..]) {
        let what = format!("{label}: cold fetch, {certificates} CA certificates");
        rows.push(Row::at_most(format!("{what}, server 40 ms away"), fetched.ratio(&runs[0]), 1.08, " × raw TLS"));
        rows.push(match *label {
            // Linked for musl, a start costs less.
            crate::RELEASED => Row::at_most(format!("{what}, CPU"), fetched.cpu(), 5.0, " ms"),
            _ => Row::plain(format!("{what}, CPU"), fetched.cpu(), " ms"),
        });
        rows.push(Row::plain(format!("{what}, CPU"), fetched.cpu() / runs[0].cpu(), " × raw TLS"));
        server.connections.store(0, Ordering::SeqCst);
        server.requests.store(0, Ordering::SeqCst);
        assert!(fetch(program).output().unwrap().status.success());
        assert!(sandbox.read(ROLE_FILE).contains("ASIAFETCHED"), "fetched, not found");
        let connections = server.connections.load(Ordering::SeqCst).max(server.requests.load(Ordering::SeqCst));
        let connections = f64::from(u32::try_from(connections).unwrap());
        rows.push(Row::at_most(format!("{label}: connections and requests for it"), connections, 1.0, ""));
    }
    if let Some(aws) = aws_cli() {
        let export = || {
            let mut command = sandbox.command(&aws);
            command.args(["configure", "export-credentials", "--profile", "read-only"]);
            cold(command)
        };
        let runs = paired(5, vec![Candidate::new("raw", raw), Candidate::new("aws", export)]);
        rows.push(Row::plain("`aws configure export-credentials`, cold", runs[1].ratio(&runs[0]), " × raw TLS"));
        rows.push(Row::plain("`aws configure export-credentials`, cold, CPU", runs[1].cpu(), " ms"));
    }
    rows
}

/// The AWS CLI v2 if `tests/clients/install` has put it here, or its own installer on this machine.
fn aws_cli() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/aws");
    [ours, PathBuf::from("/usr/local/bin/aws")].into_iter().find(|path| path.exists())
}

/// What the bench does when it is run as `raw-tls URL ROOT`, given the last two: one request over one TLS connection by a
/// blocking socket and rustls that trusts one root; no SDK, no runtime. Nobody asks this server with less.
pub(crate) fn raw_client(arguments: impl IntoIterator<Item = String>) {
    let mut arguments = arguments.into_iter();
    let (url, root) = (arguments.next().unwrap(), arguments.next().unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(url.strip_prefix("https://").unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(REQUEST.as_bytes()).unwrap();
    let mut answer = vec![0; response().len()];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Role credentials as long as the real thing's.
fn response() -> String {
    let body = serde_json::json!({ "roleCredentials": {
        "accessKeyId": "ASIAFETCHED000000000", "secretAccessKey": "s".repeat(40),
        "sessionToken": "IQoJb3JpZ2lu".repeat(80), "expiration": 4_000_000_000_000_i64,
    }})
    .to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An HTTPS server at `localhost` that answers every request with role credentials, after its round trips.
struct Server {
    url: String,
    /// The certificate to trust, as PEM.
    root: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let (chain, key, root) = chain();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&connections), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, (connections, requests)) = (Arc::clone(&config), counters.clone());
                connections.fetch_add(1, Ordering::SeqCst);
                // A client that hangs up early is counted all the same.
                std::thread::spawn(move || drop(serve(stream, config, &requests)));
            }
        });
        Self { url, root, connections, requests }
    }
}

fn serve(mut stream: TcpStream, config: Arc<ServerConfig>, requests: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = ServerConnection::new(config).unwrap();
    connection.read_tls(&mut stream)?;
    // The distance to the server is what is played here.
    std::thread::sleep(ROUND_TRIP);
    connection.process_new_packets().map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        head.clear();
        requests.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(ROUND_TRIP);
        stream.write_all(response().as_bytes())?;
        stream.flush()?;
    }
}

/// A leaf for `localhost` and the intermediate that signed it, the leaf's key, and the root above them as PEM. The keys are
/// on P-256, because `ring` makes no RSA keys; checking RSA signatures is cheaper still.
fn chain() -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String) {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params, KeyPair::generate().unwrap())
    };
    let (root, root_key) = authority("Bench Root");
    let root_certificate = root.self_signed(&root_key).unwrap();
    let (intermediate, intermediate_key) = authority("Bench Intermediate");
    let intermediate_certificate = intermediate.signed_by(&intermediate_key, &Issuer::new(root, &root_key)).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(intermediate, &intermediate_key)).unwrap();
    let chain = vec![leaf.der().clone(), intermediate_certificate.der().clone()];
    (chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der())), root_certificate.pem())
}
