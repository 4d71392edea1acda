//! An event log of one's own, with nothing but what the facade exports.

use sortie::{
    Append, AppendError, ClaimRow, DeviceId, Engine, EventStore, MemoryInventory, MemoryStore,
    Page, ReadError, Store, StreamId, TargetFilter, TargetReason, Uuid, Version, codec,
};

use crate::{
    catalog, devices,
    hub::{Hub, Play},
    pilot, within,
};

/// Keeps each commit as the text that it would be in a file.
#[derive(Debug, Clone)]
struct Texts(MemoryStore);

#[sortie::async_trait]
impl EventStore for Texts {
    async fn log_id(&self) -> Result<Uuid, ReadError> {
        self.0.log_id().await
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Version, AppendError>> {
        self.0.append(batch).await
    }

    async fn read(&self, stream: &StreamId, after: Version, max: usize) -> Result<Page, ReadError> {
        let mut page = self.0.read(stream, after, max).await?;
        for commit in &mut page.commits {
            let text = codec::encode(&commit.events).unwrap();
            commit.events = codec::decode(*stream, codec::SCHEMA, &text)?;
        }
        Ok(page)
    }

    async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
        self.0.streams().await
    }

    async fn claims(
        &self,
        after: Option<DeviceId>,
        max: usize,
    ) -> Result<Vec<ClaimRow>, ReadError> {
        self.0.claims(after, max).await
    }
}

#[tokio::test]
async fn a_log_of_texts_gives_back_what_was_written() {
    let log = Texts(MemoryStore::new(Uuid::new_v4()));
    let inventory = MemoryInventory::new();
    inventory.put(devices(3));
    let start = async || {
        let hub = Hub::new();
        hub.add(&devices(3), "1.3.0", Play::Updates);
        let builder = Engine::builder()
            .store(Store::new(log.clone()))
            .transport(hub);
        builder.inventory(inventory.clone()).start().await.unwrap()
    };
    let engine = start().await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    within(campaign.finished()).await.unwrap();
    let all = TargetFilter::new().reason(TargetReason::Updated);
    let rows = campaign.targets(&all, None, 10).await.unwrap().rows;
    assert_eq!(rows.len(), 3);
    engine.shutdown().await.unwrap();

    let engine = start().await;
    let campaign = engine.campaign(campaign.id()).await.unwrap();
    let read = campaign.targets(&all, None, 10).await.unwrap().rows;
    let recorded = |row: &sortie::TargetRow| (row.device.clone(), row.operation, row.ended_at);
    assert!(read.iter().map(recorded).eq(rows.iter().map(recorded)));
    assert_eq!(engine.declare(catalog()).await.unwrap(), 0);
}
