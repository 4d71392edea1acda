//! The device agent: download, write, verify, reboot, confirm, report.
