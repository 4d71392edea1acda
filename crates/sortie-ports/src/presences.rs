//! What waits of one device's presence.

use sortie_protocol::Presence;

/// How many ends wait at most without a birth before them: who ends more sessions than it begins makes
/// noise.
const ENDS_MAX: usize = 4;

/// The presences of one device that wait, oldest first: as few as lead to the same as all that were
/// heard (B2).
///
/// - A birth makes all before it worthless.
/// - After a birth only the end of its own session counts; the late end of an older one is ignored.
/// - Without a birth it is not known here which session is the current one: the ends of several wait.
#[derive(Debug, Default)]
pub(crate) struct Presences(Vec<Presence>);

impl Presences {
    /// Adds what was heard. Answers whether something that may have counted was dropped for it.
    pub(crate) fn hear(&mut self, presence: Presence) -> bool {
        let Presence::Offline { session, .. } = &presence else {
            self.0 = vec![presence];
            return false;
        };
        if let Some(Presence::Online(birth)) = self.0.first()
            && birth.session != *session
        {
            return false;
        }
        let of_session =
            |end: &Presence| matches!(end, Presence::Offline { session: s, .. } if s == session);
        self.0.retain(|waiting| !of_session(waiting));
        self.0.push(presence);
        let too_many = self.0.len() > ENDS_MAX;
        if too_many {
            self.0.remove(0);
        }
        too_many
    }

    /// What waits, oldest first.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = Presence> {
        self.0.into_iter()
    }
}
