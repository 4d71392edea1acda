//! What the device says of itself (A2's `behind`, A11).

use alloc::string::String;

use sortie_protocol::{Birth, Presence};

use super::Agent;
use crate::ports::Millis;

/// The first wait before a birth is published again, and the longest.
const REBIRTH_MIN: u64 = 500;
const REBIRTH_MAX: u64 = 60_000;

impl Agent {
    pub(super) fn birth(&self, session: String) -> Birth {
        Birth {
            session,
            generation: Some(self.record.generation),
            behind: self.wire.behind,
            base_image: self.identity.base_image.clone(),
            system_model: self.identity.system_model.clone(),
        }
    }

    /// The register holds what an engine wrote that has missed something: say so.
    pub(super) fn fall_behind(&mut self) {
        self.wire.behind = true;
        self.wire.birth = true;
    }

    /// The register is in order again; the retained birth must not claim otherwise.
    pub(super) fn catch_up(&mut self) {
        self.wire.birth |= self.wire.behind;
        self.wire.behind = false;
    }

    /// Another session in the own presence, such as a late will, hides this one (A11).
    pub(super) fn own_presence(&mut self, presence: &Presence, now: Millis) {
        let Some(session) = &self.wire.session else {
            return;
        };
        let own = matches!(presence, Presence::Online(birth) if birth.session == *session);
        if own {
            // The newest of the register is ours again.
            self.wire.rebirth_at = None;
            return;
        }
        if self.wire.birth || self.wire.rebirth_at.is_some() {
            return;
        }
        // Jitter without randomness: the session is random.
        let spread = session
            .bytes()
            .fold(u64::from(self.wire.rebirths), |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(byte.into())
            });
        let longest = (REBIRTH_MIN << self.wire.rebirths.min(16)).min(REBIRTH_MAX);
        let wait = longest / 2 + spread % (longest / 2);
        self.wire.rebirths = self.wire.rebirths.saturating_add(1);
        self.wire.rebirth_at = Some(Millis(now.0.saturating_add(wait)));
    }

    pub(super) fn rebirth(&mut self, now: Millis) {
        if self.wire.rebirth_at.is_some_and(|at| now >= at) {
            self.wire.rebirth_at = None;
            self.wire.birth = true;
        }
    }
}
