//! Rolls a release out to 40 simulated units over TCP: `cargo run -p sortie-units`.

use sortie::{
    Artifact, CampaignOutcome, Engine, MemoryStore, Sha256, TargetFilter, TargetStatus, Uuid,
};
use sortie_units::{Hub, Mac, Release, Unit, Units, roll_out, simulated::Simulated};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let units = Units::default();
    let hub = Hub::new(units.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let accept = hub.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hub = accept.clone();
            tokio::spawn(async move {
                if let Err(error) = hub.serve(stream).await {
                    eprintln!("a connection ended: {error}");
                }
            });
        }
    });
    for n in 1..=40 {
        let mac = Mac([0x02, 0, 0, 0, 0, n]);
        let (model, site) = ("unit-r1".into(), "field".into());
        units.put(Unit { mac, model, site });
        let simulated = Simulated {
            mac,
            version: "2.0.7".into(),
            holds: n != 13, // one of 40 is less than 5 %
            result: None,
        };
        tokio::spawn(simulated.run(address));
    }

    let engine = Engine::builder()
        .store(MemoryStore::new(Uuid::new_v4())) // a service keeps its log: `Sqlite::open`
        .inventory(units)
        .transport(hub)
        .start()
        .await?;
    let release = Release {
        version: "2.1.0".into(),
        // What the units download is not looked at here.
        artifact: Artifact::new("http://127.0.0.1/unit-2.1.0.bin", 65_536, Sha256([7; 32])),
    };
    let campaign = roll_out(engine.clone(), &release).await?;
    let mut progress = campaign.watch();
    while let Some(now) = progress.next().await {
        println!("{now}");
    }
    // Whom to look after, and why.
    let failed = TargetFilter::new().status(TargetStatus::Failed);
    for row in campaign.targets(&failed, None, 10).await?.rows {
        println!("{}", campaign.explain(&row.device).await?);
    }
    engine.shutdown().await?;
    match progress.latest().outcome {
        Some(CampaignOutcome::Success) => Ok(()),
        outcome => Err(format!("the roll-out ended with {outcome:?}").into()),
    }
}
