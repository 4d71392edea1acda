//! A web server of one image, that stands still, lies or goes away as told.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

/// A server; it serves until it is dropped.
pub(crate) struct ImageServer {
    port: u16,
    shared: Arc<Shared>,
    /// Its drop ends the server, too.
    running: Running,
}

struct Running {
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<()>,
}

struct Shared {
    image: Mutex<Vec<u8>>,
    /// From which byte on each request asked, in their order.
    asked: Mutex<Vec<usize>>,
    /// Which requests are answered to the end, counted from 0; the others stop half-way.
    free: watch::Sender<usize>,
    /// How many answers have stopped half-way so far.
    held: watch::Sender<usize>,
}

impl ImageServer {
    pub(crate) async fn of(image: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            image: Mutex::new(image.into()),
            asked: Mutex::default(),
            free: watch::Sender::new(usize::MAX),
            held: watch::Sender::new(0),
        });
        Self {
            port,
            running: Running::on(listener, shared.clone()),
            shared,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/gw.bin", self.port)
    }

    /// The next `count` requests are answered to the end; those after them stop half-way.
    pub(crate) fn hold_after(&self, count: usize) {
        let free = self.asked().len() + count;
        self.shared.free.send_replace(free);
    }

    /// All go on, and no answer stops any more.
    pub(crate) fn open(&self) {
        self.shared.free.send_replace(usize::MAX);
    }

    /// Waits until `count` answers have stopped half-way, in all.
    pub(crate) async fn held(&self, count: usize) {
        let mut held = self.shared.held.subscribe();
        held.wait_for(|held| *held >= count).await.unwrap();
    }

    /// From which byte on each request asked.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// It is gone: its connections have broken off, and new ones are refused.
    pub(crate) async fn stop(self) -> GoneServer {
        let Running { stop, stopped } = self.running;
        stop.send(()).unwrap();
        stopped.await.unwrap();
        GoneServer {
            port: self.port,
            shared: self.shared,
        }
    }
}

/// A server that is away, and can come back at its address.
pub(crate) struct GoneServer {
    port: u16,
    shared: Arc<Shared>,
}

impl GoneServer {
    /// All is served to the end from now on, and these bytes are.
    pub(crate) async fn start_again(self, image: &[u8]) -> ImageServer {
        let Self { port, shared } = self;
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        *shared.image.lock().unwrap() = image.into();
        shared.free.send_replace(usize::MAX);
        ImageServer {
            port,
            running: Running::on(listener, shared.clone()),
            shared,
        }
    }
}

impl Running {
    fn on(listener: TcpListener, shared: Arc<Shared>) -> Self {
        let (stop, told) = oneshot::channel();
        Self {
            stop,
            stopped: tokio::spawn(serve(listener, shared, told)),
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(answer(accepted.unwrap().0, shared.clone()));
            }
            // A client may go away in the middle.
            Some(_ended) = connections.join_next() => {}
            _ = &mut stop => break,
        }
    }
    drop(listener);
    // Waited for: one that is just being answered would else send what it has.
    connections.shutdown().await;
}

/// Answers one request; `None` if the client has gone.
async fn answer(mut socket: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let range = head.split("range: bytes=").nth(1);
    let from: usize = range.map_or(0, |range| {
        let (from, _) = range.split_once('-').unwrap();
        from.parse().unwrap()
    });
    let number = {
        let mut asked = shared.asked.lock().unwrap();
        asked.push(from);
        asked.len() - 1
    };
    let image = shared.image.lock().unwrap().clone();
    let total = image.len();
    let status = match from {
        0 => "200 OK".to_owned(),
        _ => format!(
            "206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}",
            total - 1
        ),
    };
    let length = total - from;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"gw\"\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.ok()?;
    let half = from + length / 2;
    socket.write_all(&image[from..half]).await.ok()?;
    let mut free = shared.free.subscribe();
    if number >= *free.borrow() {
        shared.held.send_modify(|held| *held += 1);
    }
    free.wait_for(|free| number < *free).await.ok()?;
    socket.write_all(&image[half..]).await.ok()?;
    socket.shutdown().await.ok()
}
