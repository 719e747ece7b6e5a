//! The whole notifier over real sockets and in real time, with receivers that misbehave in every way that is over soon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use arc_swap::ArcSwap;
use contract::alerts::Severity;
use contract::message::Lane;
use contract::notify::{Deliver, DeliveryState, Notice, NoticeKind, OutboxRow, TestChannel};
use contract::store::{AddToOutbox, FindDelivered, KeepDeliveries, LoadOutbox, LoadStates, ReadDeadLetters};
use notifier::wire::open_network;
use notifier::{Config, Notifier, Ports};
use runtime::{Mailbox, Policy, Port, Supervision, SystemClock, SystemIds};
use sim_receivers::{Discord, Fault, Recorder, Server, Telegram};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Only failures reach it.
const DEADLINE: Duration = Duration::from_secs(60);

type Rows = Arc<Mutex<BTreeMap<Arc<str>, OutboxRow>>>;

fn ports(rows: &Rows) -> Ports {
    let of = || Arc::clone(rows);
    let (adding, loading, keeping, finding) = (of(), of(), of(), of());
    Ports {
        clock: Arc::new(SystemClock::real()),
        ids: Arc::new(SystemIds),
        transport: open_network(),
        add: Port::scripted("store", move |add: AddToOutbox| {
            adding.lock().unwrap().extend(add.0.into_iter().map(|row| (Arc::clone(&row.id), row)));
            Ok(())
        }),
        load: Port::scripted("store", move |_: LoadOutbox| {
            Ok(loading.lock().unwrap().values().filter(is_open).cloned().collect())
        }),
        keep: Port::scripted("store", move |keep: KeepDeliveries| {
            let mut rows = keeping.lock().unwrap();
            for news in keep.news {
                let row = rows.get_mut(&news.id).unwrap();
                (row.state, row.attempts, row.remote_id) = (news.state, news.attempts, news.remote_id);
            }
            rows.extend(keep.rows.into_iter().map(|row| (Arc::clone(&row.id), row)));
            Ok(())
        }),
        find: Port::scripted("store", move |find: FindDelivered| {
            let rows = finding.lock().unwrap();
            let is_asked = |row: &&OutboxRow| {
                row.channel == find.channel && row.notice.thread == find.thread && row.state == DeliveryState::Sent
            };
            Ok(rows.values().filter(is_asked).cloned().collect())
        }),
        dead: Port::scripted("store", |_: ReadDeadLetters| Ok(Vec::new())),
        states: Port::scripted("store", |_: LoadStates| Ok(Vec::new())),
        desk: Arc::default(),
        timezone: "UTC".into(),
    }
}

fn is_open(row: &&OutboxRow) -> bool {
    matches!(row.state, DeliveryState::Queued | DeliveryState::Sending)
}

fn notice(number: u32) -> Notice {
    Notice {
        id: format!("n{number}").into(),
        kind: NoticeKind::Opened,
        severity: Severity::Warning,
        thread: format!("t{number}").into(),
        title: format!("mark-{number:02} is <odd> & *bold*"),
        members: Vec::new(),
        more: 0,
        text: None,
        buttons: Vec::new(),
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        timezone: "UTC".into(),
        request_id: "r".into(),
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} never came");
}

struct Receivers {
    telegram: Server<Telegram>,
    discord: Server<Discord>,
    hook: Server<Recorder>,
}

impl Receivers {
    fn start() -> Self {
        Self {
            telegram: Server::start(Telegram::new("1:token")).unwrap(),
            discord: Server::start(Discord::new("/api/webhooks/1/token")).unwrap(),
            hook: Server::start(Recorder::default()).unwrap(),
        }
    }

    fn notifier(&self, rows: &Rows) -> Mailbox<Notifier> {
        let config = format!(
            r#"{{"telegram":{{"kind":"telegram","bot_token":"1:token","chat_id":"7","api_base":"{}"}},
                "discord":{{"kind":"discord","webhook_url":"{}/api/webhooks/1/token"}},
                "hook":{{"kind":"webhook","url":"{}/hook"}}}}"#,
            self.telegram.url(),
            self.discord.url(),
            self.hook.url()
        );
        let config: Config = serde_json::from_str(&config).unwrap();
        let factory = Notifier::factory(Arc::new(ArcSwap::from_pointee(config)), ports(rows));
        let supervision = Supervision::new(|event| panic!("{event:?}"));
        supervision.start(&actix_rt::Arbiter::current(), "notifier", Policy::optional(), factory)
    }
}

#[test]
fn everything_arrives_in_order_whatever_the_receivers_do() {
    actix_rt::System::new().block_on(async {
        let receivers = Receivers::start();
        let faults = [Fault::Status(502), Fault::Reset, Fault::Limited(1.0), Fault::Garbage, Fault::Cut];
        receivers.discord.sim().faults.extend(faults.clone());
        receivers.hook.sim().faults.extend(faults);
        receivers.telegram.sim().faults.extend([Fault::Limited(1.0), Fault::Lost]);
        let rows = Rows::default();
        let notifier = receivers.notifier(&rows);
        let deliver = notifier.port::<Deliver>(Lane::Interactive);
        for number in 0..4 {
            deliver.ask(Deliver { notice: notice(number), channels: Vec::new() }, DEADLINE).await.unwrap().unwrap();
        }
        until("the last row", || !rows.lock().unwrap().values().any(|row| is_open(&row))).await;
        assert!(rows.lock().unwrap().values().all(|row| row.state == DeliveryState::Sent));
        let marks = |texts: Vec<String>| {
            let mut marks: Vec<String> =
                texts.iter().filter_map(|text| Some(text[text.find("mark-")?..][..7].to_owned())).collect();
            marks.dedup();
            marks
        };
        let expected = ["mark-00", "mark-01", "mark-02", "mark-03"];
        let telegram = receivers.telegram.sim();
        assert_eq!(marks(telegram.receiver.messages.iter().map(|message| message.text.clone()).collect()), expected);
        let discord = receivers.discord.sim();
        assert_eq!(
            marks(discord.receiver.messages.iter().map(sim_receivers::DiscordMessage::text).collect()),
            expected
        );
        let hook = receivers.hook.sim();
        assert_eq!(hook.receiver.keys().len() + 1, 4, "200 is all that is asked of a program, whatever it says");
        assert_eq!((&telegram.violations, &discord.violations, &hook.violations), (&vec![], &vec![], &vec![]));
    });
}

#[test]
fn a_test_goes_through_at_once() {
    actix_rt::System::new().block_on(async {
        let receivers = Receivers::start();
        let notifier = receivers.notifier(&Rows::default());
        let test = notifier.port::<TestChannel>(Lane::Interactive);
        let told = test.ask(TestChannel { channel: "telegram".into() }, DEADLINE).await.unwrap().unwrap();
        assert!(told.starts_with("telegram: sent in ") && told.ends_with("message 1"), "{told}");
        assert_eq!(
            receivers.telegram.sim().receiver.messages[0].text.lines().next(),
            Some("🔵 Test from HAIA: this channel works")
        );
    });
}
