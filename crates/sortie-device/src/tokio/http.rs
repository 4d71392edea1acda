//! Downloads over HTTP/1.1 with Range.

use std::{fmt, future::Future, pin::Pin, task::Poll, time::Duration};

use bytes::{Buf, Bytes};
use http_body_util::Empty;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body as _, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use crate::ports::{Answer, Body, Download, DownloadError, Fetch};

/// The connection's buffer, and so the largest head of an answer.
const BUFFER_BYTES: usize = 16 * 1024;
/// More header lines than this are refused.
const HEADERS_MAX: usize = 64;

/// Fetches over `http://`, one connection a download, without tasks of its own. `https://` is
/// refused: put a [`Download`] with the TLS stack of your device in its place.
#[derive(Debug, Clone)]
pub struct HttpDownload {
    connect: Duration,
    head: Duration,
    idle: Duration,
}

impl Default for HttpDownload {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(30),
        }
    }
}

impl HttpDownload {
    /// Connections that take longer fail. Default 10 s.
    #[must_use]
    pub fn connect_timeout(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// Servers that take longer until the head of their answer fail. Default 30 s.
    #[must_use]
    pub fn head_timeout(self, head: Duration) -> Self {
        Self { head, ..self }
    }

    /// Bodies that stand still for longer fail. Default 30 s.
    #[must_use]
    pub fn idle_timeout(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

/// The body of an answer, with its connection.
pub struct HttpBody {
    /// Moves the bytes while the body is read. Gone once it has ended.
    connection: Option<Pin<Box<Connection>>>,
    body: Incoming,
    rest: Bytes,
    idle: Duration,
    /// When the body has stood still for too long.
    deadline: Instant,
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").finish_non_exhaustive()
    }
}

impl Download for HttpDownload {
    type Body = HttpBody;

    async fn fetch(&self, fetch: Fetch) -> Result<Answer<HttpBody>, DownloadError> {
        let request = request(&fetch)?;
        let (host, port) = address(request.uri(), &fetch.url)?;
        let stream = timeout(self.connect, TcpStream::connect((host, port)))
            .await
            .map_err(|_| network("no connection", &"timed out"))?
            .map_err(|error| network("no connection", &error))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| network("no connection", &error))?;
        let mut connection = Some(Box::pin(connection));
        let request = origin_form(request);
        let response = timeout(
            self.head,
            beside(&mut connection, sender.send_request(request)),
        )
        .await
        .map_err(|_| network("no answer", &"timed out"))?
        .map_err(|error| network("no answer", &error))?;
        let (offset, total) = place(&response, fetch.offset)?;
        Ok(Answer {
            offset,
            total,
            etag: strong_etag(response.headers()),
            body: HttpBody {
                connection,
                body: response.into_body(),
                rest: Bytes::new(),
                deadline: Instant::now() + self.idle,
                idle: self.idle,
            },
        })
    }
}

impl Body for HttpBody {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, DownloadError> {
        while self.rest.is_empty() {
            let body = &mut self.body;
            let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let frame = timeout_at(self.deadline, beside(&mut self.connection, frame)).await;
            self.deadline = Instant::now() + self.idle;
            match frame.map_err(|_| network("body", &"timed out"))? {
                None => return Ok(0),
                Some(Err(error)) => return Err(network("body", &error)),
                // What is no data (trailers) is skipped.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let len = self.rest.len().min(into.len());
        self.rest.copy_to_slice(&mut into[..len]);
        Ok(len)
    }
}

/// Waits for `future`, moving the connection meanwhile.
async fn beside<F: Future>(connection: &mut Option<Pin<Box<Connection>>>, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        if let Some(moving) = connection
            && moving.as_mut().poll(context).is_ready()
        {
            // Its error comes out of the body, too.
            *connection = None;
        }
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn network(what: &str, error: &dyn fmt::Display) -> DownloadError {
    DownloadError::Network(format!("{what}: {error}"))
}

fn request(fetch: &Fetch) -> Result<Request<Empty<Bytes>>, DownloadError> {
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(&fetch.url)
        .header(header::USER_AGENT, "sortie-device")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close");
    if fetch.offset > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", fetch.offset));
        if let Some(etag) = &fetch.etag {
            request = request.header(header::IF_RANGE, etag);
        }
    }
    request
        .body(Empty::new())
        .map_err(|error| DownloadError::Unsupported(format!("malformed URL: {error}")))
}

fn address(uri: &Uri, url: &str) -> Result<(String, u16), DownloadError> {
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) => {
            // An IPv6 address stands in brackets, which the resolver does not want.
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.into(), uri.port_u16().unwrap_or(80)))
        }
        (Some("https"), _) => Err(DownloadError::Unsupported(
            "https is not supported, only http".into(),
        )),
        _ => Err(DownloadError::Unsupported(format!("no http URL: {url}"))),
    }
}

/// The request with the path alone in its first line, and the host in a header.
fn origin_form(mut request: Request<Empty<Bytes>>) -> Request<Empty<Bytes>> {
    let uri = request.uri().clone();
    // A part of a legal URI is legal where it stands for itself; if not, it stays as it was.
    if let Some(authority) = uri.authority() {
        let host = authority.as_str();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if let Ok(host) = header::HeaderValue::from_str(host) {
            request.headers_mut().insert(header::HOST, host);
        }
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if let Ok(path) = path.parse() {
        *request.uri_mut() = path;
    }
    request
}

/// Where the body stands in the artifact, and how long that is.
fn place(response: &Response<Incoming>, asked: u64) -> Result<(u64, Option<u64>), DownloadError> {
    let headers = response.headers();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(network("no usable answer", &"it is encoded"));
    }
    match response.status() {
        StatusCode::OK => Ok((0, response.body().size_hint().exact())),
        StatusCode::PARTIAL_CONTENT => headers
            .get(header::CONTENT_RANGE)
            .and_then(|range| content_range(range.to_str().ok()?))
            .ok_or_else(|| network("no usable answer", &"206 without a range")),
        StatusCode::RANGE_NOT_SATISFIABLE => Err(DownloadError::Range(asked)),
        status => Err(network("no usable answer", &status)),
    }
}

/// Reads `bytes 100-199/200`, or `/*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((first.parse().ok()?, total))
}

/// The entity tag, if it is one by which `If-Range` can be asked.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(header::ETAG)?.to_str().ok()?;
    (etag.starts_with('"') && etag.len() <= 256).then(|| etag.into())
}
