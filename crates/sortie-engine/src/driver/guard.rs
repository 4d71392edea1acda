//! Guards around what is not ours: panics and time limits.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use sortie_ports::Clock;

use crate::text::panic_text;

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
