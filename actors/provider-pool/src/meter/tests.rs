//! Accounts over days, restarts and limits.

use super::*;
use contract::clock::Clock;
use contract::usage::UsageSink;
use jiff::civil::date;
use runtime::world::{TestClock, World};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Keeps what the store would get.
#[derive(Default)]
struct Sink(Mutex<Vec<(UsageSlot, UsageTotals)>>);

impl UsageSink for Sink {
    fn record(&self, slot: &UsageSlot, more: &UsageTotals) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((slot.clone(), *more));
    }
}

fn took(input: u64, output: u64, cost_nanos: Option<u64>) -> UsageTotals {
    UsageTotals {
        calls: 1,
        input: Some(input),
        output: Some(output),
        cost_nanos,
        total_us: 1000,
        ..UsageTotals::default()
    }
}

fn meter(clock: &Arc<TestClock>) -> (Meter, Arc<Sink>) {
    let sink = Arc::<Sink>::default();
    (Meter::new(clock.clone(), TimeZone::UTC, sink.clone()), sink)
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_limit_refuses_until_it_begins_anew() {
    World::run(async |world| {
        let (meter, sink) = meter(&world.clock);
        let (who, provider, model): (Arc<str>, Arc<str>, Arc<str>) = ("tablet".into(), "openai".into(), "gpt".into());
        let limits = KeyLimits { tokens_per_day: Some(100), usd_per_month: Some(1.0), ..KeyLimits::default() };
        assert_eq!(meter.check(&who, &limits), Ok(()));
        meter.record(&who, &provider, &model, &took(60, 39, Some(400_000_000)), Charge::default());
        assert_eq!(meter.check(&who, &limits), Ok(()));
        meter.record(&who, &provider, &model, &took(1, 0, Some(0)), Charge::default());
        let failure = meter.check(&who, &limits).expect_err("used up");
        assert_eq!((failure.class, failure.code.as_deref()), (FailureClass::RateLimit, Some("key_limit_reached")));
        assert_eq!(failure.retry_after, Some(12 * HOUR), "noon until midnight");
        for told in ["\"tablet\"", "100 tokens", "2026-03-02 00:00 UTC", "limits.tokens_per_day"] {
            assert!(failure.message.contains(told), "no {told} in {}", failure.message);
        }
        assert_eq!(meter.check(&"other".into(), &limits), Ok(()));
        assert_eq!(meter.check(&who, &KeyLimits::default()), Ok(()));

        tokio::time::sleep(12 * HOUR).await;
        assert_eq!(meter.check(&who, &limits), Ok(()), "a new day");
        meter.record(&who, &provider, &model, &took(1, 1, Some(600_000_000)), Charge::default());
        let failure = meter.check(&who, &limits).expect_err("the month's money is spent");
        assert_eq!(failure.retry_after, Some(31 * 24 * HOUR - 24 * HOUR));
        let keys = meter.keys(&BTreeMap::from([("tablet".to_owned(), limits), ("new".to_owned(), limits)]));
        assert_eq!(
            keys.iter().map(|key| (key.name.as_ref(), key.state)).collect::<Vec<_>>(),
            [("new", "ok"), ("tablet", "limited")]
        );
        assert_eq!((keys[1].usage.today.input_tokens, keys[1].usage.month.input_tokens), (Some(1), Some(62)));
        assert_eq!((keys[1].limits[1].name, keys[1].limits[1].used), ("usd_per_month", 1.0));
        tokio::time::sleep(30 * 24 * HOUR).await;
        assert_eq!(meter.check(&who, &limits), Ok(()), "a new month");
        assert_eq!(meter.provider("openai").0, UsageReport::default());

        let days: Vec<Date> =
            sink.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(slot, _)| slot.day).collect();
        assert_eq!(days, [date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 2)]);
    });
}

