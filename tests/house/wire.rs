//! A small HTTPS client: one connection a request, read to its end, trusting one certificate only. It says
//! what came back and judges nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

/// After this a server is taken for hung; no answer takes anywhere near as long.
const HUNG: Duration = Duration::from_secs(90);

/// A clock that is so many seconds ahead, or behind.
#[derive(Debug)]
struct Ahead(i64);

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let now = UnixTime::now().as_secs().checked_add_signed(self.0)?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now)))
    }
}

/// Where the server is, and what its certificate must be.
#[derive(Clone)]
pub(crate) struct Wire {
    config: Arc<ClientConfig>,
    address: Arc<Mutex<SocketAddr>>,
    roots: Arc<RootCertStore>,
}

/// Versions of TLS.
pub(crate) type Versions = &'static [&'static SupportedProtocolVersion];

/// An open connection.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Wire {
    /// Trusts the certificate in this file and no other. From when on it is valid is a story of its own, and
    /// no other story fails for it.
    pub(crate) fn new(address: SocketAddr, certificate: &Path) -> Self {
        Self::with_clock(address, certificate, 86_400)
    }

    /// The same at a computer whose clock is ahead by so many seconds.
    pub(crate) fn with_clock(address: SocketAddr, certificate: &Path, ahead: i64) -> Self {
        let (config, roots) = config(certificate, ahead, ALL_VERSIONS);
        Self { config: Arc::new(config), address: Arc::new(Mutex::new(address)), roots: Arc::new(roots) }
    }

    /// The same server from a browser that has a certificate of its person, and brings it where it is asked to.
    pub(crate) fn bearing(&self, certificate: Vec<u8>, key: Vec<u8>, versions: Versions) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(Ahead(86_400)))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())
            .unwrap();
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// A client that speaks these versions of TLS, and these protocols within it.
    pub(crate) fn speaking(
        address: SocketAddr,
        certificate: &Path,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Self {
        let (mut config, roots) = config(certificate, 86_400, versions);
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Self { config: Arc::new(config), address: Arc::new(Mutex::new(address)), roots: Arc::new(roots) }
    }

    /// The server moved to another port.
    pub(crate) fn moved(&self, address: SocketAddr) {
        *self.address.lock().unwrap() = address;
    }

    /// `127.0.0.1:port`, as the browser's address line has it.
    pub(crate) fn host(&self) -> String {
        self.address.lock().unwrap().to_string()
    }

    /// A fresh connection.
    pub(crate) fn connect(&self) -> io::Result<Tls> {
        let address = *self.address.lock().unwrap();
        self.over(TcpStream::connect(address)?)
    }

    /// The same from another computer: an address of the loopback network.
    pub(crate) fn connect_from(&self, from: Ipv4Addr) -> io::Result<Tls> {
        self.over(self.tcp_from(from)?)
    }

    /// A connection from there that says nothing yet.
    pub(crate) fn tcp_from(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let to = *self.address.lock().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let tcp = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((from, 0)))?;
            socket.connect(to).await?.into_std()
        })?;
        tcp.set_nonblocking(false)?;
        Ok(tcp)
    }

    fn over(&self, tcp: TcpStream) -> io::Result<Tls> {
        tcp.set_read_timeout(Some(HUNG))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(tls, tcp))
    }

    /// Sends bytes as they are and reads whatever comes until the end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        exchange(self.connect()?, bytes)
    }

    /// Sends a request from another address, as [`Wire::send`] does.
    pub(crate) fn send_from(&self, from: Ipv4Addr, request: &Request) -> io::Result<Answer> {
        let all = exchange(self.connect_from(from)?, &request.bytes(&self.host()))?;
        Answer::parse(&all).ok_or_else(|| io::Error::other("the answer broke off"))
    }

    /// Sends a request and takes the answer apart; `Host`, `Connection` and `Content-Length` are added.
    pub(crate) fn send(&self, request: &Request) -> io::Result<Answer> {
        let all = self.raw(&request.bytes(&self.host()))?;
        Answer::parse(&all).ok_or_else(|| io::Error::other("the answer broke off"))
    }
}

fn config(
    certificate: &Path,
    ahead: i64,
    versions: &[&'static SupportedProtocolVersion],
) -> (ClientConfig, RootCertStore) {
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(certificate).unwrap() {
        roots.add(one.unwrap()).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(Ahead(ahead)))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    (config, roots)
}

fn exchange(mut tls: Tls, bytes: &[u8]) -> io::Result<Vec<u8>> {
    // A server may answer and close before it has read everything: what it said counts.
    let sent = tls.write_all(bytes).and_then(|()| tls.flush());
    let mut all = Vec::new();
    match tls.read_to_end(&mut all) {
        Ok(_) => {}
        Err(e) if all.is_empty() && e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
        Err(_) => {}
    }
    if all.is_empty() { sent.map(|()| all) } else { Ok(all) }
}

/// What is asked.
pub(crate) struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, kind: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", kind)
    }

    fn bytes(&self, host: &str) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method == "POST" {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// `None` when it is not whole.
    pub(crate) fn parse(all: &[u8]) -> Option<Self> {
        let end = all.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&all[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: all[end + 4..].to_vec() };
        if answer.header("transfer-encoding") == "chunked" {
            answer.body = dechunk(&answer.body)?;
        }
        let length = answer.header("content-length");
        (length.is_empty() || length.parse() == Ok(answer.body.len())).then_some(answer)
    }

    /// A header, empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }

    /// Where a redirect leads.
    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    /// The page.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The page without what differs from one moment to the next: whether the index is in step stands below each.
    pub(crate) fn steady(&self) -> String {
        let text = self.text();
        let (before, after) = text.split_once("索引").unwrap_or((&text, ""));
        format!("{before}{}", after.split_once('<').map_or("", |(_, rest)| rest))
    }

    /// The page holds these words.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// A page of results that holds nothing with these words, at most what is near to them.
    pub(crate) fn finds_nothing(&self) -> bool {
        self.says("没有找到") || (self.says("没有完全相同的内容") && !self.says("<mark>"))
    }

    /// Stops the test unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "to {:?}: {}", self.location(), self.text());
        self
    }
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Pairs as `application/x-www-form-urlencoded`.
pub(crate) fn urlencoded(pairs: &[(String, String)]) -> Vec<u8> {
    let code =
        |s: &str| percent_encoding::utf8_percent_encode(s, percent_encoding::NON_ALPHANUMERIC).to_string();
    pairs.iter().map(|(n, v)| format!("{}={}", code(n), code(v))).collect::<Vec<_>>().join("&").into_bytes()
}

/// Content type and body of a form with files, as browsers send it.
pub(crate) fn multipart(pairs: &[(String, String)], files: &[File]) -> (String, Vec<u8>) {
    const EDGE: &str = "----house7MA4YWxkTrZu0gW";
    let quoted = |s: &str| s.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = Vec::new();
    for (name, value) in pairs {
        let head = format!("--{EDGE}\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n", quoted(name));
        body.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
    }
    for file in files {
        let head = format!(
            "--{EDGE}\r\ncontent-disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n\
             content-type: application/octet-stream\r\n\r\n",
            file.input,
            quoted(&file.name)
        );
        body.extend([head.as_bytes(), &file.bytes, b"\r\n"].concat());
    }
    body.extend(format!("--{EDGE}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={EDGE}"), body)
}

/// A file chosen in a form.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub input: String,
    pub name: String,
    pub bytes: Vec<u8>,
}
