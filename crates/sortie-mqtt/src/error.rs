//! Why settings were refused.

/// A setting is not usable: the value and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MqttError {
    /// A broker's address that can't be read. A password in it is not shown.
    #[error("invalid broker address {address:?}: {why}")]
    Address {
        /// The address, without its password.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An address that asks for TLS.
    #[error("broker address {address:?} asks for TLS, which is not in this version yet")]
    Tls {
        /// The address, without its password.
        address: String,
    },
    /// A topic prefix that can't be one.
    #[error("invalid topic prefix {prefix:?}: {why}")]
    Prefix {
        /// The prefix.
        prefix: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A node name that can't be a topic level.
    #[error("invalid node name {0:?}: 1 to 64 of A-Z a-z 0-9 . _ ~ - are legal")]
    Node(String),
    /// A client id that a broker would refuse.
    #[error("invalid client id {0:?}: 1 to 128 printable characters are expected")]
    ClientId(String),
}
