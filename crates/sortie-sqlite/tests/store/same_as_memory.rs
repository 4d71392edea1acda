//! The store answers as the one in memory, which is the reference.

use sortie_core::{
    Actor, CampaignEvent, CatalogEvent, ClaimChange, ClaimPhase, ClaimRow, CommandId, DeviceId,
    Event, OperationId, StreamId, TargetIndex, Timestamp,
};
use sortie_ports::{Append, AppendError, EventStore, MemoryStore, RecordedCommand, Version};
use sortie_sqlite::Sqlite;
use uuid::Uuid;

use crate::kit::{Random, append, campaign, event, fresh, wait};

const STREAMS: u64 = 4;
const DEVICES: u64 = 5;

#[test]
fn random_appends_are_answered_and_read_as_from_memory() {
    let mut tally = [0; 4];
    for seed in 0..60 {
        let (_folder, sqlite) = fresh();
        let memory = MemoryStore::new(Uuid::nil());
        let mut random = Random(seed);
        for step in 0..40 {
            let batch: Vec<Append> = (0..=random.below(4))
                .map(|_| any_append(&memory, &mut random))
                .collect();
            let expected = wait(memory.append(batch.clone()));
            let answers = wait(sqlite.append(batch));
            assert_eq!(
                format!("{answers:?}"),
                format!("{expected:?}"),
                "seed {seed}, step {step}"
            );
            for answer in &answers {
                tally[match answer {
                    Ok(_) => 0,
                    Err(AppendError::Conflict { .. }) => 1,
                    Err(AppendError::Fenced { .. }) => 2,
                    Err(_) => 3,
                }] += 1;
            }
        }
        assert_same(&memory, &sqlite, &mut random, seed);
        wait(sqlite.verify()).unwrap();
    }
    // Each kind of answer was among them, often.
    assert!(tally.iter().all(|count| *count > 200), "{tally:?}");
}

fn assert_same(memory: &MemoryStore, sqlite: &Sqlite, random: &mut Random, seed: u64) {
    assert_eq!(wait(sqlite.streams()).unwrap(), memory.streams_now());
    for n in 0..=STREAMS {
        let stream = stream(n);
        // Also from versions that are no commit's last, and past the end.
        for after in 0..30 {
            let max = usize::try_from(random.below(12)).unwrap();
            let page = wait(sqlite.read(&stream, after, max)).unwrap();
            let expected = memory.read_now(stream, after, max);
            assert_eq!(page, expected, "seed {seed}, {stream} after {after}");
        }
        let (mut after, mut read) = (0, vec![]);
        loop {
            let page = wait(sqlite.read(&stream, after, 3)).unwrap();
            let Some(last) = page.commits.last() else {
                break;
            };
            after = last.first + last.events.len() as Version - 1;
            read.extend(page.commits);
        }
        assert_eq!(read, memory.read_now(stream, 0, usize::MAX).commits);
    }
    let (mut after, mut claims) = (None, vec![]);
    loop {
        let page = wait(sqlite.claims(after, 2)).unwrap();
        let full = page.len() == 2;
        after = page.last().map(|row| row.device.clone());
        claims.extend(page);
        if !full {
            break;
        }
    }
    assert_eq!(claims, memory.claims_now(), "seed {seed}");
}

fn stream(n: u64) -> StreamId {
    if n == 0 {
        StreamId::Catalog
    } else {
        campaign(n.into())
    }
}

/// An append that mostly fits.
fn any_append(memory: &MemoryStore, random: &mut Random) -> Append {
    let stream = stream(random.below(STREAMS));
    let commits = memory.read_now(stream, 0, usize::MAX).commits;
    let (version, epoch) = commits.last().map_or((0, 0), |last| {
        (last.first + last.events.len() as Version - 1, last.epoch)
    });
    let expected = if random.one_in(8) {
        random.below(20)
    } else {
        version
    };
    let epoch = match random.below(10) {
        0 => epoch + 1,
        1 => epoch.saturating_sub(1),
        _ => epoch,
    };
    let commands = (0..random.below(3).saturating_sub(1)).map(|n| RecordedCommand {
        id: CommandId(Uuid::from_u64_pair(version, n)),
        actor: Actor::new("Zoë \"the\" operator\n"),
    });
    let claims = 0..random.below(4).saturating_sub(1);
    Append {
        stream,
        expected,
        epoch,
        at: Timestamp(random.below(1 << 42).cast_signed() - (1 << 40)),
        commands: commands.collect(),
        events: (0..=random.below(5))
            .map(|_| any_event(stream, random))
            .collect(),
        claims: claims.map(|_| any_claim(memory, stream, random)).collect(),
    }
}

