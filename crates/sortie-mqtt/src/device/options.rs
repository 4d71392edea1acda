//! What a device asks of `rumqttc` and of the broker for one connection.

use rumqttc::{LastWill, MqttOptions, QoS};
use sortie_protocol::Presence;

use super::DeviceMqtt;
use crate::topic::Topic;

/// So many registers are under way at most. `rumqttc` keeps a slot for each, and its default of
/// 100 slots is a third of what a client costs.
pub(super) const WINDOW: u16 = 4;

/// The client's channel: the window, subscriptions, signs of life and the goodbye.
pub(super) const CHANNEL: usize = 16;

/// A larger packet ends the connection, and MQTT 3.1.1 has no way to say so to the broker; so far
/// above what a message may have, that only a foreign one could be larger.
const PACKET_BYTES_MAX: usize = 64 * 1024;

pub(super) fn options(settings: &DeviceMqtt, session: &str) -> MqttOptions {
    let lost = Presence::Offline {
        session: session.into(),
        lost: true,
    };
    let topic = Topic::Presence(settings.device.clone());
    let will = LastWill::new(
        settings.prefix.name(&topic),
        lost.to_json(),
        QoS::AtLeastOnce,
        true,
    );
    let mut options = MqttOptions::new(
        settings.device.as_str(),
        settings.address.host.clone(),
        settings.address.port,
    );
    options
        .set_clean_session(true)
        .set_keep_alive(settings.keep_alive)
        .set_last_will(will)
        .set_inflight(WINDOW)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    if let Some(credentials) = &settings.credentials {
        options.set_credentials(credentials.user.clone(), credentials.password.clone());
    }
    options
}
