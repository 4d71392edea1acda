//! An MQTT broker in the process, so that nothing has to be installed.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use mqtt5::broker::{
    BrokerShutdownHandle, MqttBroker,
    config::{BrokerConfig, StorageBackend, StorageConfig},
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{port, problem::Problem};

/// A broker that runs in this process, on a port of this machine only. What it retains is lost
/// when it stops.
///
/// A trait, so that the day its crate disappoints another takes its place here and nowhere else.
pub trait EmbeddedBroker: Sized {
    /// Starts it on `port`, or on any that is free, for so many clients.
    fn start(
        port: Option<u16>,
        clients: usize,
    ) -> impl Future<Output = Result<Self, Problem>> + Send;

    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// Stops it, and all connections with it.
    fn stop(self) -> impl Future<Output = ()> + Send;

    /// Its address as `sortie` takes it.
    fn url(&self) -> String {
        format!("mqtt://{}", self.address())
    }
}

/// [`EmbeddedBroker`] by the crate `mqtt5`.
pub struct Mqtt5 {
    address: SocketAddr,
    shutdown: BrokerShutdownHandle,
    running: JoinHandle<()>,
}

/// A broker that takes longer to stop is dropped.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Far above what a message of the profile may have.
const PACKET_BYTES_MAX: usize = 64 * 1024;

impl fmt::Debug for Mqtt5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt5")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl EmbeddedBroker for Mqtt5 {
    async fn start(port: Option<u16>, clients: usize) -> Result<Self, Problem> {
        let port = match port {
            Some(port) => port,
            None => port::free().await.map_err(|error| {
                Problem::because("the broker in the process finds no free port", &error)
            })?,
        };
        let storage = StorageConfig {
            backend: StorageBackend::Memory,
            // Of sessions, in memory: without it they do not outlive a lost connection.
            enable_persistence: true,
            ..StorageConfig::default()
        };
        let config = BrokerConfig {
            storage_config: storage,
            sys_topics_enabled: false,
            ..BrokerConfig::default()
        }
        .with_bind_address((Ipv4Addr::LOCALHOST, port))
        .with_max_clients(clients)
        .with_max_packet_size(PACKET_BYTES_MAX);
        let failed =
            |error: mqtt5::MqttError| Problem::because("the broker in the process", &error);
        let mut broker = MqttBroker::with_config(config).await.map_err(failed)?;
        let address = broker
            .local_addr()
            .ok_or_else(|| Problem::new("the broker in the process has no address"))?;
        let shutdown = broker.shutdown_handle();
        let running = tokio::spawn(async move {
            // Its end is seen by all who are connected; there is nobody else to tell.
            let _ended = broker.run().await;
        });
        Ok(Self {
            address,
            shutdown,
            running,
        })
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn stop(mut self) {
        self.shutdown.shutdown();
        // If it does not end by itself, it ends with its future.
        if timeout(STOP_LIMIT, &mut self.running).await.is_err() {
            self.running.abort();
            let _aborted = self.running.await;
        }
    }
}
