//! What operators use: models, readiness, status, keys, audit, reload, checks, faults.

use super::stage::{Stage, get, post};
use crate::config::{Config, KeyConfig};
use actix_web::test::TestRequest;
use contract::caller::Scope;
use contract::message::{Lane, Reconfigure};
use contract::provider::Readiness;
use contract::secret::Secret;
use runtime::world::World;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn admin() -> Config {
    let key = KeyConfig { key: Secret::new("sk-admin"), scope: Scope::Admin, limits: Default::default() };
    Config { keys: [("root".to_owned(), key)].into(), ..Config::default() }
}

fn by_admin(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", "Bearer sk-admin"))
}

fn by(request: TestRequest, key: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {key}")))
}

#[test]
fn models_are_listed_and_found() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let list = stage.get("//v1/models").await.json();
        let ids: Vec<&str> =
            list["data"].as_array().expect("data").iter().filter_map(|model| model["id"].as_str()).collect();
        assert_eq!(
            ids,
            ["haia", "haia/default", "haia/fast", "openai/gpt-4o", "openrouter/meta/llama:free", "builtin/offline"]
        );
        assert_eq!(list["object"], "list");
        assert_eq!(list["data"][3]["owned_by"], "openai");
        assert_eq!(list["data"][3]["created"], 1_700_000_000);
        for (path, id) in [
            ("/v1/models/haia", "haia"),
            ("/v1/models/haia%2Ffast", "haia/fast"),
            ("/v1/models/openrouter/meta/llama:free", "openrouter/meta/llama:free"),
            ("/v1/models/openrouter%2Fmeta%2Fllama%3Afree/", "openrouter/meta/llama:free"),
        ] {
            let reply = stage.get(path).await;
            assert_eq!(reply.json()["id"], id, "{path}");
        }
        let reply = stage.get("/v1/models/openai/none").await;
        assert_eq!((reply.status, reply.error().1.as_deref()), (404, Some("model_not_found")));
    });
}

#[test]
fn readiness_tells_why_not() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let reply = stage.get("/ready").await;
        assert_eq!((reply.status, reply.json()["degraded"].as_bool()), (200, Some(false)));
        *stage.props.readiness.lock().expect("readiness") = Some(Readiness::Degraded("no provider has a key".into()));
        let reply = stage.get("/ready").await;
        assert_eq!((reply.status, reply.json()["degraded"].as_bool()), (200, Some(true)));
        *stage.props.readiness.lock().expect("readiness") = Some(Readiness::NotReady("every provider is down".into()));
        let reply = stage.get("/ready").await;
        assert_eq!((reply.status, reply.json()["reason"].as_str()), (503, Some("every provider is down")));
        assert_eq!(reply.error().1.as_deref(), Some("provider_unavailable"));
        stage.props.actors_down.store(true, Ordering::SeqCst);
        assert_eq!(stage.get("/ready").await.json()["reason"], "store is restarting");
    });
}

#[test]
fn status_metrics_and_the_page() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let status = stage.get("/status").await.json();
        for key in ["version", "uptime_s", "generation", "turns", "streams", "provider_connections"] {
            assert!(!status[key].is_null(), "{key}");
        }
        for key in ["actors", "providers", "clusters", "alerts", "jobs", "channels", "mcp_servers"] {
            assert!(status[key].is_array(), "{key}");
        }
        let metrics = stage.get("/metrics").await;
        assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
        assert!(
            metrics.body.contains("haia_http_requests_total{route=\"/status\",status=\"2xx\"} 1\n"),
            "{}",
            metrics.body
        );
        assert!(metrics.body.contains("haia_streams_open 2\n"));
        let page = stage.get("/").await;
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.body.contains("http://localhost:8000/v1") && page.body.contains("openai/gpt-4o"), "{}", page.body);
        let openapi = stage.get("/openapi.json").await.json();
        assert_eq!(openapi["openapi"], "3.1.0");
    });
}

