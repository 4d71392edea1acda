//! The client as the link of `sortie-device`'s agent.

use std::future::pending;

use sortie_device::{Link, LinkDown, LinkEvent, LinkEvents};
use sortie_protocol::{Birth, Presence, Progress, Report, Route, Uuid};

use super::{DeviceEvent, DeviceEvents, DeviceLink, NotConnected};

impl From<NotConnected> for LinkDown {
    fn from(_: NotConnected) -> Self {
        Self
    }
}

impl Link for DeviceLink {
    async fn publish_report(
        &self,
        route: Route,
        operation: Uuid,
        report: Option<Report>,
    ) -> Result<(), LinkDown> {
        Ok(self.report(&route, operation, report.as_ref()).await?)
    }

    async fn publish_birth(&self, birth: Birth) -> Result<(), LinkDown> {
        Ok(self.presence(&Presence::Online(birth)).await?)
    }

    async fn publish_progress(&self, route: Route, progress: Progress) -> Result<(), LinkDown> {
        Ok(self.progress(&route, &progress)?)
    }

    async fn watch_own_reports(&self) -> Result<(), LinkDown> {
        Ok(Self::watch_own_reports(self).await?)
    }

    async fn goodbye(&self) -> Result<(), LinkDown> {
        Ok(Self::goodbye(self).await?)
    }
}

impl LinkEvents for DeviceEvents {
    async fn next(&mut self) -> LinkEvent {
        match Self::next(self).await {
            Some(DeviceEvent::Connected { session }) => LinkEvent::Connected { session },
            Some(DeviceEvent::Disconnected { .. }) => LinkEvent::Disconnected,
            Some(DeviceEvent::Request(payload)) => LinkEvent::Request(payload),
            Some(DeviceEvent::OwnPresence(presence)) => LinkEvent::OwnPresence(presence),
            Some(DeviceEvent::OwnReport {
                route,
                operation,
                payload,
            }) => LinkEvent::OwnReport {
                route,
                operation,
                present: !payload.is_empty(),
            },
            // After goodbye nothing comes any more.
            None => pending().await,
        }
    }
}
