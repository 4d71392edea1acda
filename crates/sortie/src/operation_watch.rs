//! Following one operation.

use std::fmt;

use sortie_engine::node::Progress;
use tokio::sync::watch::Receiver;

use crate::{OperationHandle, QueryError, TargetRow};

/// Where an operation is: first the present, then the newest row after each change of it that was
/// committed (its device acknowledged it, downloads, it is being cancelled …); what came between is left
/// out. It ends with the outcome, with its campaign if that leaves the target idle or is halted, or
/// with the engine, which it keeps alive as the handle does.
#[must_use = "a watch shows nothing until it is polled"]
pub struct OperationWatch {
    operation: OperationHandle,
    progress: Receiver<Progress>,
    shown: Option<TargetRow>,
    over: bool,
}

impl OperationWatch {
    pub(crate) fn new(operation: OperationHandle, mut progress: Receiver<Progress>) -> Self {
        progress.mark_changed();
        Self {
            operation,
            progress,
            shown: None,
            over: false,
        }
    }

    /// The next row; `None` at the end. May be dropped at any time: nothing is lost.
    pub async fn next(&mut self) -> Option<TargetRow> {
        let before = self.shown.clone();
        while !self.over {
            if self.look().await.is_err() {
                self.over = true;
                return None;
            }
            if self.shown != before {
                return self.shown.clone();
            }
        }
        None
    }

    /// The last row.
    pub(crate) async fn end(mut self) -> Result<TargetRow, QueryError> {
        loop {
            self.look().await?;
            if self.over
                && let Some(row) = self.shown.take()
            {
                return Ok(row);
            }
        }
    }

    /// Waits for a commit, the first time for none, and looks at where the operation is then.
    async fn look(&mut self) -> Result<(), QueryError> {
        // Taken over once the answer is there: this future may be dropped before.
        let mut progress = self.progress.clone();
        if progress.changed().await.is_err() {
            // Its sender has gone: with the engine, or with the campaign. The question says which.
            progress = self.operation.subscribe().await?;
        }
        let campaign_is_over = progress.borrow_and_update().is_over();
        let row = self.operation.target_patiently().await?;
        self.over = row.status.is_terminal() || campaign_is_over;
        self.shown = Some(row);
        self.progress = progress;
        Ok(())
    }
}

impl fmt::Debug for OperationWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationWatch")
            .field("shown", &self.shown)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
