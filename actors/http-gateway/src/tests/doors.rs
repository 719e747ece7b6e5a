//! Who is let in, and what every answer carries.

use super::players::{Act, Plan};
use super::stage::{Stage, chat, get, post, question};
use crate::config::{Config, KeyConfig};
use actix_web::http::Method;
use actix_web::test::TestRequest;
use contract::caller::Scope;
use contract::secret::Secret;
use runtime::world::World;
use std::sync::atomic::Ordering;

fn keyed() -> Config {
    let key = |key: &str, scope| KeyConfig { key: Secret::new(key), scope, limits: Default::default() };
    let keys = [
        ("eye".to_owned(), key("sk-read", Scope::Read)),
        ("ui".to_owned(), key("sk-control", Scope::Control)),
        ("root".to_owned(), key("sk-admin", Scope::Admin)),
    ];
    Config { keys: keys.into(), ..Config::default() }
}

type Knock = fn() -> TestRequest;

fn with(request: TestRequest, key: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {key}")))
}

#[test]
fn each_scope_opens_its_own_doors() {
    World::run(async |world| {
        let stage = Stage::new(world, keyed()).await;
        let routes: [(Knock, [u16; 4]); 12] = [
            (|| get("/health"), [200, 200, 200, 200]),
            (|| get("/"), [200, 200, 200, 200]),
            (|| get("/ready"), [401, 200, 200, 200]),
            (|| get("/status"), [401, 200, 200, 200]),
            (|| get("/metrics"), [401, 200, 200, 200]),
            (|| get("/openapi.json"), [401, 200, 200, 200]),
            (|| get("/v1/models"), [401, 200, 200, 200]),
            (|| chat("{}"), [401, 403, 400, 400]),
            (|| get("/api/audit"), [401, 403, 403, 200]),
            (|| get("/api/keys"), [401, 403, 403, 200]),
            (|| post("/api/config/reload", ""), [401, 403, 403, 200]),
            (|| post("/api/check/openai", ""), [401, 403, 403, 200]),
        ];
        for (request, expected) in routes {
            let mut found = [0; 4];
            found[0] = stage.send(request()).await.status;
            for (at, key) in ["sk-read", "sk-control", "sk-admin"].into_iter().enumerate() {
                found[at + 1] = stage.send(with(request(), key)).await.status;
            }
            assert_eq!(found, expected, "{:?}", request().to_request().uri());
        }
    });
}

#[test]
fn a_wrong_key_is_told_so() {
    World::run(async |world| {
        let stage = Stage::new(world, keyed()).await;
        for header in ["Bearer wrong", "Bearer ", "Basic sk-admin", "sk-admin"] {
            let reply = stage.send(get("/v1/models").insert_header(("authorization", header))).await;
            assert_eq!(reply.status, 401, "{header}");
            let (kind, code, _) = reply.error();
            assert_eq!((kind.as_str(), code.as_deref()), ("authentication_error", Some("invalid_api_key")));
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            assert!(!reply.body.contains("sk-admin") && !reply.body.contains("wrong\""));
        }
        let reply = stage.send(get("/v1/models").insert_header(("authorization", "bearer sk-read"))).await;
        assert_eq!(reply.status, 200, "the scheme's case does not matter");
        let small = stage.send(with(chat(&question("haia", false)), "sk-read")).await;
        assert_eq!(small.error().0, "permission_error");
    });
}

#[test]
fn without_keys_only_this_machine_by_its_own_names_is_let_in() {
    World::run(async |world| {
        let config = Config { allowed_hosts: vec!["haia.lan".into()], ..Config::default() };
        let stage = Stage::new(world, config).await;
        let hosted = |host: &str| TestRequest::get().uri("/v1/models").insert_header(("host", host.to_owned()));
        for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "tower:8000", "haia.lan"] {
            assert_eq!(stage.send(hosted(host)).await.status, 200, "{host}");
        }
        let reply = stage.send(hosted("evil.example:8000")).await;
        assert_eq!(reply.status, 403);
        assert_eq!(reply.error().0, "permission_error");
        let proxied = hosted("localhost:8000").insert_header(("x-forwarded-for", "203.0.113.9"));
        assert_eq!(stage.send(proxied).await.status, 401);
        let admin = stage.send(get("/api/keys")).await;
        assert_eq!(admin.status, 403, "this machine has control, not admin");
        let health = TestRequest::get().uri("/health").insert_header(("host", "haia.example"));
        assert_eq!(stage.send(health).await.status, 200, "liveness is for everybody");
    });
}

