//! A stand-in browser: a script that reports the URL it was started with, and a thread here that
//! opens it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::http::pairs;

/// How the stand-in browser behaves. It opens loopback URLs only, whatever it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrowserBehaviour {
    /// Opens the URL, follows redirects, clicks Approve on a consent page.
    Visit,
    /// First pesters the client's listener with everything that is not its callback, and leaves a
    /// silent connection open.
    StrayRequestsFirst,
    /// Loads the last page once more.
    ClickTwice,
    /// Starts, and shows nothing.
    Nothing,
}

/// Where the stand-in browser ended up.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: String,
    /// None when the page could not be loaded; the body then says why.
    pub status: Option<u16>,
    pub body: String,
}

/// How long the browser waits for bytes.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn write_script(server: SocketAddr, dir: &Path) -> PathBuf {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let bash = std::env::split_paths(&search).map(|dir| dir.join("bash")).find(|bash| bash.is_file());
    let bash = bash.unwrap_or_else(|| "/bin/bash".into());
    let script = format!(
        r#"#!{bash}
# A stand-in browser: hands its URL to the loopback Identity Center and returns, as openers do.
LC_ALL=C
exec 3<>/dev/tcp/{ip}/{port} || exit 1
printf '%s\r\n' 'POST /browser HTTP/1.1' 'Host: {server}' 'Connection: close' "Content-Length: ${{#1}}" '' >&3
printf %s "$1" >&3
IFS= read -r status <&3
[[ $status == *' 200 '* ]]
"#,
        bash = bash.display(),
        ip = server.ip(),
        port = server.port(),
    );
    let path = dir.join("browser");
    fs::write(&path, script).expect("a writable folder");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    path
}

/// Records the URL and opens it in a thread of its own.
pub(super) fn open(shared: &Arc<Shared>, url: &str) {
    let behaviour = shared.update(|state| {
        state.browser_opens.push(url.to_owned());
        state.settings.browser
    });
    let (shared, url) = (Arc::clone(shared), url.to_owned());
    std::thread::spawn(move || visit(&shared, &url, behaviour));
}

fn visit(shared: &Shared, url: &str, behaviour: BrowserBehaviour) {
    if behaviour == BrowserBehaviour::Nothing {
        return;
    }
    if behaviour == BrowserBehaviour::StrayRequestsFirst {
        pester(shared, url).ok(); // whether the client stands it is for the test to see
    }
    let mut page = load(url);
    if let Some(link) = approve_link(&page) {
        page = load(&link);
    }
    if behaviour == BrowserBehaviour::ClickTwice {
        let again = load(&page.url);
        shared.update(|state| state.pages.push(page));
        page = again;
    }
    shared.update(|state| state.pages.push(page));
}

/// Sends the client's listener what browsers, scanners and attackers on the same machine send.
fn pester(shared: &Shared, url: &str) -> io::Result<()> {
    let callback = pairs(url.split_once('?').map_or("", |(_, query)| query)).find(|(name, _)| name == "redirect_uri");
    let Some((address, path)) = callback.as_ref().and_then(|(_, uri)| split(uri)) else {
        return Ok(()); // a device authorization has no listener
    };
    let silent = TcpStream::connect(address)?;
    shared.update(|state| {
        let id = state.next();
        state.connections.insert(id, silent); // stays open as long as the server runs
    });
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let requests = [
        get("/favicon.ico"),
        get(&format!("{path}?code=x&state=wrong")),
        get(path),
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 6\r\n\r\ncode=x"),
        "\u{16}\u{3}\u{1} this is not HTTP\r\n\r\n".to_owned(),
    ];
    for request in requests {
        exchange(address, &request).ok();
    }
    Ok(())
}

/// Opens a URL and follows up to five redirects.
fn load(url: &str) -> Page {
    let mut url = url.to_owned();
    for _ in 0..=5 {
        match fetch(&url) {
            Err(error) => {
                return Page { url, status: None, body: error.to_string() };
            }
            Ok((_, Some(location), _)) => url = resolve(&url, &location),
            Ok((status, None, body)) => {
                return Page { url, status: Some(status), body };
            }
        }
    }
    Page { url, status: None, body: "too many redirects".into() }
}

/// Status, `Location` and body of one page.
fn fetch(url: &str) -> io::Result<(u16, Option<String>, String)> {
    let (address, target) = split(url).ok_or_else(|| io::Error::other("only http on a loopback address"))?;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: stand-in-browser\r\nAccept: text/html\r\n\
         Connection: close\r\n\r\n"
    );
    let bytes = exchange(address, &request)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_start) = head.parse(&bytes).map_err(io::Error::other)? else {
        return Err(io::Error::other("the answer broke off"));
    };
    let location = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location"));
    let location = location.map(|header| String::from_utf8_lossy(header.value).into_owned());
    let body = String::from_utf8_lossy(&bytes[body_start..]).into_owned();
    Ok((head.code.unwrap_or_default(), location, body))
}

/// Sends a request and reads the answer until the other side closes.
fn exchange(address: SocketAddr, request: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Address and target of an http URL on a loopback address.
fn split(url: &str) -> Option<(SocketAddr, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, target) = rest.split_at(rest.find('/')?);
    let address: SocketAddr = authority.replace("localhost", "127.0.0.1").parse().ok()?;
    address.ip().is_loopback().then_some((address, target))
}

fn resolve(base: &str, location: &str) -> String {
    match base.strip_prefix("http://").and_then(|rest| rest.split_once('/')) {
        Some((authority, _)) if location.starts_with('/') => {
            format!("http://{authority}{location}")
        }
        _ => location.to_owned(),
    }
}

/// The Approve button of a consent page.
fn approve_link(page: &Page) -> Option<String> {
    let links = page.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let approve = links.map(|link| link.replace("&amp;", "&")).find(|link| link.ends_with("decision=approve"))?;
    Some(resolve(&page.url, &approve))
}
