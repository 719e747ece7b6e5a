//! Channels are asked whether they would take a message, over real connections, and nobody gets one.

#![allow(clippy::disallowed_methods, reason = "the server of a test runs beside it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use contract::clock::SharedClock;
use notifier::wire::open_network;
use notifier::{ChannelConfig, probe};
use runtime::SystemClock;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};

/// What a server answers: the method and path that are asked, the status, the body.
type Script = &'static [(&'static str, u16, &'static str)];

/// A server of a few lines. What it was asked comes back as `METHOD path body`.
fn server(script: Script) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            serve(stream, script, &tell);
        }
    });
    (port, told)
}

fn serve(stream: TcpStream, script: Script, tell: &mpsc::Sender<String>) {
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let Some(first) = head.lines().next() else { return };
    let asked = first.rsplit_once(' ').map_or(first, |(asked, _)| asked).to_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    lines.read_exact(&mut body).unwrap();
    let _ = tell.send(format!("{asked} {}", String::from_utf8_lossy(&body)).trim_end().to_owned());
    let (_, status, body) = script.iter().find(|(path, ..)| *path == asked).copied().unwrap_or(("", 404, "{}"));
    let shown = if asked.starts_with("HEAD") { "" } else { body };
    let _ = write!(out, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{shown}", body.len());
}

fn probed(config: &str, port: u16) -> Result<String, String> {
    let config: ChannelConfig = serde_json::from_str(&config.replace("PORT", &port.to_string())).unwrap();
    let clock: SharedClock = Arc::new(SystemClock::real());
    actix_rt::System::new().block_on(probe(&config, &open_network(), &clock))
}

const TELEGRAM: &str =
    r#"{"kind":"telegram","bot_token":"1:secret","chat_id":"42","api_base":"http://127.0.0.1:PORT"}"#;
const DISCORD: &str = r#"{"kind":"discord","webhook_url":"http://127.0.0.1:PORT/api/webhooks/1/secret"}"#;
const NTFY: &str = r#"{"kind":"ntfy","url":"http://127.0.0.1:PORT","topic":"lab","token":"tk_secret"}"#;
const GOTIFY: &str = r#"{"kind":"gotify","url":"http://127.0.0.1:PORT/","token":"secret"}"#;
const WEBHOOK: &str = r#"{"kind":"webhook","url":"http://127.0.0.1:PORT/hook"}"#;

#[test]
fn what_works_is_seen_without_a_message() {
    let telegram: Script = &[
        ("POST /bot1:secret/getMe", 200, r#"{"ok":true,"result":{"id":1,"username":"haia_bot"}}"#),
        ("POST /bot1:secret/getChat", 200, r#"{"ok":true,"result":{"id":42,"first_name":"Anna"}}"#),
    ];
    let cases: [(&str, Script, &str, Vec<&str>); 5] = [
        (
            TELEGRAM,
            telegram,
            "bot @haia_bot, chat Anna",
            vec!["POST /bot1:secret/getMe {}", r#"POST /bot1:secret/getChat {"chat_id":"42"}"#],
        ),
        (
            DISCORD,
            &[("GET /api/webhooks/1/secret", 200, r#"{"id":"1","name":"homelab"}"#)],
            "webhook homelab",
            vec!["GET /api/webhooks/1/secret"],
        ),
        (NTFY, &[("GET /v1/health", 200, r#"{"healthy":true}"#)], "the server is healthy", vec!["GET /v1/health"]),
        (
            GOTIFY,
            &[("GET /version", 200, r#"{"version":"2.6.1"}"#), ("POST /message", 400, "{}")],
            "version 2.6.1, the token is known",
            vec!["GET /version", "POST /message {}"],
        ),
        (WEBHOOK, &[("HEAD /hook", 501, "")], "somebody answers there (501 to HEAD)", vec!["HEAD /hook"]),
    ];
    for (config, script, seen, asked) in cases {
        let (port, told) = server(script);
        assert_eq!(probed(config, port).as_deref(), Ok(seen), "{config}");
        assert_eq!(told.try_iter().collect::<Vec<_>>(), asked, "{config}");
    }
}

#[test]
fn what_does_not_work_is_said_without_secrets() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cases: [(&str, Script, &str); 8] = [
        (
            TELEGRAM,
            &[("POST /bot1:secret/getMe", 401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#)],
            "check bot_token",
        ),
        (
            TELEGRAM,
            &[
                ("POST /bot1:secret/getMe", 200, r#"{"ok":true,"result":{"username":"b"}}"#),
                ("POST /bot1:secret/getChat", 400, r#"{"ok":false,"description":"Bad Request: chat not found"}"#),
            ],
            "check chat_id",
        ),
        (DISCORD, &[], "webhook"),
        (NTFY, &[("GET /v1/health", 401, r#"{"error":"unauthorized"}"#)], "check token"),
        (NTFY, &[("GET /v1/health", 200, "<html>")], "it answered 200"),
        (
            GOTIFY,
            &[
                ("GET /version", 200, r#"{"version":"2"}"#),
                ("POST /message", 401, r#"{"error":"Unauthorized","errorCode":401,"errorDescription":"x"}"#),
            ],
            "refuses the token",
        ),
        (
            GOTIFY,
            &[("GET /version", 200, r#"{"version":"2"}"#), ("POST /message", 403, "<html>")],
            "a proxy may be in the way",
        ),
        (WEBHOOK, &[("HEAD /hook", 502, "")], "502"),
    ];
    for (config, script, said) in cases {
        let (port, _told) = server(script);
        let problem = probed(config, port).unwrap_err();
        assert!(problem.contains(said) && !problem.contains("secret"), "{config}: {problem}");
        let problem = probed(config, closed).unwrap_err();
        assert!(problem.contains("cannot be reached") && !problem.contains("secret"), "{config}: {problem}");
    }
}

/// A mail server that says hello and judges the login.
fn mail_server(login: &'static str) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        let _ = out.write_all(b"220 mail.test ready\r\n");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let answer = match line.split(' ').next() {
                Some("EHLO") => "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n",
                Some("AUTH") => login,
                _ => "221 bye\r\n",
            };
            let _ = tell.send(line);
            if out.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (port, told)
}

#[test]
fn a_mail_server_is_signed_in_to_and_left() {
    const EMAIL: &str = r#"{"kind":"email","smtp":"127.0.0.1:PORT","from":"haia@home.lan","to":"me@home.lan","username":"u","password":"secret"}"#;
    let (port, told) = mail_server("235 ok\r\n");
    assert_eq!(probed(EMAIL, port).as_deref(), Ok("signed in as u, without TLS"));
    assert!(told.iter().all(|line| !line.starts_with("MAIL")), "no mail is begun");
    let (port, _told) = mail_server("535 5.7.8 bad login\r\n");
    let problem = probed(EMAIL, port).unwrap_err();
    assert!(problem.contains("bad login") && !problem.contains("secret"), "{problem}");
}
