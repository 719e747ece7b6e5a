//! From a decided alert to its receivers: nothing is lost while they fail and HAIA is killed, nothing is asked too early, and a healthy one is
//! told at once.

use crate::daemon::{Call, Daemon, Setup, eventually};
use crate::lookout::{Hook, alert, payload};
use crate::sim::{Format, Provider};
use serde_json::{Value, json};
use sim_receivers::{Discord, Fault, Receiver, Recorder, Server, Telegram};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// The bot's token.
const TOKEN: &str = "42:sim-bot-token";
/// Every alert is a message of its own.
const ONE_BY_ONE: &str = "[monitor.grouping]\nwait = \"0s\"\n[monitor.explain]\nenabled = false\n";

/// One receiver of each kind.
struct Receivers {
    telegram: Server<Telegram>,
    discord: Server<Discord>,
    ntfy: Server<Recorder>,
    gotify: Server<Recorder>,
    hook: Hook,
}

impl Receivers {
    fn start() -> Self {
        Self {
            telegram: Server::start(Telegram::new(TOKEN)).expect("a receiver on loopback"),
            discord: Server::start(Discord::new("/api/webhooks/1/sim")).expect("a receiver on loopback"),
            ntfy: Server::start(Recorder::default()).expect("a receiver on loopback"),
            // Gotify's own numbers are no texts.
            gotify: Server::start(Recorder { answer: json!({"id": 1}), ..Recorder::default() })
                .expect("a receiver on loopback"),
            hook: Hook::start(),
        }
    }

    fn section(&self) -> String {
        let (telegram, discord) = (self.telegram.url(), self.discord.url());
        let (ntfy, gotify) = (self.ntfy.url(), self.gotify.url());
        format!(
            "[notify.channels.telegram]\nkind = \"telegram\"\nbot_token = \"{TOKEN}\"\nchat_id = \"77\"\napi_base = \"{telegram}\"\n\
             [notify.channels.discord]\nkind = \"discord\"\nwebhook_url = \"{discord}/api/webhooks/1/sim\"\n\
             [notify.channels.ntfy]\nkind = \"ntfy\"\nurl = \"{ntfy}\"\ntopic = \"haia\"\n\
             [notify.channels.gotify]\nkind = \"gotify\"\nurl = \"{gotify}\"\ntoken = \"sim-gotify-token\"\n{}",
            self.hook.section()
        )
    }

    /// The texts that arrived, by channel, in order; of the webhook each delivery once.
    fn texts(&self) -> BTreeMap<&'static str, Vec<String>> {
        let telegram = self.telegram.sim().receiver.messages.iter().map(|message| message.text.clone()).collect();
        let discord = self.discord.sim().receiver.messages.iter().map(|message| message.text_of_all()).collect();
        let hook = self.hook.told().iter().map(|told| told.body.to_string()).collect();
        let (ntfy, gotify) = (bodies(&self.ntfy), bodies(&self.gotify));
        BTreeMap::from([
            ("telegram", telegram),
            ("discord", discord),
            ("ntfy", ntfy),
            ("gotify", gotify),
            ("hook", hook),
        ])
    }

    /// Everything is well again.
    fn heal(&self) {
        self.telegram.sim().outage = None;
        self.discord.sim().outage = None;
        for server in [&self.ntfy, &self.gotify, &self.hook.server] {
            server.sim().outage = None;
        }
    }

    fn violations(&self) -> Vec<String> {
        let mut violations = self.telegram.sim().violations.clone();
        violations.extend(self.discord.sim().violations.clone());
        for server in [&self.ntfy, &self.gotify, &self.hook.server] {
            violations.extend(server.sim().violations.clone());
        }
        violations
    }
}

fn bodies(server: &Server<Recorder>) -> Vec<String> {
    server.sim().receiver.records.iter().map(|record| record.request.json().to_string()).collect()
}

/// What a message says, embeds and their fields included.
trait AllText {
    fn text_of_all(&self) -> String;
}

impl AllText for sim_receivers::DiscordMessage {
    fn text_of_all(&self) -> String {
        self.body.to_string()
    }
}