#[test]
fn a_page_for_strangers_lists_no_models() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        let page = stage.get("/").await;
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("gpt-4o"));
    });
}

#[test]
fn a_key_is_made_used_listed_and_revoked() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        let reply = stage.send(by_admin(post("/api/keys", r#"{"name":"ui","scope":"read"}"#))).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let key = reply.json()["key"].as_str().expect("the key").to_owned();
        assert!(key.starts_with("haia-") && key.len() == 5 + 64, "{key}");
        assert!(!stage.props.keys.lock().expect("keys")[0].hash.contains(&key[5..]), "only its hash is stored");
        assert_eq!(stage.send(by(get("/v1/models"), &key)).await.status, 200, "in force at once");

        let list = stage.send(by_admin(get("/api/keys"))).await;
        assert!(!list.body.contains(&key) && !list.body.contains("hash") && !list.body.contains("sk-admin"));
        assert_eq!(list.json()["keys"][0]["source"], "config");
        assert_eq!(
            (list.json()["keys"][1]["name"].as_str(), list.json()["keys"][1]["scope"].as_str()),
            (Some("ui"), Some("read"))
        );

        let revoke = |name: &str| {
            by_admin(TestRequest::delete().uri(&format!("/api/keys/{name}")).insert_header(("host", "localhost")))
        };
        assert_eq!(stage.send(revoke("ui")).await.status, 200);
        assert_eq!(stage.send(by(get("/v1/models"), &key)).await.status, 401, "at once");
        assert_eq!(stage.send(revoke("ui")).await.status, 404);
        let configured = stage.send(revoke("root")).await;
        assert_eq!((configured.status, configured.error().2.as_deref()), (400, Some("name")));

        let audit = stage.send(by_admin(get("/api/audit?kind=admin&limit=10"))).await.json();
        let done: Vec<&str> =
            audit["rows"].as_array().expect("rows").iter().filter_map(|row| row["what"].as_str()).collect();
        assert_eq!(done, ["key revoke ui", "key new ui read"]);
        assert_eq!(audit["rows"][0]["who"], "root");
    });
}

#[test]
fn wrong_key_requests_are_refused() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        for (body, status, param) in [
            ("", 400, None),
            (r#"{"scope":"read"}"#, 400, None),
            (r#"{"name":"a b"}"#, 400, Some("name")),
            (r#"{"name":""}"#, 400, Some("name")),
            (r#"{"name":"socket"}"#, 400, Some("name")),
            (r#"{"name":"a","scope":"root"}"#, 400, None),
            (r#"{"name":"a","scop":"read"}"#, 400, None),
            (r#"{"name":"root"}"#, 409, Some("name")),
        ] {
            let reply = stage.send(by_admin(post("/api/keys", body))).await;
            assert_eq!(reply.status, status, "{body}: {}", reply.body);
            assert_eq!(reply.error().2.as_deref(), param, "{body}");
        }
        assert!(stage.props.keys.lock().expect("keys").is_empty());
    });
}

#[test]
fn a_broken_store_is_told_and_configured_keys_still_work() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        stage.props.store_broken.store(true, Ordering::SeqCst);
        for request in [get("/api/keys"), get("/api/audit"), post("/api/keys", r#"{"name":"a"}"#)] {
            let reply = stage.send(by_admin(request)).await;
            assert_eq!(reply.status, 503, "{}", reply.body);
            assert_eq!(reply.error().1.as_deref(), Some("store_unavailable"));
            assert!(reply.body.contains("the disk is full"), "{}", reply.body);
        }
        assert_eq!(stage.send(by_admin(get("/v1/models"))).await.status, 200);
    });
}

#[test]
fn keys_are_asked_for_again_when_the_store_recovers() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.props.store_broken.store(true, Ordering::SeqCst);
        let refresh = stage.mailbox.port::<crate::gateway::RefreshKeys>(Lane::Interactive);
        let told = refresh.ask(crate::gateway::RefreshKeys, Duration::from_secs(1)).await.expect("asked");
        assert!(told.is_err_and(|why| why.contains("the disk is full")));
        let hash = crate::auth::to_hex(&crate::auth::hash_key(b"haia-late"));
        let key = contract::store::StoredKey {
            name: "late".into(),
            scope: Scope::Read,
            hash,
            created: jiff::Timestamp::UNIX_EPOCH,
        };
        stage.props.keys.lock().expect("keys").push(key);
        stage.props.store_broken.store(false, Ordering::SeqCst);
        assert_eq!(stage.get("/v1/models").await.status, 200, "no key is known yet");
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(stage.get("/v1/models").await.status, 401);
        assert_eq!(stage.send(by(get("/v1/models"), "haia-late")).await.status, 200);
    });
}

