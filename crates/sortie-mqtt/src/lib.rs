//! sortie's native device profile over MQTT, for the engine and for devices.
