//! Units for `main` to talk to: as little of the device's side as makes a campaign end.

use std::{io, net::SocketAddr, time::Duration};

use sortie::{BaseImage, Birth, DeviceStatus, Presence, Report, RequestBody, StatusCode, Uuid};
use tokio::{net::TcpStream, time::sleep};

use crate::{Mac, frame};

/// A unit that installs what it is asked to; `holds`: the new image comes up.
#[derive(Debug)]
pub struct Simulated {
    /// Who it is.
    pub mac: Mac,
    /// What it runs.
    pub version: String,
    /// Whether a new image comes up on it.
    pub holds: bool,
    /// The last operation and its result: it is told again, and not done again.
    pub result: Option<Report>,
}

impl Simulated {
    /// Connects to the hub, again after each reboot, until the hub is gone.
    ///
    /// # Errors
    /// The connection's.
    pub async fn run(mut self, hub: SocketAddr) -> io::Result<()> {
        let mut boot = 0;
        loop {
            boot += 1;
            let mut stream = TcpStream::connect(hub).await?;
            let mac = self.mac.to_string();
            frame::write(&mut stream, frame::HELLO, mac.as_bytes()).await?;
            let birth = self.birth(boot).to_json();
            frame::write(&mut stream, frame::PRESENCE, &birth).await?;
            if let Some(result) = &self.result {
                frame::write(&mut stream, frame::REPORT, &result.to_json()).await?;
            }
            if !self.serve(&mut stream).await? {
                return Ok(());
            }
            drop(stream);
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Does what it is asked until it reboots (`true`) or the hub is gone.
    async fn serve(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        while let Some((kind, bytes)) = frame::read(stream).await? {
            if kind != frame::REQUEST {
                continue;
            }
            frame::write(stream, frame::GOT_IT, &[]).await?;
            match RequestBody::from_json(&bytes).map_err(io::Error::other)? {
                RequestBody::Update(_, update) if !self.has_done(update.operation) => {
                    let version = update.version.unwrap_or_default();
                    self.install(stream, update.operation, version).await?;
                    return Ok(true);
                }
                RequestBody::Cancel { operation, .. } if !self.has_done(operation) => {
                    let canceled = Report::failure(operation, StatusCode::Canceled);
                    frame::write(stream, frame::REPORT, &canceled.to_json()).await?;
                    self.result = Some(canceled);
                }
                RequestBody::None { .. } => {}
                _ => {
                    if let Some(result) = &self.result {
                        frame::write(stream, frame::REPORT, &result.to_json()).await?;
                    }
                }
            }
        }
        Ok(false)
    }

    async fn install(
        &mut self,
        stream: &mut TcpStream,
        operation: Uuid,
        version: String,
    ) -> io::Result<()> {
        for status in [
            DeviceStatus::Acknowledged,
            DeviceStatus::Downloading,
            DeviceStatus::Deploying,
            DeviceStatus::Deployed,
            DeviceStatus::Rebooting,
        ] {
            let report = Report::new(operation, status);
            frame::write(stream, frame::REPORT, &report.to_json()).await?;
            sleep(Duration::from_millis(50)).await;
        }
        self.result = Some(if self.holds {
            self.version = version;
            Report::new(operation, DeviceStatus::Success)
        } else {
            Report::failure(operation, StatusCode::SystemRollback)
        });
        Ok(())
    }

    fn has_done(&self, operation: Uuid) -> bool {
        let result = self.result.as_ref();
        result.is_some_and(|result| result.operation == operation)
    }

    fn birth(&self, boot: u32) -> Presence {
        let image = BaseImage {
            version: self.version.clone(),
            ..BaseImage::default()
        };
        Presence::Online(Birth {
            session: format!("{}-{boot}", self.mac),
            base_image: Some(image),
            system_model: Some("unit-r1".into()),
            ..Birth::default()
        })
    }
}