#[test]
fn a_new_configuration_takes_effect_and_a_crash_does_not_lose_it() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        assert_eq!(stage.get("/v1/models").await.status, 200);
        let reconfigure = stage.mailbox.port::<Reconfigure<Config>>(Lane::Control);
        reconfigure.ask(Reconfigure(Arc::new(admin())), Duration::from_secs(1)).await.expect("taken");
        assert_eq!(stage.get("/v1/models").await.status, 401);
        assert_eq!(stage.send(by_admin(get("/v1/models"))).await.status, 200);
        world.supervision.crash("http-gateway").expect("known").expect("told");
        world.settle().await;
        assert_eq!(stage.send(by_admin(get("/v1/models"))).await.status, 200, "nobody is kept out meanwhile");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.take_events().len(), 2);
        assert_eq!(stage.get("/v1/models").await.status, 401, "the fresh actor goes on with the newest configuration");
    });
}

#[test]
fn a_reload_is_all_or_nothing() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        let reply = stage.send(by_admin(post("/api/config/reload", ""))).await;
        assert_eq!((reply.status, reply.json()["generation"].as_u64()), (200, Some(2)));
        *stage.props.reload.lock().expect("reload") = Some(vec!["haia.toml:3: unknown key".into(), "and more".into()]);
        let reply = stage.send(by_admin(post("/api/config/reload", ""))).await;
        assert_eq!((reply.status, reply.error().1.as_deref()), (400, Some("invalid_configuration")));
        assert_eq!(reply.json()["problems"].as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn faults_only_when_enabled() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        let panic = |actor: &str| by_admin(post(&format!("/api/faults/panic/{actor}"), ""));
        assert_eq!(stage.send(panic("store")).await.status, 404);
        assert!(stage.props.crashed.lock().expect("crashed").is_empty());
        stage.props.faults.store(true, Ordering::SeqCst);
        assert_eq!(stage.send(panic("store")).await.status, 202);
        assert_eq!(*stage.props.crashed.lock().expect("crashed"), ["store"]);
        let unknown = stage.send(panic("nobody")).await;
        assert_eq!((unknown.status, unknown.error().2.as_deref()), (404, Some("actor")));
    });
}

#[test]
fn a_provider_is_checked() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        let reply = stage.send(by_admin(post("/api/check/openai", ""))).await;
        assert_eq!(reply.json()["models"][0]["model"], "gpt-4o");
        let reply = stage.send(by_admin(post("/api/check/other", ""))).await;
        assert_eq!((reply.status, reply.error().1.as_deref()), (502, Some("provider_authentication")));
    });
}

#[test]
fn the_audit_query_is_checked() {
    World::run(async |world| {
        let stage = Stage::new(world, admin()).await;
        for query in ["limit=0", "limit=1001", "limit=x", "kind=all", "nonsense=1"] {
            let reply = stage.send(by_admin(get(&format!("/api/audit?{query}")))).await;
            assert_eq!(reply.status, 400, "{query}");
            reply.error();
        }
        let reply = stage.send(by_admin(get("/api/audit?request_id=none"))).await;
        assert_eq!(reply.json()["rows"].as_array().map(Vec::len), Some(0));
    });
}