#[test]
fn foreign_pages_are_turned_away_and_configured_ones_get_their_headers() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let from = |request: TestRequest, origin: &str| request.insert_header(("origin", origin.to_owned()));
        let foreign = stage.send(from(get("/v1/models"), "http://evil.example")).await;
        assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, ""));
        foreign.error();
        for (path, status) in [("/v1/models", 200), ("/nowhere", 404), ("/api/keys", 403)] {
            let reply = stage.send(from(get(path), "http://localhost:3000")).await;
            assert_eq!(reply.status, status);
            assert_eq!(reply.header("access-control-allow-origin"), "http://localhost:3000", "{path}");
            assert_eq!(reply.header("vary"), "Origin");
            assert!(reply.header("access-control-expose-headers").contains("x-request-id"));
        }
        let own = stage.send(from(get("/v1/models"), "http://localhost:8000")).await;
        assert_eq!(own.status, 200, "HAIA's own page");
        let errors = stage.send(from(chat("{"), "http://localhost:3000")).await;
        assert_eq!((errors.status, errors.header("access-control-allow-origin")), (400, "http://localhost:3000"));
        let without = stage.get("/v1/models").await;
        assert_eq!(without.header("access-control-allow-origin"), "");
    });
}

#[test]
fn a_preflight_is_answered_without_a_key() {
    World::run(async |world| {
        let stage = Stage::new(world, keyed()).await;
        let preflight = |origin: &str| {
            TestRequest::default()
                .method(Method::OPTIONS)
                .uri("/v1/chat/completions")
                .insert_header(("host", "localhost:8000"))
                .insert_header(("origin", origin.to_owned()))
                .insert_header(("access-control-request-method", "POST"))
                .insert_header(("access-control-request-headers", "authorization,content-type,x-stainless-lang"))
                .insert_header(("access-control-request-private-network", "true"))
        };
        let reply = stage.send(preflight("http://localhost:3000")).await;
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("access-control-allow-origin"), "http://localhost:3000");
        assert_eq!(reply.header("access-control-allow-headers"), "authorization,content-type,x-stainless-lang");
        assert!(reply.header("access-control-allow-methods").contains("POST"));
        assert_eq!(reply.header("access-control-allow-private-network"), "true");
        assert!(!reply.header("x-request-id").is_empty());
        let foreign = stage.send(preflight("http://evil.example")).await;
        assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, ""));
        let plain =
            TestRequest::default().method(Method::OPTIONS).uri("/v1/models").insert_header(("host", "localhost"));
        let plain = stage.send(plain).await;
        assert_eq!((plain.status, plain.header("allow")), (204, "OPTIONS, GET, HEAD"));
    });
}

#[test]
fn unknown_paths_and_wrong_methods_are_told_in_the_same_shape() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for path in ["/v1/nothing", "/api", "/v1/models/", "/v1/models/openai/gpt-4o"] {
            let reply = stage.send(post(path, "{}")).await;
            let expected = if path.starts_with("/v1/models") { 405 } else { 404 };
            assert_eq!(reply.status, expected, "{path}");
            let code = if expected == 405 { "method_not_allowed" } else { "not_found" };
            assert_eq!(reply.error().1.as_deref(), Some(code));
        }
        // The commonest slip when a client is set up: a base URL without /v1, or with two.
        for (path, meant) in [
            ("/models", Some("\"/v1/models\"")),
            ("/v1/v1/chat/completions", Some("\"/v1/chat/completions\"")),
            ("/v1/health", None),
        ] {
            let reply = stage.send(post(path, "{}")).await;
            let message = reply.json()["error"]["message"].to_string().replace("\\\"", "\"");
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(message.contains("base URL"), meant.is_some(), "{message}");
            assert!(message.contains(meant.unwrap_or("/openapi.json")), "{message}");
        }
        let reply = stage.get("/v1/chat/completions").await;
        assert_eq!((reply.status, reply.header("allow")), (405, "OPTIONS, POST"));
        reply.error();
    });
}

#[test]
fn every_answer_has_an_id_the_callers_own_if_it_is_sane() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for path in ["/health", "/nowhere", "/v1/models"] {
            let own = stage.send(get(path).insert_header(("x-request-id", "trace-1"))).await;
            assert_eq!(own.header("x-request-id"), "trace-1");
            let odd = stage.send(get(path).insert_header(("x-request-id", "a b\"c"))).await;
            assert!(odd.header("x-request-id").starts_with("id0"), "{}", odd.header("x-request-id"));
            let first = stage.get(path).await;
            let second = stage.get(path).await;
            assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
        }
    });
}

#[test]
fn a_crash_in_a_handler_is_a_500_with_everything_an_answer_has() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.crash.store(true, Ordering::SeqCst);
        let request = chat(&question("haia", false))
            .insert_header(("x-request-id", "crash-1"))
            .insert_header(("origin", "http://localhost:3000"));
        let reply = stage.send(request).await;
        assert_eq!(reply.status, 500);
        assert_eq!(reply.error().1.as_deref(), Some("internal_error"));
        assert_eq!(reply.header("x-request-id"), "crash-1");
        assert_eq!(reply.header("access-control-allow-origin"), "http://localhost:3000");
        stage.players.plan(Plan::of([Act::Say("a"), Act::stop()]));
        assert_eq!(stage.chat(&question("haia", false)).await.status, 200, "the next one is served");
    });
}