/// Numbers without rhyme, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// What a receiver does next, and for how long. Nothing that is refused is taken.
fn weather<R: Receiver>(server: &Server<R>, dice: &mut Dice, may_hang: bool) -> Duration {
    let fault = match dice.below(if may_hang { 7 } else { 6 }) {
        0 => Some(Fault::Status(500)),
        1 => Some(Fault::Status(503)),
        2 => Some(Fault::Limited(2.0)),
        3 => Some(Fault::Reset),
        6 => Some(Fault::Hang),
        _ => None,
    };
    server.sim().outage = fault;
    Duration::from_millis(500 + dice.below(4000))
}

/// The names in a text: `Probe0017`.
fn names(text: &str) -> BTreeSet<String> {
    let parts = text.split("Probe").skip(1);
    parts
        .filter_map(|part| part.get(..4))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// Sends so many alerts within `span` while the receivers fail now and then, and kills HAIA so often. Then everything heals, and everything
/// must be there.
fn chaos(alerts: usize, kills: usize, span: Duration, may_hang: bool, patience: Duration) {
    let receivers = Receivers::start();
    let config = format!("{}{ONE_BY_ONE}", receivers.section());
    let setup = Setup::new().config(&config);
    let mut daemon = setup.start();
    let folder = daemon.folder();
    let again = Setup::new().config(&config).folder(folder);
    let mut dice = Dice(7);
    let moment = |dice: &mut Dice| span * u32::try_from(dice.below(1000)).unwrap_or(0) / 1000;
    let mut ends: Vec<Duration> = (0..kills).map(|_| moment(&mut dice)).collect();
    ends.sort();
    let mut ends: VecDeque<Duration> = ends.into();
    let mut to_send: VecDeque<usize> = (0..alerts).collect();
    let begun = Instant::now();
    let mut changes = [Duration::ZERO; 5];
    let mut accepted = 0;
    while begun.elapsed() < span || !to_send.is_empty() {
        let now = begun.elapsed();
        if changes[0] <= now {
            changes[0] = now + weather(&receivers.telegram, &mut dice, may_hang);
        }
        if changes[1] <= now {
            changes[1] = now + weather(&receivers.discord, &mut dice, may_hang);
        }
        for (at, server) in [&receivers.hook.server, &receivers.ntfy, &receivers.gotify].into_iter().enumerate() {
            if changes[2 + at] <= now {
                changes[2 + at] = now + weather(server, &mut dice, may_hang);
            }
        }
        let due = usize::try_from(now.as_millis() * alerts as u128 / span.as_millis()).unwrap_or(alerts).min(alerts);
        let at = to_send.front().copied().filter(|at| *at <= due || now >= span);
        if let Some(at) = at
            && is_taken(&daemon, at)
        {
            to_send.pop_front();
            accepted += 1;
        }
        if ends.front().is_some_and(|end| *end <= now) {
            ends.pop_front();
            daemon.signal("KILL");
            daemon.wait();
            daemon = again.start();
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(accepted, alerts);
    receivers.heal();
    let wanted: BTreeSet<String> = (0..alerts).map(|at| format!("{at:04}")).collect();
    let missing = || -> Vec<(&'static str, usize)> {
        let texts = receivers.texts();
        let missing = |texts: &Vec<String>| {
            let seen: BTreeSet<String> = texts.iter().flat_map(|text| names(text)).collect();
            wanted.difference(&seen).count()
        };
        texts.iter().map(|(channel, texts)| (*channel, missing(texts))).filter(|(_, missing)| *missing > 0).collect()
    };
    let healed = Instant::now();
    while !missing().is_empty() {
        assert!(
            healed.elapsed() < patience,
            "still missing {:?}; channels {:#}",
            missing(),
            daemon.status()["channels"]
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
    eventually("the outbox to be empty", || {
        let channels = daemon.status()["channels"].as_array().cloned().unwrap_or_default();
        channels.iter().all(|channel| channel["queued"] == 0).then_some(())
    });
    println!("all there {:.1} s after the receivers healed", healed.elapsed().as_secs_f64());
    for (channel, texts) in receivers.texts() {
        let mut seen = BTreeSet::new();
        let (mut repeats, mut last, mut disorder) = (0, String::new(), Vec::new());
        for text in &texts {
            let names = names(text);
            let is_new = !names.iter().any(|name| seen.contains(name));
            repeats += usize::from(!is_new && !names.is_empty());
            if let (Some(name), 1, true) = (names.first(), names.len(), is_new) {
                if *name < last {
                    disorder.push((last.clone(), name.clone()));
                }
                last.clone_from(name);
            }
            seen.extend(names);
        }
        println!("{channel}: {} messages for {alerts} alerts, {repeats} repeated after {kills} kills", texts.len());
        assert!(repeats <= kills, "{channel}: {repeats} repeated after {kills} kills");
        assert!(disorder.is_empty(), "{channel}: out of order: {disorder:?}");
    }
    let keys: Vec<String> = {
        let sim = receivers.hook.server.sim();
        let records = sim.receiver.records.iter();
        records.map(|record| record.request.header("idempotency-key").unwrap_or_default().to_owned()).collect()
    };
    let again = keys.len() - keys.iter().collect::<BTreeSet<_>>().len();
    println!("hook: {again} deliveries repeated with their key");
    assert!(again <= kills);
    assert_eq!(receivers.violations(), [""; 0], "nothing is asked before the wait is over");
    let dead = daemon.status()["channels"].as_array().cloned().unwrap_or_default();
    assert!(dead.iter().all(|channel| channel["dead"] == 0), "{dead:#?}");
}

/// Whether HAIA has taken an alert; if not, it is sent again, as Alertmanager does.
fn is_taken(daemon: &Daemon, at: usize) -> bool {
    let Some(call) = Call::tcp_if_open(daemon.address, "POST", "/api/alerts/alertmanager") else { return false };
    let body = payload(&[alert(&format!("Probe{at:04}"), true)]);
    call.key(crate::daemon::CONTROL).json(&body).begin().read().is_ok_and(|answer| answer.status == 200)
}

#[test]
fn nothing_is_lost_while_receivers_fail_and_haia_is_killed() {
    chaos(60, 3, Duration::from_secs(12), false, Duration::from_secs(60));
}

#[test]
#[ignore = "a quarter of an hour: .ci/watching runs it"]
fn five_hundred_alerts_outlive_twenty_kills_and_ten_minutes_of_failing_receivers() {
    chaos(500, 20, Duration::from_secs(600), true, Duration::from_secs(900));
}

/// Milliseconds from the decision to the receiver, sorted.
fn latencies(more: &str, alerts: usize) -> Vec<f64> {
    let hook = Hook::start();
    let begun = hook.begun_at;
    let daemon = Setup::new().config(&format!("{}{more}", hook.section())).start();
    let arrived = || hook.server.sim().receiver.records.len();
    for at in 0..alerts {
        let before = arrived();
        assert!(is_taken(&daemon, at));
        // One after the other: what waits behind others is no measure of the way.
        eventually("it to arrive", || (arrived() > before).then_some(()));
    }
    let told: Vec<_> = hook.told().into_iter().filter(|told| told.kind() == "opened").collect();
    assert_eq!(told.len(), alerts);
    let latency = |decided: &Value, at: Duration| {
        let decided: jiff::Timestamp = decided.as_str().and_then(|text| text.parse().ok()).expect("a time");
        at.as_secs_f64() * 1e3 - decided.duration_since(begun).as_secs_f64() * 1e3
    };
    let mut all: Vec<f64> = told.iter().map(|told| latency(&told.body["at"], told.at)).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn show(what: &str, all: &[f64]) -> f64 {
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: {} alerts, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        all.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    at(0.99)
}

/// Explanations are wanted of a model that never answers.
fn hanging(models: &Provider) -> String {
    format!(
        "[monitor.grouping]\nwait = \"0s\"\n[monitor.explain]\nenabled = true\nmax_per_day = 10000\n[providers.openai]\nkind = \"openai\"\n\
         base_url = \"{}/v1\"\napi_key = \"sk-sim-0123456789\"\n[routes]\ndefault = [\"openai/hang\"]\n",
        models.url()
    )
}

fn was_asked(models: &Provider) -> bool {
    models.chats().iter().any(|chat| chat.request.format() == Some(Format::OpenAi))
}

#[test]
fn alerts_are_told_while_the_model_hangs() {
    let models = Provider::start();
    show("while the model hangs", &latencies(&hanging(&models), 20));
    assert!(was_asked(&models));
}

#[test]
#[ignore = "a measurement: .ci/watching runs it"]
fn how_long_an_alert_takes_to_a_healthy_receiver() {
    let quiet = show("without a model", &latencies(ONE_BY_ONE, 300));
    let models = Provider::start();
    let beside = show("while the model hangs", &latencies(&hanging(&models), 300));
    assert!(was_asked(&models));
    assert!(quiet.max(beside) < 100.0, "within 100 ms");
}
