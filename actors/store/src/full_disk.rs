//! Tests of a store whose disk is full: SQLite's own limit of pages stands for the disk.

use crate::test_support::{NOON, key, row};
use crate::{AuditQueue, Config, Store};
use arc_swap::ArcSwap;
use contract::caller::Scope;
use contract::message::{Lane, Msg};
use contract::store::{AddKey, AuditSink as _, ListKeys, ReadAudit, StoreHealth};
use runtime::{Context, Handle, Mailbox, Policy, Reply, world::World};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Sets how many pages the disk has room for.
struct Room(u32);

impl Msg for Room {
    type Reply = ();
    const NAME: &'static str = "Room";
}

impl Handle<Room> for Store {
    fn handle(&mut self, Room(pages): Room, _: &Context<Self>) -> Reply<()> {
        self.limit_pages(pages);
        Reply::Now(())
    }
}

const SOON: Duration = Duration::from_secs(5);

fn start(world: &World, path: &Path, queue: &Arc<AuditQueue>) -> Mailbox<Store> {
    let config = Arc::new(ArcSwap::from_pointee(Config { path: path.to_owned(), ..Config::default() }));
    let (queue, clock) = (Arc::clone(queue), Arc::clone(&world.clock));
    world.supervision.start(&world.thread(), "store", Policy::optional(), move || {
        Store::new(Arc::clone(&config), Arc::clone(&queue), Arc::clone(&clock) as _, NOON)
    })
}

async fn ask<M: Msg>(store: &Mailbox<Store>, message: M) -> M::Reply
where
    Store: Handle<M>,
{
    store.port::<M>(Lane::Interactive).ask(message, SOON).await.unwrap()
}

fn fill(queue: &AuditQueue, rows: usize) {
    (0..rows).for_each(|n| queue.record(row(&format!("row-{n}"))));
}

#[test]
fn what_is_stored_stays_readable_and_all_is_written_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let queue = Arc::new(AuditQueue::new(10_000));
        let store = start(world, &folder.path().join("haia.db"), &queue);
        ask(&store, AddKey(key("web", Scope::Read, "h"))).await.unwrap();
        ask(&store, Room(1)).await;

        fill(&queue, 2_000);
        let rows = ask(&store, ReadAudit { limit: 5000, ..Default::default() }).await.unwrap();
        assert_eq!(rows, [], "nothing of a batch that failed may be there");
        let report = ask(&store, StoreHealth).await;
        assert!(report.problem.as_ref().is_some_and(|text| text.contains("disk is full")), "{report:?}");
        assert_eq!((report.audit_waiting, report.audit_lost), (2_000, 0));

        let refused = ask(&store, AddKey(key("other", Scope::Read, "h2"))).await.unwrap_err();
        assert!(refused.0.contains("Free some space"), "{refused}");
        assert_eq!(ask(&store, ListKeys).await.unwrap().len(), 1, "keys must stay readable");

        ask(&store, Room(100_000)).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let report = ask(&store, StoreHealth).await;
        assert_eq!((report.problem, report.audit_waiting, report.audit_lost), (None, 0, 0));
        assert_eq!(ask(&store, ReadAudit { limit: 5000, ..Default::default() }).await.unwrap().len(), 2_000);
        ask(&store, AddKey(key("other", Scope::Read, "h2"))).await.unwrap();
        assert_eq!(store.stats().restarts(), 0);
    });
}

#[test]
fn a_disk_that_stays_full_loses_rows_in_the_end_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let queue = Arc::new(AuditQueue::new(10_000));
        let store = start(world, &folder.path().join("haia.db"), &queue);
        ask(&store, Room(1)).await;
        fill(&queue, 2_000);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let report = ask(&store, StoreHealth).await;
        assert_eq!((report.audit_waiting, report.audit_lost), (2_000, 0), "two minutes are no reason to lose rows");
        tokio::time::sleep(Duration::from_secs(300)).await;
        let report = ask(&store, StoreHealth).await;
        assert_eq!((report.audit_waiting, report.audit_lost), (0, 2_000));
        assert_eq!(store.stats().restarts(), 0);
    });
}
