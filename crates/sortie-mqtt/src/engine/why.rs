//! Why a connection failed or was lost.

use rumqttc::v5::{ConnectionError, StateError, mqttbytes::Error};

use crate::why::{io, one_line, words};

/// MQTT 5's reason "packet too large", which `rumqttc` does not know in a PUBACK.
const PACKET_TOO_LARGE: u8 = 149;

pub(super) fn connection(error: &ConnectionError, at: &str) -> String {
    let why = match error {
        ConnectionError::Io(error) => io(error),
        ConnectionError::Timeout(_) => "no answer".into(),
        ConnectionError::ConnectionRefused(code) => {
            format!("the broker refuses the connection: {}", words(code))
        }
        ConnectionError::MqttState(error) => state(error),
        ConnectionError::NotConnAck(_) => "the answer is not that of an MQTT 5 broker".into(),
        ConnectionError::RequestsDone => one_line(error),
    };
    format!("{why} ({at})")
}

fn state(error: &StateError) -> String {
    match error {
        StateError::ConnectionAborted => "the broker closed the connection".into(),
        StateError::AwaitPingResp => "the broker answers no more".into(),
        StateError::ServerDisconnect { reason_code, .. } => {
            format!("the broker ended the connection: {}", words(reason_code))
        }
        StateError::Io(error) | StateError::Deserialization(Error::Io(error)) => io(error),
        StateError::Deserialization(Error::InvalidConnectReturnCode(PACKET_TOO_LARGE)) => {
            "the broker refuses a message as too large: let it take at least 8 KiB".into()
        }
        other => one_line(other),
    }
}
