//! The inbox: what coalesces, and what must not.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use sortie_core::{DeviceId, Fleet};
use sortie_ports::{Heard, Inbox, InboxReader, inbox};
use sortie_protocol::{BaseImage, Birth, Presence, Uuid};

fn device() -> DeviceId {
    DeviceId::new("d").unwrap()
}

fn born(session: usize, version: usize) -> Presence {
    Presence::Online(Birth {
        session: format!("s{session}"),
        base_image: Some(BaseImage {
            version: format!("1.0.{version}"),
            ..BaseImage::default()
        }),
        ..Birth::default()
    })
}

fn ended(session: usize) -> Presence {
    Presence::Offline {
        session: format!("s{session}"),
        lost: false,
    }
}

fn connected() -> (InboxReader, Inbox) {
    let reader = inbox(Uuid::nil());
    let inbox = reader.connect();
    (reader, inbox)
}

fn drain(reader: &InboxReader) -> Vec<Presence> {
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(heard) = pin!(reader.take(100)).poll(&mut cx) else {
        return vec![];
    };
    let presences = heard.into_iter().filter_map(|heard| match heard {
        Heard::Presence(_, presence) => Some(presence),
        _ => None,
    });
    presences.collect()
}

/// What is known of the device: heard of, online, its session and version.
type Known = (bool, bool, String, Option<String>);

struct Table(Fleet);

impl Table {
    fn new() -> Self {
        let mut fleet = Fleet::default();
        fleet.link(true);
        fleet.slot(&device());
        Self(fleet)
    }

    fn hear(&mut self, presence: &Presence) {
        let slot = self.0.slot(&device());
        match presence {
            Presence::Online(birth) => self.0.online(slot, birth),
            Presence::Offline { session, .. } => {
                self.0.offline(slot, session);
            }
        }
    }

    fn known(&self) -> Known {
        let slot = self.0.find(&device()).unwrap();
        let device = self.0.device(slot);
        (
            self.0.is_heard(slot),
            self.0.is_online(slot),
            device.session().into(),
            device.version().map(|version| version.text.to_string()),
        )
    }
}

/// Every sequence of births and ends of three sessions, taken at any moments.
#[test]
fn b2_whenever_it_is_taken_what_is_known_of_a_device_is_what_was_heard() {
    const LENGTH: u32 = 5;
    for sequence in 0..6_usize.pow(LENGTH) {
        let word = |at: u32| match sequence / 6_usize.pow(at) % 6 {
            session @ 0..3 => born(session, at as usize),
            other => ended(other - 3),
        };
        let words: Vec<Presence> = (0..LENGTH).map(word).collect();
        let mut direct = Table::new();
        for word in &words {
            direct.hear(word);
        }
        for taken in 0..1_u32 << (LENGTH - 1) {
            let (reader, inbox) = connected();
            let mut table = Table::new();
            for (at, word) in words.iter().enumerate() {
                inbox.presence(&device(), word.clone());
                if taken >> at & 1 == 1 || at + 1 == words.len() {
                    for word in drain(&reader) {
                        table.hear(&word);
                    }
                }
            }
            assert_eq!(table.known(), direct.known(), "{words:?}, taken {taken:b}");
        }
    }
}

#[test]
fn b2_the_late_end_of_an_older_session_does_not_replace_a_birth_that_waits() {
    let (reader, inbox) = connected();
    inbox.presence(&device(), born(2, 0));
    inbox.presence(&device(), ended(1));
    assert_eq!(drain(&reader), [born(2, 0)]);
}

#[test]
fn what_waits_of_one_devices_presence_is_bounded() {
    let (reader, inbox) = connected();
    for session in 0..1_000 {
        inbox.presence(&device(), ended(session));
    }
    let waits = drain(&reader);
    assert_eq!((waits.len(), waits.last()), (4, Some(&ended(999))));
    assert_eq!(reader.dropped(), 996);
    for session in 0..1_000 {
        inbox.presence(&device(), born(session, 0));
        inbox.presence(&device(), ended(session));
        inbox.presence(&device(), ended(session));
    }
    assert_eq!(drain(&reader), [born(999, 0), ended(999)]);
    assert_eq!(reader.dropped(), 996);
}
