//! The same seed gives the same order of things.

use std::time::Duration;

use sortie::{
    Commit, StatusCode,
    testing::{Bed, Play},
};

use crate::{add, my_app};

/// A run in which much goes wrong; all that its log holds.
async fn run(seed: u64) -> Vec<Commit> {
    let mut bed = Bed::start(seed).await.unwrap();
    add(&bed, 60);
    let mut asked = 0;
    bed.fleet().on_update(move |_| {
        asked += 1;
        match asked % 10 {
            0 => Play::Busy,
            7 if asked < 30 => Play::Fails {
                code: StatusCode::IOError,
                after: Duration::from_secs(asked),
            },
            n => Play::Succeeds(Duration::from_secs(60 + n)),
        }
    });
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(61)).await;
    bed.fleet().break_link("gone");
    bed.run_for(Duration::from_secs(100)).await;
    bed.fleet().mend_link();
    bed.run_for(Duration::from_secs(100)).await;
    bed.crash_in_append().await;
    bed.restart().await.unwrap();
    let campaign = bed.engine().campaign(campaign.id()).await.unwrap();
    bed.run(campaign.finished()).await.unwrap();
    let streams = bed.log().streams_now();
    let commits = streams.into_iter().flat_map(|stream| {
        let page = bed.log().read_now(stream, 0, usize::MAX);
        page.commits
    });
    commits.collect()
}

#[tokio::test]
async fn two_runs_of_a_seed_have_the_same_log_and_another_seed_has_another() {
    for seed in 0..3 {
        let (one, two) = (run(seed).await, run(seed).await);
        assert!(one.len() > 60, "{}", one.len());
        for (one, two) in one.iter().zip(&two) {
            assert_eq!(one, two, "seed {seed}");
        }
        assert_eq!(one.len(), two.len(), "seed {seed}");
        assert_ne!(one, run(seed + 100).await);
    }
}
