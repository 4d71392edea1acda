//! Guards around what is not ours: panics and time limits.

use std::{any::Any, error::Error, panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use sortie_ports::Clock;

/// A boxed future of the driver.
pub(super) type Boxed<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs a port's future; its panic becomes an error, the message of the panic.
pub(super) async fn unpanicked<T>(future: impl Future<Output = T>) -> Result<T, String> {
    // What a port had half done is its own; the node and the loop are not inside.
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|panic| panic_text(&*panic))
}

/// Runs a future until `deadline` on the monotonic clock; `None` if it has not ended by then.
pub(super) async fn until<T>(
    clock: &dyn Clock,
    deadline: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(future), clock.sleep_until(deadline)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
        .into()
}

/// An error and its sources in one line.
pub(super) fn full_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Some errors show their source in their own text.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
