//! Futures under way, at most so many.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::guard::Boxed;

/// Futures of which at most `max` are polled; the others wait their turn, in order.
pub(super) struct Pool<T> {
    running: FuturesUnordered<Boxed<T>>,
    waiting: VecDeque<Boxed<T>>,
    max: usize,
}

impl<T> Pool<T> {
    pub(super) fn new(max: usize) -> Self {
        Self {
            running: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            max,
        }
    }

    pub(super) fn push(&mut self, future: Boxed<T>) {
        if self.running.len() < self.max {
            self.running.push(future);
        } else {
            self.waiting.push_back(future);
        }
    }

    /// The next one that has ended; pending also when there is none.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match self.running.poll_next_unpin(cx) {
            Poll::Ready(Some(output)) => {
                if let Some(next) = self.waiting.pop_front() {
                    self.running.push(next);
                }
                Poll::Ready(output)
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    #[tokio::test]
    async fn at_most_max_futures_are_polled_and_all_end() {
        let under_way = Arc::new(AtomicUsize::new(0));
        let mut pool = Pool::new(3);
        for n in 0..20 {
            let under_way = under_way.clone();
            pool.push(Box::pin(async move {
                assert!(under_way.fetch_add(1, Ordering::SeqCst) < 3);
                tokio::task::yield_now().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                n
            }));
        }
        let mut ended = vec![];
        for _ in 0..20 {
            ended.push(poll_fn(|cx| pool.poll_next(cx)).await);
        }
        ended.sort_unstable();
        assert_eq!(ended, (0..20).collect::<Vec<_>>());
    }
}
