//! A reload under load: no request fails and no stream breaks.

use crate::ask;
use crate::daemon::{CONTROL, Call, Setup};
use crate::sim::{Format, Provider};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Requests at once.
const CONCURRENCY: usize = 64;
const RELOADS: usize = 12;

#[test]
fn a_reload_under_load_fails_no_request_and_breaks_no_stream() {
    let sim = Provider::start();
    let mut setup = Setup::new();
    for format in Format::ALL {
        setup = setup.provider(format, format.kind(), &sim.url(), "max_concurrent = 100\nmax_queued = 100");
    }
    let daemon = setup.route("default", &["openai/long", "ollama/long"]).start();
    let file = std::fs::read_to_string(daemon.config_path()).expect("the configuration");
    let (over, done, under_way) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let address = daemon.address;
    std::thread::scope(|scope| {
        for client in 0..CONCURRENCY {
            let (over, done, under_way) = (&over, &done, &under_way);
            scope.spawn(move || {
                // As the agent, as a plain gateway, in each format, streamed and whole.
                let models = ["haia", "openai/long", "anthropic/long", "ollama/long"];
                let mut at = client;
                while !over.load(Ordering::Relaxed) {
                    let (model, stream) = (models[at % models.len()], at % 3 != 0);
                    at += 1;
                    under_way.fetch_add(1, Ordering::Relaxed);
                    let call = Call::tcp(address, "POST", "/v1/chat/completions").key(CONTROL);
                    let call = call.json(&ask(model, stream));
                    if stream {
                        let streamed = call.open().finish();
                        streamed.assert_whole();
                        assert!(streamed.text().ends_with("word-199 "), "{model}");
                    } else {
                        assert!(call.send().content().ends_with("word-199 "), "{model}");
                    }
                    under_way.fetch_sub(1, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Told even if this thread fails, so that the others end.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _over = Over(&over);
        let mut reloads = 0;
        let mut seen = 0;
        while reloads < RELOADS {
            // Between two reloads the load goes on.
            if done.load(Ordering::Relaxed) < seen + CONCURRENCY {
                std::thread::yield_now();
                continue;
            }
            seen = done.load(Ordering::Relaxed);
            reloads += 1;
            // Providers, limits, routes and keys change: every actor gets something new.
            let changed = file
                .replace("max_concurrent = 100", &format!("max_concurrent = {}", 100 + reloads))
                .replace("[routes]\n", &format!("[routes]\nround-{reloads} = [\"anthropic/long\"]\n"))
                .replace("[server]\n", &format!("[server]\nmax_body = \"{}KiB\"\n", 1000 + reloads));
            std::fs::write(daemon.config_path(), changed).expect("the configuration");
            let reloaded = daemon.post("/api/config/reload", &json!({}));
            assert!((200..300).contains(&reloaded.status), "{}", reloaded.text());
        }
    });
    assert!(done.load(Ordering::Relaxed) >= RELOADS * CONCURRENCY);
    assert_eq!(under_way.load(Ordering::Relaxed), 0);
    let status = daemon.status();
    assert!(status["generation"].as_u64() > Some(RELOADS as u64), "{}", status["generation"]);
    let providers = status["providers"].as_array().cloned().unwrap_or_default();
    assert!(providers.iter().all(|provider| provider["errors"] == 0), "{providers:?}");
    daemon.wait_until_idle();
}
