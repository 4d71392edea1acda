//! The event log as the loop uses it: one append at a time, and whether it is there.

use std::sync::Arc;

use sortie_core::{StreamId, Timestamp};
use sortie_ports::{Append, AppendError, EventStore, Page, ReadError, Version};

use super::guard::unpanicked;
use crate::text::full_text;

/// About how many events a read asks for.
const READ_EVENTS: usize = 4_096;

/// Answers to an append, by stream.
pub(super) type Appended = Vec<(StreamId, Result<Version, AppendError>)>;

/// Appends a batch. Each is answered: a store that panics or answers too little may have written.
pub(super) async fn append(store: Arc<dyn EventStore>, batch: Vec<Append>) -> Appended {
    let streams: Vec<StreamId> = batch.iter().map(|append| append.stream).collect();
    let answers = unpanicked(async { store.append(batch).await }).await;
    let (answers, why) = match answers {
        Ok(answers) => (answers, "the store gave too few answers".to_owned()),
        Err(panic) => {
            tracing::error!("the store panicked in an append: {panic}");
            (vec![], format!("the store panicked: {panic}"))
        }
    };
    let mut answers = answers.into_iter();
    let answer = || {
        let unknown = || Err(AppendError::Unknown(why.clone().into()));
        answers.next().unwrap_or_else(unknown)
    };
    let answered: Vec<_> = std::iter::repeat_with(answer).take(streams.len()).collect();
    streams.into_iter().zip(answered).collect()
}

/// Reads a page of a stream.
pub(super) async fn read(
    store: &dyn EventStore,
    stream: StreamId,
    after: Version,
) -> Result<Page, ReadError> {
    match unpanicked(async { store.read(&stream, after, READ_EVENTS).await }).await {
        Ok(page) => page,
        Err(panic) => {
            tracing::error!("the store panicked in a read: {panic}");
            let why = format!("the store panicked: {panic}");
            Err(ReadError::Unavailable(why.into()))
        }
    }
}

/// Whether the log is there, by its last answer.
#[derive(Debug)]
pub(super) struct Store {
    since: Timestamp,
    /// Why it is away.
    away: Option<String>,
}

impl Store {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            away: None,
        }
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// Why it is away, if it is.
    pub(super) fn away(&self) -> Option<&str> {
        self.away.as_deref()
    }

    /// Takes note of answers; says whether it went away just now.
    pub(super) fn appended(&mut self, answers: &Appended, now: Timestamp) -> bool {
        let trouble = answers.iter().find_map(|(_, answer)| match answer {
            Err(error @ (AppendError::Unknown(_) | AppendError::Unavailable(_))) => {
                Some(full_text(error))
            }
            _ => None,
        });
        // One that got through says that the store is there.
        let through = answers.iter().any(|(_, answer)| answer.is_ok());
        self.note(trouble.filter(|_| !through), now)
    }

    /// Takes note of an answer; says whether it went away just now.
    pub(super) fn read(&mut self, answer: &Result<Page, ReadError>, now: Timestamp) -> bool {
        let trouble = match answer {
            Err(error @ ReadError::Unavailable(_)) => Some(full_text(error)),
            _ => None,
        };
        self.note(trouble, now)
    }

    fn note(&mut self, trouble: Option<String>, now: Timestamp) -> bool {
        let went = trouble.is_some() && self.away.is_none();
        if trouble.is_some() != self.away.is_some() {
            self.since = now;
            if let Some(why) = &trouble {
                tracing::warn!("the event log is away: {why}");
            } else {
                tracing::info!("the event log is there again");
            }
        }
        self.away = trouble;
        went
    }
}

#[cfg(test)]
mod tests {
    use sortie_ports::async_trait;
    use uuid::Uuid;

    use super::*;

    /// Answers an append as it is told to.
    #[derive(Debug)]
    struct Scripted(fn() -> Vec<Result<Version, AppendError>>);

    #[async_trait]
    impl EventStore for Scripted {
        async fn log_id(&self) -> Result<Uuid, ReadError> {
            Ok(Uuid::nil())
        }
        async fn append(&self, _: Vec<Append>) -> Vec<Result<Version, AppendError>> {
            (self.0)()
        }
        async fn read(&self, _: &StreamId, _: Version, _: usize) -> Result<Page, ReadError> {
            panic!("no page")
        }
        async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
            Ok(vec![])
        }
        async fn claims(
            &self,
            _: Option<sortie_core::DeviceId>,
            _: usize,
        ) -> Result<Vec<sortie_core::ClaimRow>, ReadError> {
            Ok(vec![])
        }
    }

    fn batch() -> Vec<Append> {
        let append = Append {
            stream: StreamId::Catalog,
            expected: 0,
            epoch: 1,
            at: Timestamp(0),
            commands: vec![],
            events: vec![],
            claims: vec![],
        };
        vec![append.clone(), append]
    }

    #[tokio::test]
    async fn an_append_that_the_store_does_not_answer_may_have_happened() {
        let few = append(Arc::new(Scripted(|| vec![Ok(7)])), batch()).await;
        assert!(matches!(
            few[..],
            [(_, Ok(7)), (_, Err(AppendError::Unknown(_)))]
        ));
        let none = append(Arc::new(Scripted(|| panic!("disk"))), batch()).await;
        let unknown = |(_, answer): &(_, Result<_, AppendError>)| matches!(answer, Err(AppendError::Unknown(why)) if why.to_string().contains("disk"));
        assert!(none.len() == 2 && none.iter().all(unknown));
        let page = read(&Scripted(Vec::new), StreamId::Catalog, 0).await;
        assert!(matches!(page, Err(ReadError::Unavailable(_))));
    }

    #[test]
    fn the_log_is_away_from_the_first_failure_to_the_first_answer() {
        let mut store = Store::new(Timestamp(1));
        let unavailable = || Err(AppendError::Unavailable("full".into()));
        let failed = vec![(StreamId::Catalog, unavailable())];
        assert!(
            store.appended(&failed, Timestamp(2)),
            "it went away just now"
        );
        assert!(
            !store.appended(&failed, Timestamp(3)),
            "it was away already"
        );
        assert_eq!(store.since(), Timestamp(2));
        assert!(store.away().is_some_and(|why| why.contains("full")));
        store.read(&Ok(Page::default()), Timestamp(4));
        assert_eq!((store.since(), store.away()), (Timestamp(4), None));
    }
}
