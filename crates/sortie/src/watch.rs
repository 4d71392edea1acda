//! Following a campaign's progress.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use sortie_engine::node::Progress;
use tokio::sync::watch::Receiver;

/// A campaign's progress: first the present, then the newest after each change; what came between
/// is left out. It ends when the campaign is finished and drained, or with the engine. It keeps
/// nothing alive.
#[must_use = "a watch shows nothing until it is polled"]
pub struct Watch {
    progress: Receiver<Progress>,
    /// The wait for a change; `None`: the present has not been shown yet.
    change: Option<Change>,
    /// What was shown last: not every commit changes a counter.
    shown: Option<Progress>,
    ended: bool,
}

/// Whether there was one; an error is the end of the campaign or of the engine.
type Change = Pin<Box<dyn Future<Output = Option<Receiver<Progress>>> + Send>>;

impl Watch {
    pub(crate) fn new(progress: Receiver<Progress>) -> Self {
        Self {
            progress,
            change: None,
            shown: None,
            ended: false,
        }
    }

    /// The next progress; `None` at the end. May be dropped at any time: nothing is lost.
    pub async fn next(&mut self) -> Option<Progress> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The newest committed progress, also after the end.
    pub fn latest(&self) -> Progress {
        self.progress.borrow().clone()
    }

    fn wait(&mut self) {
        let mut progress = self.progress.clone();
        self.change = Some(Box::pin(async move {
            progress.changed().await.ok()?;
            Some(progress)
        }));
    }
}

impl Stream for Watch {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Progress>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            if let Some(change) = &mut self.change {
                match change.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(progress)) => self.progress = progress,
                    Poll::Ready(None) => {
                        self.change = None;
                        self.ended = true;
                        return Poll::Ready(None);
                    }
                }
            }
            let progress = self.progress.borrow_and_update().clone();
            self.ended = progress.is_over();
            self.wait();
            if self.shown.as_ref() != Some(&progress) {
                self.shown = Some(progress.clone());
                return Poll::Ready(Some(progress));
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("latest", &*self.progress.borrow())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
