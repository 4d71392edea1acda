//! A real HTTP server on a local port, that misbehaves as told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, time::Sleep};

/// How one request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As it should be.
    Well,
    /// The connection is cut after so many bytes of body.
    Cut(usize),
    /// The body stands still after so many bytes.
    Stall(usize),
    /// Range is not known: 200 with all.
    NoRange,
    /// 416, whatever is asked.
    Unsatisfiable,
    /// 206 with the tag of another artifact.
    IgnoresIfRange,
    /// 206 of a range that was not asked for.
    OtherRange,
    /// This status.
    Status(u16),
    /// All, without a declared length, and so many bytes short (or, negative, too many).
    Undeclared(i64),
    /// No answer at all.
    Silent,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    image: Bytes,
    etag: Option<String>,
    plan: VecDeque<How>,
    /// `Range` and `If-Range` of each request.
    asked: Vec<(Option<String>, Option<String>)>,
}

impl Server {
    pub(crate) async fn start(image: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                image: Bytes::copy_from_slice(image),
                etag: Some("\"v1\"".into()),
                plan: VecDeque::new(),
                asked: Vec::new(),
            })),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let server = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| server.answer(request));
                    // A connection that is cut on purpose ends in an error.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/image.bin?x=1", self.address)
    }

    /// The next requests are answered like this, those after them well.
    pub(crate) fn plan(&self, plan: &[How]) {
        self.state.lock().unwrap().plan = plan.iter().copied().collect();
    }

    pub(crate) fn replace(&self, image: &[u8], etag: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        state.image = Bytes::copy_from_slice(image);
        state.etag = etag.map(str::to_owned);
    }

    pub(crate) fn asked(&self) -> Vec<(Option<String>, Option<String>)> {
        self.state.lock().unwrap().asked.clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Script>, Infallible> {
        assert_eq!(request.uri().path(), "/image.bin");
        assert!(request.headers().contains_key(header::HOST));
        let text = |headers: &HeaderMap, name| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let range = text(request.headers(), header::RANGE);
        let if_range = text(request.headers(), header::IF_RANGE);
        let (image, etag, how) = {
            let mut state = self.state.lock().unwrap();
            state.asked.push((range.clone(), if_range.clone()));
            let how = state.plan.pop_front().unwrap_or(How::Well);
            (state.image.clone(), state.etag.clone(), how)
        };
        let from = range.map(|range| {
            let from = range.strip_prefix("bytes=").unwrap();
            from.strip_suffix('-').unwrap().parse::<usize>().unwrap()
        });
        let fresh = if_range.is_none() || if_range == etag || how == How::IgnoresIfRange;
        let mut response = Response::builder();
        if let Some(etag) = &etag {
            response = response.header(header::ETAG, etag);
        }
        if how == How::Silent {
            std::future::pending::<()>().await;
        }
        if let How::Status(status) = how {
            let body = Script::whole(Bytes::from_static(b"no"));
            return Ok(response.status(status).body(body).unwrap());
        }
        let beyond = from.is_some_and(|from| from >= image.len());
        if how == How::Unsatisfiable || beyond && fresh {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response
                .status(status)
                .body(Script::whole(Bytes::new()))
                .unwrap());
        }
        let mut body = image.clone();
        if let Some(from) = from.filter(|_| fresh && how != How::NoRange) {
            let from = if how == How::OtherRange {
                from + 1
            } else {
                from
            };
            let range = format!("bytes {from}-{}/{}", image.len() - 1, image.len());
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, range);
            body = image.slice(from..);
        }
        let body = match how {
            How::Cut(at) => Script::broken(&body, at, End::Cut),
            How::Stall(at) => Script::broken(&body, at, End::Stall),
            How::Undeclared(short) => {
                let mut bytes = body.to_vec();
                let len = i64::try_from(bytes.len()).unwrap() - short;
                bytes.resize(usize::try_from(len).unwrap(), 0xAA);
                Script {
                    declared: None,
                    ..Script::whole(bytes.into())
                }
            }
            _ => Script::whole(body),
        };
        Ok(response.body(body).unwrap())
    }
}

enum End {
    Clean,
    Cut,
    Stall,
}

/// A body by script.
struct Script {
    bytes: Bytes,
    declared: Option<u64>,
    end: End,
    flushed: Option<Pin<Box<Sleep>>>,
}

impl Script {
    fn whole(bytes: Bytes) -> Self {
        Self {
            declared: Some(bytes.len() as u64),
            bytes,
            end: End::Clean,
            flushed: None,
        }
    }

    fn broken(bytes: &Bytes, at: usize, end: End) -> Self {
        Self {
            declared: Some(bytes.len() as u64),
            bytes: bytes.slice(..at.min(bytes.len())),
            end,
            flushed: None,
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if !self.bytes.is_empty() {
            let len = self.bytes.len().min(1000);
            let piece = self.bytes.split_to(len);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Clean => Poll::Ready(None),
            End::Cut => {
                // Hyper forgets what it has not sent when a body fails.
                let flushed = Duration::from_millis(20);
                let sleep = self
                    .flushed
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(flushed)));
                let slept = sleep.as_mut().poll(context);
                slept.map(|()| Some(Err(std::io::Error::other("cut"))))
            }
            End::Stall => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
