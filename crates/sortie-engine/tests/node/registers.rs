//! What is written again, and what is not (rules W).

use std::time::Duration;

use sortie_core::{CatalogEvent, Event, StreamId, campaign::CampaignEvent};
use sortie_engine::node::NodeInput;
use sortie_ports::Delivery;
use sortie_protocol::{Generation, Request, Status};

use crate::bed::{Bed, device};

const SECOND: Duration = Duration::from_secs(1);

/// A device is born each second, and knows more each time than it was ever told.
fn knows_more_and_more(bed: &mut Bed, seconds: u64) {
    for _ in 0..seconds {
        let rows = bed.store.claims_now().into_iter();
        let number = rows.map(|row| row.number).max().unwrap_or(0);
        bed.born(1, Some(Generation(4 * (number + 3))), true);
        bed.pass(SECOND);
    }
}

fn raised(bed: &Bed, stream: StreamId) -> usize {
    let log = bed.log(stream);
    let raises = log.iter().filter(|event| {
        matches!(
            event,
            Event::Catalog(CatalogEvent::DeviceClaimRaised { .. })
                | Event::Campaign(CampaignEvent::ClaimRaised { .. })
        )
    });
    raises.count()
}

#[test]
fn w5_a_device_cant_make_the_log_grow_without_end() {
    let mut bed = Bed::new(1);
    let catalog = StreamId::Catalog;
    knows_more_and_more(&mut bed, 1);
    assert_eq!(raised(&bed, catalog), 1, "the first is exceeded at once");
    // After 1, 2, 4 … 512 s, then every 10 min.
    knows_more_and_more(&mut bed, 2 * 3_600);
    let raises = raised(&bed, catalog);
    assert!((18..=22).contains(&raises), "{raises}");
    // An hour of peace.
    let number = bed.store.claims_now()[0].number;
    bed.born(1, Some(Generation(4 * number + 3)), false);
    bed.pass(Duration::from_mins(70));
    knows_more_and_more(&mut bed, 3);
    assert!(raised(&bed, catalog) >= raises + 2, "as at first");
}

#[test]
fn w5_a_held_claim_is_raised_no_more_often() {
    let mut bed = Bed::new(1);
    bed.online(1);
    let a = bed.campaign("a");
    bed.says(1, None, bed.operation(1), Status::Downloading);
    knows_more_and_more(&mut bed, 600);
    let raises = raised(&bed, a);
    assert!((8..=11).contains(&raises), "{raises}");
}

#[test]
fn p5_a_refused_cancel_holds_up_nobody_and_is_written_again_at_the_next_reconnect() {
    let mut bed = Bed::new(2);
    let a = bed.campaign("a");
    bed.online(1);
    bed.delivery = Delivery::Refused("no".into());
    let cancels = |bed: &Bed| {
        let written = bed.written.iter();
        let cancels = written.filter(|request| matches!(request.body, Request::Cancel { .. }));
        cancels.count()
    };
    bed.pass(Duration::from_mins(7));
    assert_eq!((bed.progress(a).abandoned, cancels(&bed)), (1, 1));
    bed.pass(Duration::from_hours(1));
    assert_eq!(cancels(&bed), 1, "not before");
    bed.input(NodeInput::Link(false));
    bed.input(NodeInput::Link(true));
    assert_eq!(cancels(&bed), 2);
    bed.delivery = Delivery::Sent;
    bed.online(2);
    assert_eq!(bed.written.last().unwrap().device, device(2));
}
