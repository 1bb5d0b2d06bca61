//! Many threads at once: a writer that never waits, readers of all paces, watchers that come and
//! go.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::support::{self, Ledger, Op, all_from, key};
use engram_watch::{Hub, Limits, WatchOutput};

const REVISIONS: i64 = 4000;
const DEADLINE: Duration = Duration::from_secs(60);

/// Reads until the last revision, and checks that none is missing.
async fn follow(mut output: WatchOutput, from: i64, pause_every: i64) {
    let mut next = from;
    while next <= REVISIONS {
        let answer = output.next().await.expect("history can be read");
        for event in answer.events.decode().expect("encoded events") {
            assert_eq!(event.kv.expect("a kv").mod_revision, next);
            next += 1;
            if next % pause_every == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Runs a future on a thread of its own, with a deadline.
fn on_a_thread(task: impl Future<Output = ()> + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime starts");
        runtime.block_on(async {
            tokio::time::timeout(DEADLINE, task).await.expect("done before the deadline");
        });
    })
}

fn follower(hub: &Hub, pause_every: i64) -> thread::JoinHandle<()> {
    let hub = hub.clone();
    on_a_thread(async move {
        let (control, output) = hub.open_stream();
        control.create(all_from(2)).await;
        follow(output, 2, pause_every).await;
    })
}

/// Opens and drops streams until all revisions are published.
fn restless(hub: &Hub) -> thread::JoinHandle<()> {
    let hub = hub.clone();
    on_a_thread(async move {
        while hub.published().0 < REVISIONS {
            let (control, mut output) = hub.open_stream();
            for start in [2, 0, REVISIONS] {
                control.create(all_from(start)).await;
                control.create(key("a")).await;
            }
            output.next().await.expect("created");
            control.progress().await;
            control.cancel(2).await;
            hub.tick_progress();
            hub.recheck();
        }
    })
}

#[test]
fn nobody_misses_anything_and_nobody_waits_for_ever() {
    let ledger = Arc::new(Ledger::default());
    let limits = Limits {
        queue_bytes_max: 4096,
        catch_up_revisions_max: 50,
        catch_up_bytes_max: 2000,
        ..Limits::default()
    };
    let hub = Hub::new(Arc::clone(&ledger) as Arc<dyn engram_watch::History>, limits);
    let mut threads: Vec<_> = [1, 7, 100, 5000].map(|pace| follower(&hub, pace)).into();
    threads.push(restless(&hub));
    let (stalled, stalled_output) = hub.open_stream();
    support::now(stalled.create(all_from(2))).expect("there is room");
    while ledger.current() < REVISIONS {
        let events = ledger.commit(&[Op::Put("a", vec![1; 20])]).expect("a change");
        hub.publish(&[events]);
    }
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    drop(stalled_output);
    let counters = hub.counters();
    assert_eq!((counters.streams, counters.watchers, counters.pending_bytes), (0, 0, 0));
}
