//! Ports to listen on that are still free when something listens there again.

use std::{
    io,
    net::Ipv4Addr,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::net::TcpListener;

use crate::random::Random;

/// Below where systems take ports for outgoing connections from. A client that tries again and again
/// while nobody listens is else given the very port that it tries sooner or later, and connects to
/// itself: then nobody can listen there any more.
const PORTS: [u64; 2] = [20_000, 31_999];

/// Listens on `port` of this machine. tokio sets `SO_REUSEADDR`, so connections that have just ended
/// don't keep it.
pub(crate) async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Listens on any port of this machine that is free.
pub(crate) async fn bind_any() -> io::Result<TcpListener> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.subsec_nanos().into());
    let mut random = Random::of(now, std::process::id().into());
    for _ in 0..20 {
        let port = random.between(PORTS[0], PORTS[1]);
        if let Ok(listener) = bind(u16::try_from(port).unwrap_or_default()).await {
            return Ok(listener);
        }
    }
    bind(0).await
}

/// A port of this machine that is free now.
///
/// # Errors
/// What the system says, if it has none.
pub async fn free() -> io::Result<u16> {
    Ok(bind_any().await?.local_addr()?.port())
}
