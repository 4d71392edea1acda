//! What the driver does for the agent besides the wire: one thing at a time.

use std::{future::Future, pin::Pin};

use sha2::{Digest, Sha256 as Hasher};
use sortie_protocol::Sha256;

use crate::{
    agent::Input,
    ports::{Answer, Body, DownloadError, FlashError, Slots},
};

/// Read from flash at once while verifying; between two the other tasks have their turn.
const VERIFY_CHUNK: usize = 16 * 1024;

/// A future of the ports, made when its job begins.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The job under way.
pub(super) enum Job<'a, B> {
    None,
    /// The server has not answered yet.
    Fetch {
        answer: Boxed<'a, Result<Answer<B>, DownloadError>>,
        size: u64,
        held: u64,
    },
    Read(Download<B>),
    Verify(Verify),
    Health(Boxed<'a, Result<(), String>>),
}

/// A body on its way into the slot.
pub(super) struct Download<B> {
    body: B,
    size: u64,
    /// The slot is thought to hold the image up to here.
    held: u64,
    /// Where `page` begins.
    at: u64,
    /// Allocated while a download runs only.
    page: Vec<u8>,
    filled: usize,
}

/// The slot being read.
pub(super) struct Verify {
    hasher: Hasher,
    at: u64,
    size: u64,
}

impl Verify {
    pub(super) fn new(size: u64) -> Self {
        let hasher = Hasher::new();
        Self {
            hasher,
            at: 0,
            size,
        }
    }

    /// Reads a piece; the digest when it was the last.
    fn step(&mut self, slots: &mut impl Slots) -> Result<Option<Sha256>, FlashError> {
        let mut buffer = [0; VERIFY_CHUNK];
        let len = until(self.at, self.size, buffer.len());
        slots.read(self.at, &mut buffer[..len])?;
        self.hasher.update(&buffer[..len]);
        self.at += len as u64;
        let done = self.at >= self.size;
        Ok(done.then(|| Sha256(core::mem::take(&mut self.hasher).finalize().into())))
    }
}

/// How many bytes from `at` to `end`, at most `max`.
fn until(at: u64, end: u64, max: usize) -> usize {
    usize::try_from(end.saturating_sub(at)).map_or(max, |len| len.min(max))
}

impl<B: Body> Job<'_, B> {
    /// Waits for the next that the agent must know. Cancel-safe: between two waits nothing is
    /// held that is not in `self`.
    pub(super) async fn step(&mut self, slots: &mut impl Slots) -> Input<'static> {
        loop {
            match self {
                Self::None => std::future::pending().await,
                Self::Fetch { answer, size, held } => {
                    let (size, held) = (*size, *held);
                    match answer.await {
                        Ok(answer) => {
                            let input = Input::Answered {
                                offset: answer.offset,
                                total: answer.total,
                                etag: answer.etag,
                            };
                            *self = Self::Read(Download {
                                body: answer.body,
                                size,
                                held,
                                at: answer.offset,
                                page: vec![0; slots.page_size()],
                                filled: 0,
                            });
                            return input;
                        }
                        Err(error) => {
                            *self = Self::None;
                            return Input::FetchEnded(Err(error));
                        }
                    }
                }
                Self::Read(download) => {
                    let end = until(download.at, download.size, download.page.len());
                    let into = &mut download.page[download.filled..end];
                    match download.body.read(into).await {
                        Ok(0) => {
                            *self = Self::None;
                            return Input::FetchEnded(Ok(()));
                        }
                        Ok(len) => {
                            download.filled = (download.filled + len).min(end);
                            return Input::Received;
                        }
                        Err(error) => {
                            *self = Self::None;
                            return Input::FetchEnded(Err(error));
                        }
                    }
                }
                Self::Verify(verify) => {
                    tokio::task::yield_now().await;
                    let digest = verify.step(slots).transpose();
                    if let Some(result) = digest {
                        *self = Self::None;
                        return Input::Digest(result);
                    }
                }
                Self::Health(answer) => {
                    let result = answer.await;
                    *self = Self::None;
                    return Input::Health(result);
                }
            }
        }
    }
}

impl<B> Job<'_, B> {
    /// The page that is full, if one is.
    pub(super) fn full_page(&mut self) -> Option<&mut Download<B>> {
        match self {
            Self::Read(download) => {
                let end = until(download.at, download.size, download.page.len());
                (end > 0 && download.filled == end).then_some(download)
            }
            _ => None,
        }
    }
}

impl<B> Download<B> {
    /// Where the full page begins, if the slot is thought to hold it and holds something else.
    pub(super) fn differs(&mut self, slots: &mut impl Slots) -> Result<Option<u64>, FlashError> {
        if !self.is_held() {
            return Ok(None);
        }
        let mut found = vec![0; self.filled];
        slots.read(self.at, &mut found)?;
        if found == self.page[..self.filled] {
            return Ok(None);
        }
        self.held = self.at;
        Ok(Some(self.at))
    }

    /// Makes the slot hold the full page, and says up to where it holds the image then.
    pub(super) fn write(&mut self, slots: &mut impl Slots) -> Result<u64, FlashError> {
        if !self.is_held() {
            slots.write_page(self.at, &self.page[..self.filled])?;
        }
        self.at += self.filled as u64;
        self.filled = 0;
        Ok(self.at)
    }

    fn is_held(&self) -> bool {
        self.at + self.filled as u64 <= self.held
    }
}