fn any_event(stream: StreamId, random: &mut Random) -> Event {
    if stream == StreamId::Catalog {
        return Event::Catalog(CatalogEvent::DeviceClaimRaised {
            device: device(random),
            claim: random.below(u64::MAX),
        });
    }
    Event::Campaign(match random.below(4) {
        0 => CampaignEvent::TargetsAdded {
            devices: (0..random.below(4)).map(|_| device(random)).collect(),
        },
        1 => CampaignEvent::OwnerChanged {
            epoch: random.below(9),
            nonce: Uuid::from_u128(random.below(u64::MAX).into()),
        },
        2 => CampaignEvent::CampaignPausing,
        _ => CampaignEvent::OperationStarted {
            target: TargetIndex(u32::try_from(random.below(9)).unwrap()),
            claim: random.below(9),
            decided_on: Some("1.0.0-β'\"\\ \u{1F600}".into()),
            replaces: None,
        },
    })
}

/// A change of a claim that mostly fits.
fn any_claim(memory: &MemoryStore, stream: StreamId, random: &mut Random) -> ClaimChange {
    let device = device(random);
    let present = memory
        .claims_now()
        .into_iter()
        .find(|row| row.device == device);
    let known = present.as_ref().map(|row| (row.holder, row.number));
    let phase = [ClaimPhase::Held, ClaimPhase::Open, ClaimPhase::Free]
        [usize::try_from(random.below(3)).unwrap()];
    let operation = match &present {
        Some(row) if random.one_in(2) => row.operation,
        _ => OperationId(Uuid::from_u128(random.below(u64::MAX).into())),
    };
    // A holder is nearly always the stream itself, but need not be, nor have an event.
    let holder = if random.one_in(10) {
        self::stream(random.below(STREAMS + 1))
    } else {
        stream
    };
    let number = known.map_or(0, |(_, number)| number) + 1;
    ClaimChange {
        row: ClaimRow {
            device,
            number,
            holder,
            operation,
            phase,
        },
        expected: if random.one_in(6) {
            Some((stream, random.below(3)))
        } else {
            known
        },
    }
}

fn device(random: &mut Random) -> DeviceId {
    // Their order as bytes is not their order as a person would have it.
    let names = ["a", "B", "aa:00", "~", "A.9"];
    DeviceId::new(names[usize::try_from(random.below(DEVICES)).unwrap()]).unwrap()
}

#[test]
fn what_can_never_be_stored_is_refused_alone_and_nothing_of_it_is_written() {
    let (_folder, store) = fresh();
    let too_many = (0..70_000).map(event).collect();
    let mut too_late = append(campaign(3), 0, vec![event(1)]);
    too_late.epoch = u64::MAX;
    let mut too_high = append(campaign(4), 0, vec![event(1)]);
    let mut claim = crate::kit::take(campaign(4), "gw-1", u64::MAX);
    claim.row.phase = ClaimPhase::Free;
    too_high.claims.push(claim);
    let batch = vec![
        append(campaign(1), 0, vec![event(1)]),
        append(campaign(2), 0, too_many),
        too_late,
        too_high,
        append(campaign(5), 0, vec![]),
        append(campaign(6), u64::MAX, vec![event(1)]),
        append(campaign(1), 1, vec![event(2)]),
    ];
    let answers = wait(store.append(batch));
    let texts: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(version) => version.to_string(),
            Err(AppendError::Invalid(why)) => why.clone(),
            Err(other) => other.to_string(),
        })
        .collect();
    assert_eq!(
        texts,
        [
            "1",
            "an append of 70000 events, and the limit is 65536",
            "epoch 18446744073709551615 is out of range",
            "claim number 18446744073709551615 is out of range",
            "an append without an event",
            "the stream is at version 0, not at the expected one",
            "2",
        ]
    );
    assert_eq!(wait(store.streams()).unwrap(), [campaign(1)]);
    assert_eq!(wait(store.claims(None, 10)).unwrap(), []);
    assert_eq!(wait(store.verify()).unwrap().events, 2);
}