#[test]
fn what_is_guessed_counts_towards_limits_and_is_shown_in_no_sum() {
    World::run(async |world| {
        let (meter, sink) = meter(&world.clock);
        let (who, provider, model): (Arc<str>, Arc<str>, Arc<str>) = ("tablet".into(), "openai".into(), "gpt".into());
        let left = UsageTotals { calls: 1, cancelled: 1, uncounted: 1, ..UsageTotals::default() };
        let limits = KeyLimits { tokens_per_day: Some(100), usd_per_month: Some(1.0), ..KeyLimits::default() };
        let guessed = Charge { tokens: 50, cost_nanos: 500_000_000 };
        meter.record(&who, &provider, &model, &left, guessed);
        assert_eq!(meter.check(&who, &limits), Ok(()));
        meter.record(&who, &provider, &model, &left, guessed);
        assert!(meter.check(&who, &limits).is_err(), "whoever leaves before the counts come has a limit too");
        let keys = meter.keys(&BTreeMap::from([("tablet".to_owned(), limits)]));
        assert_eq!((keys[0].usage.today.input_tokens, keys[0].usage.today.cost), (None, None), "unknown is unknown");
        assert_eq!((keys[0].limits[0].used, keys[0].limits[1].used), (100.0, 1.0));
        let kept = sink.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(kept[0].1, UsageTotals { guessed_tokens: 50, guessed_nanos: 500_000_000, ..left });
        // A restart knows of it.
        let again = self::meter(&world.clock).0;
        again.load(kept);
        assert!(again.check(&who, &limits).is_err());
        assert_eq!(again.keys(&BTreeMap::from([("tablet".to_owned(), limits)])), keys);
        assert_eq!(again.provider("openai").0.today.cost, None);
        tokio::time::sleep(12 * HOUR).await;
        let tokens = KeyLimits { usd_per_month: None, ..limits };
        assert_eq!(meter.check(&who, &tokens), Ok(()), "a new day");
        assert!(meter.check(&who, &limits).is_err(), "the same month");
    });
}

#[test]
fn a_clock_that_was_ahead_keeps_no_accounts_from_beginning() {
    World::run(async |world| {
        let ahead = Arc::new(Ahead(world.clock.clone(), AtomicI64::new(40 * 24)));
        let sink = Arc::<Sink>::default();
        let meter = Meter::new(ahead.clone(), TimeZone::UTC, sink.clone());
        let (who, provider, model): (Arc<str>, Arc<str>, Arc<str>) = ("tablet".into(), "openai".into(), "gpt".into());
        let limits = KeyLimits { tokens_per_day: Some(100), ..KeyLimits::default() };
        let slot = |month: i8, day: i8| UsageSlot {
            day: date(2026, month, day),
            who: who.clone(),
            provider: provider.clone(),
            model: model.clone(),
        };
        meter.load(vec![(slot(4, 10), took(100, 0, None)), (slot(4, 11), took(100, 0, None))]);
        assert!(meter.check(&who, &limits).is_err(), "by that clock it is the tenth of April");
        ahead.1.store(0, Relaxed);
        assert_eq!(meter.check(&who, &limits), Ok(()), "and by this one the first of March");
        assert_eq!(meter.wants(), Some(date(2026, 3, 1)));
        meter.record(&who, &provider, &model, &took(30, 0, None), Charge::default());
        assert_eq!(sink.0.lock().unwrap_or_else(PoisonError::into_inner)[0].0.day, date(2026, 3, 1));
        meter.load(vec![(slot(3, 1), took(90, 0, None)), (slot(4, 10), took(100, 0, None))]);
        assert_eq!(meter.provider("openai").0.month.input_tokens, Some(90), "the store has those of this run too");
        meter.record(&who, &provider, &model, &took(10, 0, None), Charge::default());
        assert!(meter.check(&who, &limits).is_err());
    });
}

/// A clock that is so many hours ahead.
struct Ahead(Arc<TestClock>, AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now() + SignedDuration::from_hours(self.1.load(Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> contract::BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }

    fn pause(&self, duration: Duration) -> contract::BoxFuture<'static, ()> {
        self.0.pause(duration)
    }
}

#[test]
fn sums_of_earlier_runs_are_taken_over_once() {
    World::run(async |world| {
        tokio::time::sleep(48 * HOUR).await;
        let (meter, _) = meter(&world.clock);
        let slot = |day: i8, who: &str, model: &str| UsageSlot {
            day: date(2026, 3, day),
            who: who.into(),
            provider: "openai".into(),
            model: model.into(),
        };
        meter.record(&"a".into(), &"openai".into(), &"gpt".into(), &took(1, 1, None), Charge::default());
        assert_eq!(meter.wants(), Some(date(2026, 3, 1)));
        let rows = || {
            vec![
                (slot(1, "a", "gpt"), took(10, 10, None)),
                (slot(3, "a", "gpt"), took(100, 100, Some(7_000_000_000))),
                (slot(3, "b", "mini"), took(5, 5, None)),
            ]
        };
        meter.load(rows());
        meter.load(rows());
        assert_eq!(meter.wants(), None);
        let (whole, models) = meter.provider("openai");
        assert_eq!((whole.today.input_tokens, whole.month.input_tokens), (Some(106), Some(116)));
        assert_eq!(whole.month.cost, Some(7.0));
        let names: Vec<_> = models.iter().map(|model| (model.name.as_ref(), model.usage.month.calls)).collect();
        assert_eq!(names, [("gpt", 3), ("mini", 1)]);
        assert_eq!(models[1].usage.month.cost, None, "unknown is not 0");
        assert_eq!(world.clock.now().to_string(), "2026-03-03T12:00:00Z");
    });
}
