//! A web server for one image, with what a device needs to resume a download.

use std::{convert::Infallible, io, net::SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::{
    firmware::Image,
    port::{bind, bind_any},
    problem::Problem,
};

/// A server of one image; it serves until it is dropped.
#[derive(Debug)]
pub struct ImageServer {
    address: SocketAddr,
    path: String,
    serving: JoinHandle<()>,
}

impl ImageServer {
    /// Serves `image` on this machine, on `port`: campaigns that were started name it. Without
    /// one, on any that is free.
    pub async fn start(image: &Image, port: Option<u16>) -> Result<Self, Problem> {
        let failed = |error: io::Error| Problem::because("the image can't be served", &error);
        let listener = match port {
            Some(port) => bind(port).await.map_err(|error| {
                let what = format!(
                    "the campaign's image is served on port {port} of this machine, which is not \
                     free: stop what uses it, or begin anew with another --db"
                );
                Problem::because(what, &error)
            })?,
            None => bind_any().await.map_err(failed)?,
        };
        let address = listener.local_addr().map_err(failed)?;
        let path = format!("/images/{}", image.sha256);
        let served = Served {
            path: path.clone(),
            bytes: image.bytes.clone(),
            etag: format!("\"{}\"", image.sha256),
        };
        let serving = tokio::spawn(async move { served.serve(listener).await });
        Ok(Self {
            address,
            path,
            serving,
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The image's URL.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }
}

impl Drop for ImageServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Served {
    path: String,
    bytes: Bytes,
    etag: String,
}

/// What of the image is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    All,
    /// The first and the last byte.
    Range(usize, usize),
    /// There is no such range.
    Beyond,
}

impl Served {
    async fn serve(self, listener: TcpListener) {
        // With it, and so with the server, all connections end.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, for instance: some connection will end.
                tokio::task::yield_now().await;
                continue;
            };
            let served = self.clone();
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let response = served.answer(&request);
                    async { Ok::<_, Infallible>(response) }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A client that goes away in the middle is what devices without power do.
                let _ended = connection.await;
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, part) = match *request.method() {
            _ if request.uri().path() != self.path => (StatusCode::NOT_FOUND, None),
            Method::GET | Method::HEAD => {
                match part(request.headers(), &self.etag, self.bytes.len()) {
                    Part::All => (StatusCode::OK, Some((0, self.bytes.len()))),
                    Part::Range(first, last) => {
                        (StatusCode::PARTIAL_CONTENT, Some((first, last + 1)))
                    }
                    Part::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, None),
                }
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, None),
        };
        let body = part.map_or_else(Bytes::new, |(start, end)| self.bytes.slice(start..end));
        // hyper leaves the body of an answer to HEAD out, and keeps its length.
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let range = match part {
            Some((start, end)) => format!(
                "bytes {start}-{}/{}",
                end.saturating_sub(1),
                self.bytes.len()
            ),
            None => format!("bytes */{}", self.bytes.len()),
        };
        let with_range = [
            StatusCode::PARTIAL_CONTENT,
            StatusCode::RANGE_NOT_SATISFIABLE,
        ];
        let headers = [
            (header::ETAG, Some(self.etag.clone())),
            (header::ACCEPT_RANGES, Some("bytes".into())),
            (
                header::CONTENT_TYPE,
                Some("application/octet-stream".into()),
            ),
            (
                header::CONTENT_RANGE,
                with_range.contains(&status).then_some(range),
            ),
        ];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// What `Range` and `If-Range` ask for. What is malformed, or more than one range, is answered with
/// all, as RFC 9110 allows.
fn part(headers: &HeaderMap, etag: &str, len: usize) -> Part {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &header::HeaderValue| value.to_str().ok())
    };
    if let Some(if_range) = text(header::IF_RANGE)
        && if_range != Some(etag)
    {
        return Part::All;
    }
    let Some(Some(range)) = text(header::RANGE) else {
        return Part::All;
    };
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Part::All;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<usize>().ok())?
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= len && (last.is_empty() || number(last) >= Some(first)) => {
            Part::Beyond
        }
        (Some(first), _) if last.is_empty() => Part::Range(first, len - 1),
        (Some(first), Some(last)) if first <= last => Part::Range(first, last.min(len - 1)),
        (None, Some(0)) if first.is_empty() => Part::Beyond,
        (None, Some(suffix)) if first.is_empty() => {
            Part::Range(len.saturating_sub(suffix), len - 1)
        }
        _ => Part::All,
    }
}

#[cfg(test)]
mod tests {
    use sortie_device::{Body, Download, DownloadError, Fetch, HttpDownload};

    use super::*;

    fn asked(range: &str, if_range: Option<&str>) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(if_range) = if_range {
            headers.insert(header::IF_RANGE, if_range.parse().unwrap());
        }
        part(&headers, "\"new\"", 100)
    }

    #[test]
    fn a_range_is_understood_or_all_is_sent() {
        for (range, expected) in [
            ("bytes=0-", Part::Range(0, 99)),
            ("bytes=40-", Part::Range(40, 99)),
            ("bytes=40-49", Part::Range(40, 49)),
            ("bytes=40-1000", Part::Range(40, 99)),
            ("bytes=-10", Part::Range(90, 99)),
            ("bytes=-1000", Part::Range(0, 99)),
            ("bytes=100-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=50-40", Part::All),
            ("bytes=100-40", Part::All),
            ("bytes=0-1,5-6", Part::All),
            ("bytes=+1-2", Part::All),
            ("bytes=-", Part::All),
            ("lines=0-1", Part::All),
            ("bytes=99999999999999999999-", Part::All),
        ] {
            assert_eq!(asked(range, None), expected, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_image_is_answered_with_all() {
        assert_eq!(asked("bytes=40-", Some("\"new\"")), Part::Range(40, 99));
        assert_eq!(asked("bytes=40-", Some("\"old\"")), Part::All);
    }

    #[tokio::test]
    async fn a_device_resumes_its_download_here() {
        let image = Image::new("1.0.0", (0..=255).cycle().take(100_000).collect());
        let server = ImageServer::start(&image, None).await.unwrap();
        let download = HttpDownload::default();
        let fetch = |url: String, offset| Fetch {
            url,
            offset,
            etag: Some(format!("\"{}\"", image.sha256)),
        };
        let mut answer = download.fetch(fetch(server.url(), 60_000)).await.unwrap();
        assert_eq!((answer.offset, answer.total), (60_000, Some(100_000)));
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let len = answer.body.read(&mut buffer).await.unwrap();
            if len == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(bytes, image.bytes[60_000..]);
        let beyond = download.fetch(fetch(server.url(), 100_000)).await;
        assert!(matches!(beyond, Err(DownloadError::Range(100_000))));
        let elsewhere = download.fetch(fetch(server.url() + "x", 0)).await;
        assert!(matches!(elsewhere, Err(DownloadError::Network(why)) if why.contains("404")));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let image = Image::new("1.0.0", vec![1]);
        let server = ImageServer::start(&image, None).await.unwrap();
        let port = server.port();
        let taken = ImageServer::start(&image, Some(port)).await.unwrap_err();
        assert!(taken.to_string().contains(&port.to_string()), "{taken}");
        drop(server);
    }
}
