//! The auto-traits that the documentation promises, checked when this is compiled.

use std::fmt::{Debug, Display};

use futures_util::Stream;
use serde::{Serialize, de::DeserializeOwned};
use sortie::{
    Artifact, BaseImageId, CampaignHandle, CampaignId, Catalog, ChannelId, Clock, CollectionId,
    Command, CommandError, CommandId, Device, DeviceId, Driver, Engine, EngineBuilder, EventStore,
    Fatal, GroupId, Health, Inventory, MemoryInventory, MemoryStore, NewCampaign, NewManualUpdate,
    OperationHandle, OperationId, OperationWatch, Preview, Progress, Push, QueryError, StartError,
    Stopped, SystemModelId, Transport, Watch,
};

fn handle<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
fn sent<T: Debug + Send + 'static>() {}
fn port<T: ?Sized + Debug + Send + Sync + 'static>() {}
fn value<T: Clone + Debug + Send + Sync + 'static>() {}
fn id<
    T: Clone + Ord + std::hash::Hash + Serialize + DeserializeOwned + std::str::FromStr + Display,
>() {
}
fn serde<T: Serialize + DeserializeOwned>() {}
fn answer<T: Clone + Send + Display + Serialize>() {}
fn stream<T: Stream<Item = Progress> + Unpin>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn the_auto_traits_are_as_promised() {
    handle::<Engine>();
    handle::<CampaignHandle>();
    handle::<OperationHandle>();
    handle::<MemoryStore>();
    handle::<MemoryInventory>();
    sent::<EngineBuilder>();
    sent::<Driver>();
    sent::<Command<()>>();
    sent::<Command<CampaignHandle>>();
    sent::<Watch>();
    sent::<OperationWatch>();
    stream::<Watch>();
    port::<dyn EventStore>();
    port::<dyn Inventory>();
    port::<dyn Transport>();
    port::<dyn Clock>();
    value::<Catalog>();
    value::<Device>();
    value::<Artifact>();
    serde::<Artifact>();
    serde::<Catalog>();
    serde::<Device>();
    serde::<NewCampaign>();
    serde::<NewManualUpdate>();
    serde::<Push>();
    value::<NewCampaign>();
    value::<Push>();
    value::<Stopped>();
    id::<CampaignId>();
    id::<OperationId>();
    id::<CommandId>();
    id::<DeviceId>();
    id::<ChannelId>();
    id::<GroupId>();
    id::<SystemModelId>();
    id::<CollectionId>();
    id::<BaseImageId>();
    answer::<Health>();
    answer::<Preview>();
    answer::<Progress>();
    error::<CommandError>();
    error::<QueryError>();
    error::<StartError>();
    error::<Fatal>();
    error::<sortie::Error>();
}

#[test]
fn the_futures_of_an_engine_can_be_spawned() {
    fn spawned(_: impl Future + Send + 'static) {}
    fn all(builder: EngineBuilder, engine: Engine, campaign: CampaignHandle, driver: Driver) {
        let new = crate::pilot();
        spawned(builder.start());
        spawned(driver.run());
        spawned(engine.declare(Catalog::new()).into_future());
        spawned(async move {
            let _ = engine.preview(&new).await;
            let _ = engine.create_campaign(new).by("ada").await;
            let _ = engine.health().await;
            let _ = engine.shutdown().await;
            let _ = campaign.finished().await;
            let _ = campaign.watch().next().await;
            if let Ok(operation) = campaign.operation(&"gw".parse().unwrap()).await {
                let _ = operation.watch().next().await;
                let _ = operation.finished().await;
            }
        });
    }
    // That it compiles is the test.
    let _ = all;
}

#[cfg(feature = "sqlite")]
#[test]
fn the_auto_traits_of_the_adapters_are_as_promised() {
    handle::<sortie::Sqlite>();
    error::<sortie::OpenError>();
    #[cfg(feature = "mqtt")]
    handle::<sortie::Mqtt>();
}

// That it compiles is the test: whatever fails in a `main`, `?` is enough.
#[expect(dead_code, reason = "it is compiled, not run")]
async fn the_sum_of_all_errors_takes_each() -> Result<(), sortie::Error> {
    #[cfg(feature = "sqlite")]
    sortie::Sqlite::open("sortie.db").await?.verify().await?;
    "2026-01-01T00:00:00Z".parse::<sortie::Timestamp>()?;
    r#""pilot" in tags"#.parse::<sortie::catalog::Selector>()?;
    ">= 1.0.0".parse::<sortie::catalog::VersionRequirement>()?;
    sortie::Report::from_json(b"{}")?;
    sortie::codec::decode(sortie::StreamId::Catalog, sortie::codec::SCHEMA, "[]")?;
    Ok(())
}
