//! What the slots remember, and its bytes.

/// Which operation an image or outcome belongs to: the caller's, in sortie the UUID of the OTA Operation.
pub type Tag = [u8; 16];

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotId {
    /// The first, which holds the factory image.
    A,
    /// The second.
    B,
}

impl SlotId {
    /// The slot that this one is not.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Length, in bytes.
    pub size: u32,
    /// SHA-256 of the image.
    pub sha256: [u8; 32],
    /// The operation that brought it.
    pub tag: Tag,
}

/// How far an image that was marked pending has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not booted.
    Pending,
    /// It was booted on trial this many times (at least once), and neither confirmed nor rejected itself.
    Trial(u8),
    /// The application on trial has rejected it, with this number of its own; the next boot goes back.
    Rejected(u8),
}

/// The image in the slot that is not active, from [`mark_pending`](crate::Slots::mark_pending) until
/// its [`Outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The image.
    pub image: Image,
    /// How far it has come.
    pub stage: Stage,
}

/// Why the boot went back to the old image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The new image booted and did not confirm itself: it crashed, hung, or lost power on its trial.
    TrialLimit,
    /// The new image's application rejected it, for instance because its health check failed, with this
    /// number of its own.
    Rejected(u8),
    /// The slot no longer held the image that was marked.
    DigestMismatch,
}

/// How an operation ended at the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The new image confirmed itself and is active.
    Confirmed,
    /// The old image is active again.
    RolledBack(Cause),
}

/// The end of the last operation that marked an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The operation.
    pub tag: Tag,
    /// How it ended.
    pub verdict: Verdict,
    /// The application has made the verdict its own; see [`told`](crate::Slots::told).
    pub told: bool,
}

/// All that is durable about the slots: one record's payload of 128 bytes, integers little-endian.
///
/// | bytes | content |
/// |---|---|
/// | 0 | active slot: 0 A, 1 B |
/// | 1 | stage of the candidate: 0 there is none, 1 pending, 2 trial, 3 rejected |
/// | 2 | trials counted |
/// | 3 | verdict: 0 none, 1 confirmed, rolled back: 2 trial limit, 3 rejected, 4 digest mismatch |
/// | 4 | 1 if the verdict was told, else 0 |
/// | 5 | number given with the candidate's rejection, else 0 |
/// | 6 | number given with the rejection that the verdict tells, else 0 |
/// | 7 | 0 |
/// | 8–59 | active image: size u32, SHA-256, tag |
/// | 60–111 | candidate: size u32, SHA-256, tag; 0 where there is none |
/// | 112–127 | tag of the verdict; 0 where there is none |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The slot that boots when there is no candidate. Its image is confirmed (or the factory's), always.
    pub active: SlotId,
    /// What the active slot holds.
    pub image: Image,
    /// What the other slot is to become.
    pub candidate: Option<Candidate>,
    /// How the last candidate ended.
    pub outcome: Option<Outcome>,
}

/// Length of an encoded [`State`], in bytes.
pub(crate) const ENCODED_LEN: usize = 128;
const IMAGE_LEN: usize = 52;

impl State {
    pub(crate) fn encode(&self) -> [u8; ENCODED_LEN] {
        let mut bytes = [0; ENCODED_LEN];
        bytes[0] = match self.active {
            SlotId::A => 0,
            SlotId::B => 1,
        };
        encode_image(&self.image, &mut bytes[8..60]);
        if let Some(candidate) = &self.candidate {
            (bytes[1], bytes[2], bytes[5]) = match candidate.stage {
                Stage::Pending => (1, 0, 0),
                Stage::Trial(count) => (2, count, 0),
                Stage::Rejected(number) => (3, 0, number),
            };
            encode_image(&candidate.image, &mut bytes[60..112]);
        }
        if let Some(outcome) = &self.outcome {
            (bytes[3], bytes[6]) = match outcome.verdict {
                Verdict::Confirmed => (1, 0),
                Verdict::RolledBack(Cause::TrialLimit) => (2, 0),
                Verdict::RolledBack(Cause::Rejected(number)) => (3, number),
                Verdict::RolledBack(Cause::DigestMismatch) => (4, 0),
            };
            bytes[4] = u8::from(outcome.told);
            bytes[112..].copy_from_slice(&outcome.tag);
        }
        bytes
    }

