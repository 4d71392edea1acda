//! What the builder takes as a port: the port itself, or one that is shared already.

use std::sync::Arc;

use sortie_ports::{Clock, Inventory, Transport, Uploads};

/// A port as the builder takes it: a value of your type, or an `Arc` of it, or an `Arc<dyn …>`.
///
/// `How` tells the two apart and is inferred. You need not implement or name this trait.
pub trait IntoPort<Port: ?Sized, How>: sealed::Sealed<Port, How> {}

/// It is moved into an `Arc`.
#[derive(Debug)]
pub struct Moved(());

/// It is in an `Arc` already.
#[derive(Debug)]
pub struct Shared(());

pub(crate) mod sealed {
    use std::sync::Arc;

    /// Does the conversion.
    pub trait Sealed<Port: ?Sized, How> {
        /// The port as the engine keeps it.
        fn into_arc(self) -> Arc<Port>;
    }
}

macro_rules! into_port {
    ($($port:ident),+) => {$(
        impl<T: $port> IntoPort<dyn $port, Moved> for T {}
        impl<T: $port> sealed::Sealed<dyn $port, Moved> for T {
            fn into_arc(self) -> Arc<dyn $port> {
                Arc::new(self)
            }
        }

        impl<T: $port> IntoPort<dyn $port, Shared> for Arc<T> {}
        impl<T: $port> sealed::Sealed<dyn $port, Shared> for Arc<T> {
            fn into_arc(self) -> Arc<dyn $port> {
                self
            }
        }

        impl IntoPort<dyn $port, Shared> for Arc<dyn $port> {}
        impl sealed::Sealed<dyn $port, Shared> for Arc<dyn $port> {
            fn into_arc(self) -> Arc<dyn $port> {
                self
            }
        }
    )+};
}

into_port!(Clock, Inventory, Transport, Uploads);
