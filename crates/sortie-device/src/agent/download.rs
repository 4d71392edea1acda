//! The download of the operation under way (A12), into what the slot holds already.

use alloc::{
    format,
    string::{String, ToString},
};

use sortie_protocol::{Reason, StatusCode};

use super::{
    Agent, Effect,
    operation::Phase,
    record::{ETAG_BYTES_MAX, Failure, is_plain},
};
use crate::ports::{DownloadError, Fetch, Millis, millis};

/// The journal is written about this many times during a download.
const CHECKPOINTS: u64 = 32;

impl Agent {
    /// Goes on with what the slot holds.
    pub(super) fn resume(&mut self, held: u64, now: Millis) {
        self.work.held = held;
        let Some(current) = &self.record.current else {
            return;
        };
        if current.verified || held >= current.size && !self.work.whole {
            self.next.push(Effect::Verify { size: current.size });
            self.enter(Phase::Verifying, now);
            return;
        }
        let offset = if self.work.whole { 0 } else { held };
        self.next.push(Effect::Fetch {
            fetch: Fetch {
                url: current.url.clone(),
                offset,
                etag: current.etag.clone().filter(|_| offset > 0),
            },
            size: current.size,
            held,
        });
        self.enter(Phase::Fetching, now);
    }

    pub(super) fn answered(
        &mut self,
        offset: u64,
        total: Option<u64>,
        etag: Option<String>,
        now: Millis,
    ) {
        let (Phase::Fetching, Some(current)) = (self.work.phase, &mut self.record.current) else {
            return;
        };
        if let Some(total) = total.filter(|total| *total != current.size) {
            let message = format!("{total} bytes, not {}", current.size);
            let (code, reason) = (StatusCode::InvalidBaseImage, Reason::SizeMismatch);
            return self.fail(&Failure::because(code, reason, message));
        }
        let etag =
            etag.filter(|tag| tag.len() <= ETAG_BYTES_MAX && is_plain(&tag.replace('"', "")));
        let asked = if self.work.whole { 0 } else { self.work.held };
        if offset == 0 {
            if current.etag != etag {
                current.etag = etag;
                self.unsaved = true;
            }
        } else if offset != asked {
            self.work.whole = true;
            self.trouble("the server sent another range", now);
        } else if etag.is_some() && current.etag.is_some() && etag != current.etag {
            // A server that does not heed If-Range: what is held is of another artifact.
            self.work.whole = true;
            self.trouble("the artifact has changed at the server", now);
        } else if !current.resumed {
            current.resumed = true;
            self.unsaved = true;
        }
    }

    pub(super) fn received(&mut self, now: Millis) {
        if self.work.phase != Phase::Fetching {
            return;
        }
        self.work.last_byte = now;
        self.work.failures = 0;
        if self.work.trouble.take().is_some() {
            self.report_changed(now);
        }
    }

    pub(super) fn differs(&mut self, offset: u64) {
        let (Phase::Fetching, Some(current)) = (self.work.phase, &mut self.record.current) else {
            return;
        };
        // Journaled before the page is erased: it is not certain any more.
        self.work.held = self.work.held.min(offset);
        if current.durable > offset {
            current.durable = offset;
            self.unsaved = true;
        }
    }

    pub(super) fn written(&mut self, end: u64, now: Millis) {
        let page = self.geometry.page.max(1);
        let (Phase::Fetching, Some(current)) = (self.work.phase, &mut self.record.current) else {
            return;
        };
        self.work.held = self.work.held.max(end.min(current.size));
        let step = current.size.div_ceil(CHECKPOINTS).next_multiple_of(page);
        let all = end >= current.size;
        if self.work.held > current.durable && (all || self.work.held - current.durable >= step) {
            current.durable = self.work.held;
            self.unsaved = true;
        }
        if all {
            self.work.whole = false;
            self.next.push(Effect::StopFetch);
            self.resume(self.work.held, now);
        }
    }

    pub(super) fn fetch_ended(&mut self, result: Result<(), DownloadError>, now: Millis) {
        if self.work.phase != Phase::Fetching {
            return;
        }
        match result {
            Ok(()) => self.trouble("the body ended early", now),
            Err(DownloadError::Network(why)) => self.trouble(&why, now),
            Err(error @ DownloadError::Range(_)) => {
                self.work.whole = true;
                self.trouble(&error.to_string(), now);
            }
            Err(DownloadError::Unsupported(why)) => {
                self.fail(&Failure::new(StatusCode::InvalidRequest, why));
            }
        }
    }

    /// Network trouble: told as recoverable, tried again with backoff, up to `give_up` (A12).
    fn trouble(&mut self, why: &str, now: Millis) {
        self.next.push(Effect::StopFetch);
        let Some(current) = &mut self.record.current else {
            return;
        };
        if current.durable < self.work.held {
            current.durable = self.work.held;
            self.unsaved = true;
        }
        if now >= self.work.last_byte.after(self.settings.give_up) {
            return self.fail(&Failure::new(StatusCode::NetworkError, why));
        }
        let until = Millis(now.0.saturating_add(self.backoff()));
        self.work.failures = self.work.failures.saturating_add(1);
        self.enter(Phase::Waiting { until }, now);
        if self.work.trouble.as_deref() != Some(why) {
            self.work.trouble = Some(why.into());
            self.report_changed(now);
        }
    }

    /// Doubles with each failure in a row; spread over its upper half by the operation's UUID,
    /// so that a fleet does not come back as one.
    fn backoff(&self) -> u64 {
        let factor = 1_u64 << self.work.failures.min(20);
        let min = millis(self.settings.backoff_min).max(1);
        let longest = min
            .saturating_mul(factor)
            .min(millis(self.settings.backoff_max).max(1));
        let current = self.record.current.as_ref();
        let spread = current.map_or(0, |current| current.operation.as_u64_pair().1 >> 20);
        longest - (spread.wrapping_add(factor) % (longest / 2 + 1))
    }
}