    /// Nothing if these are not the bytes of a state, which behind a good CRC only another format can be.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENCODED_LEN] = bytes.try_into().ok()?;
        let active = match bytes[0] {
            0 => SlotId::A,
            1 => SlotId::B,
            _ => return None,
        };
        let stage = match (bytes[1], bytes[2]) {
            (0, _) => None,
            (1, 0) => Some(Stage::Pending),
            (2, count @ 1..) => Some(Stage::Trial(count)),
            (3, 0) => Some(Stage::Rejected(bytes[5])),
            _ => return None,
        };
        let verdict = match bytes[3] {
            0 => None,
            1 => Some(Verdict::Confirmed),
            2 => Some(Verdict::RolledBack(Cause::TrialLimit)),
            3 => Some(Verdict::RolledBack(Cause::Rejected(bytes[6]))),
            4 => Some(Verdict::RolledBack(Cause::DigestMismatch)),
            _ => return None,
        };
        let candidate = match stage {
            Some(stage) => Some(Candidate {
                image: decode_image(&bytes[60..112])?,
                stage,
            }),
            None => None,
        };
        let outcome = match verdict {
            Some(verdict) => Some(Outcome {
                tag: bytes[112..].try_into().ok()?,
                verdict,
                told: bytes[4] == 1,
            }),
            None => None,
        };
        Some(Self {
            active,
            image: decode_image(&bytes[8..60])?,
            candidate,
            outcome,
        })
    }
}

fn encode_image(image: &Image, bytes: &mut [u8]) {
    bytes[..4].copy_from_slice(&image.size.to_le_bytes());
    bytes[4..36].copy_from_slice(&image.sha256);
    bytes[36..IMAGE_LEN].copy_from_slice(&image.tag);
}

fn decode_image(bytes: &[u8]) -> Option<Image> {
    let (size, rest) = bytes.split_first_chunk()?;
    let (sha256, tag) = rest.split_first_chunk()?;
    Some(Image {
        size: u32::from_le_bytes(*size),
        sha256: *sha256,
        tag: tag.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: u8) -> Image {
        Image {
            size: 1000 + u32::from(n),
            sha256: [n; 32],
            tag: [n + 1; 16],
        }
    }

    #[test]
    fn every_state_decodes_to_itself() {
        let stages = [
            Stage::Pending,
            Stage::Trial(1),
            Stage::Trial(255),
            Stage::Rejected(8),
        ];
        let candidates = stages.map(|stage| {
            Some(Candidate {
                image: image(7),
                stage,
            })
        });
        let verdicts = [
            Verdict::Confirmed,
            Verdict::RolledBack(Cause::TrialLimit),
            Verdict::RolledBack(Cause::Rejected(200)),
            Verdict::RolledBack(Cause::DigestMismatch),
        ];
        let outcomes = verdicts.map(|verdict| {
            Some(Outcome {
                tag: [9; 16],
                verdict,
                told: true,
            })
        });
        for active in [SlotId::A, SlotId::B] {
            for candidate in candidates.into_iter().chain([None]) {
                for outcome in outcomes.into_iter().chain([None]) {
                    let state = State {
                        active,
                        image: image(1),
                        candidate,
                        outcome,
                    };
                    assert_eq!(State::decode(&state.encode()), Some(state));
                }
            }
        }
    }

    #[test]
    fn bytes_of_no_state_decode_to_nothing() {
        let state = State {
            active: SlotId::A,
            image: image(1),
            candidate: None,
            outcome: None,
        }
        .encode();
        for (index, value) in [(0, 2), (1, 4), (3, 5)] {
            let mut bytes = state;
            bytes[index] = value;
            assert_eq!(State::decode(&bytes), None, "byte {index} as {value}");
        }
        assert_eq!(State::decode(&state[1..]), None);
    }
}
