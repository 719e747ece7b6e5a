//! A store that fails or is slow to come, and what may and may not be said meanwhile.

use crate::common::{Running, Shelf, config, me, pass, raised};
use Severity::Warning;
use bytes::Bytes;
use contract::alerts::{Acknowledge, ReceiveAlertmanager, Severity};
use contract::failure::FailureClass;
use contract::message::Msg;
use contract::notify::NoticeKind;
use contract::store::StoreError;
use runtime::world::World;
use runtime::{Context, Handle, Reply, Service};
use std::sync::{Arc, Mutex};

/// Makes the shelf readable after some seconds.
struct Healer(Arc<Mutex<Shelf>>);

struct Heal;

impl Msg for Heal {
    type Reply = ();
    const NAME: &'static str = "Heal";
}

impl Service for Healer {
    type Observed = ();
    fn observe(&self) {}
}

impl Handle<Heal> for Healer {
    fn handle(&mut self, _: Heal, context: &Context<Self>) -> Reply<()> {
        let shelf = Arc::clone(&self.0);
        context.spawn(async move {
            pass(3).await;
            shelf.lock().unwrap().unreadable = None;
        });
        Reply::Now(())
    }
}

fn broken(running: &Running, why: Option<&str>) {
    running.shelf.lock().unwrap().broken = why.map(str::to_owned);
}

#[test]
fn while_the_store_fails_decisions_are_kept_and_nobody_is_told() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        world.settle().await;
        broken(&running, Some("the disk is full"));
        let refused = running.report("guest_error", &[raised("guest_error", "a", Warning)]).await;
        assert_eq!(refused, Err(StoreError("the disk is full".to_owned())));
        pass(60).await;
        assert_eq!(running.told(), [""; 0], "durable before visible");
        // The same again changes nothing, and yet it is not stored.
        let again = running.report("guest_error", &[raised("guest_error", "a", Warning)]).await;
        assert!(again.is_err());
        let person = running.ask(Acknowledge { id: 99, by: me() }).await.unwrap_err();
        assert_eq!(person.class, FailureClass::NotFound);
        broken(&running, None);
        pass(35).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened]);
        assert_eq!(running.report("guest_error", &[raised("guest_error", "a", Warning)]).await, Ok(()));
        let events: Vec<String> =
            running.shelf.lock().unwrap().events.iter().map(|event| event.what.to_string()).collect();
        assert_eq!(events, ["opened", "told"], "each line once, in its order");
    });
}

#[test]
fn a_webhook_that_cannot_be_stored_is_to_be_sent_again() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        world.settle().await;
        broken(&running, Some("locked"));
        let body = Bytes::from_static(
            br#"{"version":"4","alerts":[{"status":"firing","fingerprint":"a","startsAt":"2026-03-01T11:00:00Z"}]}"#,
        );
        let refused = running.ask(ReceiveAlertmanager { body: body.clone(), by: me() }).await.unwrap_err();
        assert_eq!(refused.class, FailureClass::Overloaded);
        assert!(refused.retry_after.is_some() && refused.message.contains("locked"));
        broken(&running, None);
        assert_eq!(running.ask(ReceiveAlertmanager { body, by: me() }).await, Ok(1));
        pass(60).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened]);
    });
}

#[test]
fn nothing_is_decided_before_the_past_is_known() {
    World::run(async |world| {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        shelf.lock().unwrap().unreadable = Some("locked".to_owned());
        let running = Running::on(world, config("{}"), Arc::clone(&shelf));
        let refused = running.report("guest_error", &[raised("guest_error", "a", Warning)]).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("cannot be read")));
        assert_eq!(shelf.lock().unwrap().commits, 0);
        let healing = Arc::clone(&shelf);
        let healed = world
            .supervision
            .start(&world.thread(), "healer", runtime::Policy::default(), move || Healer(Arc::clone(&healing)));
        healed.port(contract::message::Lane::Control).tell(Heal).unwrap();
        let open = [raised("guest_error", "a", Warning)];
        assert_eq!(
            running.report("guest_error", &open).await,
            Ok(()),
            "what comes before is answered once the past is known"
        );
        pass(60).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened]);
    });
}

#[test]
fn a_store_that_is_away_for_hours_loses_nothing_and_floods_nobody() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        world.settle().await;
        broken(&running, Some("gone"));
        for hour in 0..6_u64 {
            let open: Vec<_> = (0..=hour).map(|n| raised("guest_error", &format!("g{n}"), Warning)).collect();
            let _ = running.report("guest_error", &open).await;
            pass(3600).await;
        }
        broken(&running, None);
        pass(60).await;
        let rows = running.shelf.lock().unwrap().rows.len();
        assert_eq!(rows, 12, "six alerts, two channels");
        assert_eq!(running.queued.lock().unwrap().len(), rows);
    });
}
