//! Each channel's requests as tables, what its answers mean, and ten thousand odd texts that receivers with the real limits must take.

use super::*;
use crate::message::tests::{member, notice};
use crate::message::{Message, split};
use crate::notifier::tests::support::seen;
use contract::alerts::{AlertCommand, Severity};
use contract::notify::{NoticeButton, NoticeKind};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use serde_json::{Value, json};
use sim_receivers::{Discord, Receiver as _, Telegram};

fn of(json: &str) -> Rc<dyn Channel> {
    channel(&serde_json::from_str(json).unwrap())
}

const TELEGRAM: &str = r#"{"kind":"telegram","bot_token":"1:secret","chat_id":"-7","thread_id":3,"api_base":"http://sim/","allowed_users":[5]}"#;
const DISCORD: &str = r#"{"kind":"discord","webhook_url":"http://sim/api/webhooks/1/secret?thread_id=9&wait=false"}"#;
const NTFY: &str = r#"{"kind":"ntfy","url":"http://sim/","topic":"lab","token":"tk_secret"}"#;
const GOTIFY: &str = r#"{"kind":"gotify","url":"http://sim","token":"Asecret"}"#;
const EMAIL: &str =
    r#"{"kind":"email","smtp":"mail.lan","from":"HAIA <haia@home.lan>","to":["me@home.lan","you@home.lan"]}"#;
const WEBHOOK: &str = r#"{"kind":"webhook","url":"http://sim/hook"}"#;

/// Every part of a notice as requests.
fn rendered(
    channel: &dyn Channel,
    notice: &Notice,
    form: Form,
    answers: Option<&str>,
    is_repeated: bool,
) -> Vec<Dispatch> {
    let parts = split(&Message::of(notice), &channel.limits(form));
    let piece = |at: usize| Piece {
        row: "row1",
        notice,
        part: &parts[at],
        is_last: at + 1 == parts.len(),
        form,
        answers,
        is_repeated,
        moved_to: None,
        wall: "2026-03-01T12:00:00Z".parse().unwrap(),
    };
    (0..parts.len()).map(|at| channel.render(&piece(at)).unwrap()).collect()
}

fn http(dispatch: &Dispatch) -> &HttpRequest {
    match dispatch {
        Dispatch::Http(request) => request,
        Dispatch::Mail(_) | Dispatch::Greeting => panic!("a mail"),
    }
}

fn body(dispatch: &Dispatch) -> Value {
    serde_json::from_slice(&http(dispatch).body).unwrap()
}

fn crash() -> Notice {
    let mut told = notice(NoticeKind::Opened, Severity::Critical, "web-01 (101) crashed");
    told.members.push(member(17, "web-01 (101)", "crashed"));
    told.members[0].before = Some("a <backup> & *more*".to_owned());
    told.buttons.push(NoticeButton { label: "OK".to_owned(), command: AlertCommand::Acknowledge { alert: 17 } });
    told
}

#[test]
fn telegram_gets_html_without_surprises() {
    let telegram = of(TELEGRAM);
    let sent = rendered(&*telegram, &crash(), Form::default(), Some("55"), true);
    assert_eq!(http(&sent[0]).url, "http://sim/bot1:secret/sendMessage");
    assert_eq!(
        body(&sent[0]),
        json!({
            "chat_id": "-7",
            "message_thread_id": 3,
            "text": "🔴 <b>web-01 (101) crashed</b>\nSince 12:48 (12 min)\nJust before: a &lt;backup&gt; &amp; *more*\n<i>#17 · guest_crashed</i>\n<i>(possibly repeated)</i>",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
            "reply_parameters": {"message_id": 55, "allow_sending_without_reply": true},
            "reply_markup": {"inline_keyboard": [[{"text": "OK", "callback_data": "a:17"}]]},
        })
    );
    let plain = rendered(&*telegram, &crash(), Form { is_plain: true, halvings: 0 }, Some("55"), false);
    let plain = body(&plain[0]);
    assert_eq!((&plain["parse_mode"], &plain["reply_markup"]), (&Value::Null, &Value::Null));
    assert!(plain["text"].as_str().unwrap().contains("a <backup> & *more*"));
}

#[test]
fn discord_gets_a_line_for_the_lock_screen_and_an_embed() {
    let sent = rendered(&*of(DISCORD), &crash(), Form::default(), None, false);
    assert_eq!(http(&sent[0]).url, "http://sim/api/webhooks/1/secret?thread_id=9&wait=true");
    assert_eq!(
        body(&sent[0]),
        json!({
            "content": "🔴 **web-01 (101) crashed**",
            "allowed_mentions": {"parse": []},
            "embeds": [{"description": "Since 12:48 (12 min)\nJust before: a \\<backup\\> & \\*more\\*\n-# \\#17 · guest\\_crashed", "color": 0x00D9_3025}],
        })
    );
}

/// The same on every lock screen: that it is over, what is well now, and how long it took.
#[test]
fn an_end_says_what_is_well_again() {
    let mut over = notice(NoticeKind::Resolved, Severity::Critical, "web-01 (101) is running again after 12 min");
    over.members.push(member(17, "web-01 (101)", "is running again"));
    over.members[0].ended = Some(over.at);
    let sent = |config| body(&rendered(&*of(config), &over, Form::default(), None, false)[0]);
    let (below, label) = ("From 12:48 to 13:00 (12 min)", "#17 · guest_crashed");
    let title = "web-01 (101) is running again after 12 min";
    assert_eq!(sent(TELEGRAM)["text"], format!("✅ <b>{title}</b>\n{below}\n<i>{label}</i>"));
    let discord = sent(DISCORD);
    assert_eq!(discord["content"], format!("✅ **{title}**"));
    assert_eq!(discord["embeds"][0]["description"], format!("{below}\n-# \\#17 · guest\\_crashed"));
    let ntfy = sent(NTFY);
    assert_eq!((&ntfy["title"], &ntfy["message"]), (&json!(title), &json!(format!("{below}\n{label}"))));
    assert_eq!(sent(GOTIFY)["title"], format!("✅ {title}"));
    let hook = sent(WEBHOOK);
    assert_eq!((&hook["title"], &hook["members"][0]["summary"]), (&json!(title), &json!("is running again")));
}

#[test]
fn ntfy_and_gotify_get_their_priorities() {
    let sent = rendered(&*of(NTFY), &crash(), Form::default(), None, false);
    assert_eq!(http(&sent[0]).url, "http://sim");
    assert!(http(&sent[0]).headers.contains(&("Authorization", "Bearer tk_secret".to_owned())));
    let sent = body(&sent[0]);
    assert_eq!((&sent["topic"], &sent["priority"], &sent["tags"]), (&json!("lab"), &json!(5), &json!(["red_circle"])));
    assert_eq!(sent["title"], "web-01 (101) crashed");
    let sent = rendered(&*of(GOTIFY), &crash(), Form::default(), None, false);
    assert_eq!(http(&sent[0]).url, "http://sim/message");
    assert!(http(&sent[0]).headers.contains(&("X-Gotify-Key", "Asecret".to_owned())));
    let sent = body(&sent[0]);
    assert_eq!((&sent["title"], &sent["priority"]), (&json!("🔴 web-01 (101) crashed"), &json!(8)));
    assert!(sent["message"].as_str().unwrap().contains("a \\<backup\\> \\& \\*more\\*  \n"), "{sent}");
}

#[test]
fn a_mail_has_both_forms_its_own_id_and_its_thread() {
    let email = of(EMAIL);
    let sent = rendered(&*email, &crash(), Form::default(), Some("<haia-row0@home.lan>"), true);
    let Dispatch::Mail(mail) = &sent[0] else { panic!("no mail") };
    let text = String::from_utf8(mail.message.clone()).unwrap();
    for header in [
        "From: HAIA <haia@home.lan>\r\n",
        "To: me@home.lan, you@home.lan\r\n",
        "Date: Sun, 01 Mar 2026 12:00:00 +0000\r\n",
        "Message-ID: <haia-row1@home.lan>\r\n",
        "In-Reply-To: <haia-row0@home.lan>\r\n",
        "References: <haia-row0@home.lan>\r\n",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
    ] {
        assert!(text.contains(header), "{header}\n{text}");
    }
    assert!(text.contains("color-scheme") && text.contains("&lt;backup&gt; &amp; *more*"), "{text}");
    assert_eq!(mail.envelope.to().len(), 2);
    assert_eq!(email.remote_id("row1").as_deref(), Some("<haia-row1@home.lan>"));
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer { status, headers, body: body.to_owned().into() }
}

/// The outcome as a word, with the wait in milliseconds.
fn word(outcome: &Outcome) -> String {
    let ms = |wait: &Option<Duration>| wait.map_or("-".to_owned(), |wait| wait.as_millis().to_string());
    match outcome {
        Outcome::Delivered { remote_id, pause } => {
            format!("delivered {} {}", remote_id.as_deref().unwrap_or("-"), ms(pause))
        }
        Outcome::Retry { wait, .. } => format!("retry {}", ms(wait)),
        Outcome::Unknown { .. } => "unknown".to_owned(),
        Outcome::Limited { wait, .. } => format!("limited {}", ms(wait)),
        Outcome::Plainer { .. } => "plainer".to_owned(),
        Outcome::TooLong { .. } => "too long".to_owned(),
        Outcome::Moved { chat } => format!("moved {chat}"),
        Outcome::Refused { .. } => "refused".to_owned(),
        Outcome::Stopped { .. } => "stopped".to_owned(),
    }
}

#[test]
fn answers_mean_what_the_receivers_mean() {
    let tg = |code: u16, text: &str| json!({"ok": false, "error_code": code, "description": text}).to_string();
    let html = "<html>oops</html>";
    for (config, status, headers, body, expected) in [
        (TELEGRAM, 200, vec![], r#"{"ok":true,"result":{"message_id":9}}"#.to_owned(), "delivered 9 -"),
        (TELEGRAM, 200, vec![], html.to_owned(), "unknown"),
        (TELEGRAM, 200, vec![], r#"{"ok":false}"#.to_owned(), "unknown"),
        (TELEGRAM, 429, vec![("retry-after", "5")], r#"{"parameters":{"retry_after":7}}"#.to_owned(), "limited 7000"),
        (TELEGRAM, 429, vec![("retry-after", "5")], html.to_owned(), "limited 5000"),
        (TELEGRAM, 400, vec![], tg(400, "Bad Request: can't parse entities: x"), "plainer"),
        (TELEGRAM, 400, vec![], tg(400, "Bad Request: message is too long"), "too long"),
        (TELEGRAM, 400, vec![], tg(400, "Bad Request: message is not modified"), "delivered - -"),
        (TELEGRAM, 400, vec![], tg(400, "Bad Request: chat not found"), "stopped"),
        (TELEGRAM, 400, vec![], r#"{"parameters":{"migrate_to_chat_id":-1001}}"#.to_owned(), "moved -1001"),
        (TELEGRAM, 401, vec![], tg(401, "Unauthorized"), "stopped"),
        (TELEGRAM, 403, vec![], tg(403, "Forbidden: bot was blocked by the user"), "stopped"),
        (TELEGRAM, 404, vec![], tg(404, "Not Found"), "stopped"),
        (TELEGRAM, 401, vec![], html.to_owned(), "retry -"),
        (TELEGRAM, 403, vec![], html.to_owned(), "retry -"),
        (TELEGRAM, 404, vec![], String::new(), "retry -"),
        (TELEGRAM, 502, vec![], html.to_owned(), "retry -"),
        (TELEGRAM, 504, vec![], html.to_owned(), "unknown"),
        (DISCORD, 200, vec![], r#"{"id":"12"}"#.to_owned(), "delivered 12 -"),
        (
            DISCORD,
            200,
            vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "1.5")],
            r#"{"id":"12"}"#.to_owned(),
            "delivered 12 1500",
        ),
        (DISCORD, 200, vec![], html.to_owned(), "unknown"),
        (DISCORD, 204, vec![], String::new(), "delivered - -"),
        (DISCORD, 429, vec![], r#"{"retry_after":0.65}"#.to_owned(), "limited 650"),
        (DISCORD, 429, vec![("retry-after", "120")], html.to_owned(), "limited 120000"),
        (DISCORD, 400, vec![], r#"{"code":50035,"message":"Invalid Form Body"}"#.to_owned(), "plainer"),
        (DISCORD, 400, vec![], r#"{"embeds":["0"]}"#.to_owned(), "plainer"),
        (DISCORD, 404, vec![], r#"{"code":10015,"message":"Unknown Webhook"}"#.to_owned(), "stopped"),
        (DISCORD, 401, vec![], r#"{"code":50027}"#.to_owned(), "stopped"),
        (DISCORD, 503, vec![("retry-after", "9")], String::new(), "retry 9000"),
        (NTFY, 200, vec![], r#"{"id":"a","event":"message"}"#.to_owned(), "delivered a -"),
        (NTFY, 200, vec![], html.to_owned(), "unknown"),
        (NTFY, 401, vec![], r#"{"code":40101,"http":401,"error":"unauthorized"}"#.to_owned(), "stopped"),
        (NTFY, 403, vec![], r#"{"code":40301,"http":403,"error":"forbidden"}"#.to_owned(), "stopped"),
        (NTFY, 404, vec![], r#"{"code":40401,"http":404,"error":"page not found"}"#.to_owned(), "stopped"),
        (NTFY, 401, vec![], html.to_owned(), "retry -"),
        (NTFY, 403, vec![], html.to_owned(), "retry -"),
        (NTFY, 404, vec![], "404 page not found".to_owned(), "retry -"),
        (NTFY, 413, vec![], r#"{"error":"too large"}"#.to_owned(), "too long"),
        (NTFY, 429, vec![], String::new(), "limited -"),
        (GOTIFY, 200, vec![], r#"{"id":3}"#.to_owned(), "delivered 3 -"),
        (
            GOTIFY,
            401,
            vec![],
            r#"{"error":"Unauthorized","errorCode":401,"errorDescription":"x"}"#.to_owned(),
            "stopped",
        ),
        (GOTIFY, 403, vec![], r#"{"error":"Forbidden","errorCode":403,"errorDescription":"x"}"#.to_owned(), "stopped"),
        (GOTIFY, 404, vec![], r#"{"error":"Not Found","errorCode":404,"errorDescription":"x"}"#.to_owned(), "stopped"),
        (GOTIFY, 401, vec![], html.to_owned(), "retry -"),
        (GOTIFY, 403, vec![("retry-after", "9")], html.to_owned(), "retry 9000"),
        (GOTIFY, 404, vec![], String::new(), "retry -"),
        (GOTIFY, 400, vec![], String::new(), "plainer"),
        (WEBHOOK, 202, vec![], String::new(), "delivered - -"),
        (WEBHOOK, 400, vec![], "no".to_owned(), "refused"),
        (WEBHOOK, 404, vec![], String::new(), "refused"),
        (WEBHOOK, 302, vec![], String::new(), "refused"),
        (WEBHOOK, 408, vec![], String::new(), "retry -"),
        (WEBHOOK, 425, vec![], String::new(), "retry -"),
        (WEBHOOK, 429, vec![("retry-after", "3")], String::new(), "limited 3000"),
        (WEBHOOK, 500, vec![], String::new(), "retry -"),
        (EMAIL, 250, vec![], "queued".to_owned(), "delivered - -"),
        (EMAIL, 451, vec![], "greylisted".to_owned(), "retry -"),
        (EMAIL, 535, vec![], "bad login".to_owned(), "stopped"),
        (EMAIL, 530, vec![], "5.7.0 authentication required".to_owned(), "stopped"),
        (EMAIL, 550, vec![], "no such user".to_owned(), "refused"),
        (EMAIL, 551, vec![], "user not local".to_owned(), "refused"),
        (EMAIL, 553, vec![], "mailbox name not allowed".to_owned(), "refused"),
        (EMAIL, 554, vec![], "spam".to_owned(), "refused"),
    ] {
        let outcome = of(config).classify(&answer(status, &headers, &body));
        assert_eq!(word(&outcome), expected, "{config} {status} {body}: {outcome:?}");
    }
}

#[test]
fn a_command_goes_there_and_back_and_nothing_else_is_one() {
    for command in [
        AlertCommand::Acknowledge { alert: u64::MAX },
        AlertCommand::Silence { alert: u64::MAX, minutes: u32::MAX },
        AlertCommand::Expect { alert: 1 },
        AlertCommand::Approve { proposal: 2, tag: Some(0x00c0_ffee) },
        AlertCommand::Deny { proposal: 3, tag: Some(u32::MAX) },
    ] {
        let code = telegram::code(command);
        assert!(code.len() <= 64, "{code}");
        assert_eq!(telegram::command(&code), Some(command));
    }
    for odd in ["", "a", "a:", "a:x", "a:1:2", "s:1", "s:1:2:3", "z:1", "a:-1"] {
        assert_eq!(telegram::command(odd), None, "{odd}");
    }
}

#[test]
fn errors_hold_no_secret() {
    for (config, secret) in [(TELEGRAM, "1:secret"), (DISCORD, "secret"), (NTFY, "tk_secret"), (GOTIFY, "Asecret")] {
        let told = of(config).scrubbed(&format!("cannot reach http://sim/{secret}/x"));
        assert!(!told.contains("secret"), "{told}");
    }
}

/// Words as alerts have them, and texts that break markup: every reserved character, emoji, right-to-left, unbalanced tags, thousands of
/// characters.
fn odd_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        "[a-z]{1,12} ",
        "[\\\\_*\\[\\]()~`>#+=|{}.!<&\"'@:-]{1,8}",
        Just("<b>".to_owned()),
        Just("</i><script>".to_owned()),
        Just("&lt;&nbsp;&#60;".to_owned()),
        Just("**`".to_owned()),
        Just("@everyone <@&1> ".to_owned()),
        Just("👨‍👩‍👧🏳️‍🌈e\u{301}".to_owned()),
        Just("\u{202e}שלום مرحبا\u{200f}".to_owned()),
        Just("\n- item\n# head\n".to_owned()),
        "\\PC{1,6}",
    ];
    prop_oneof![
        39 => prop::collection::vec(pieces.clone(), 0..12).prop_map(|pieces| pieces.concat()),
        1 => prop::collection::vec(pieces, 1..8).prop_map(|pieces| pieces.concat().repeat(160).chars().take(5000).collect()),
    ]
}

/// What of a text can be seen, without the stars and bullets of markup.
fn visible(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[test]
fn ten_thousand_odd_texts_are_taken_and_complete() {
    let (telegram, discord) = (of(&TELEGRAM.replace("-7", "7")), of(DISCORD));
    let config = ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() };
    let texts = (odd_text(), odd_text(), odd_text());
    TestRunner::new(config)
        .run(&texts, |(title, summary, text)| {
            let mut told = notice(NoticeKind::Opened, Severity::Warning, &title);
            told.members.push(member(1, &summary, "is odd"));
            told.members.push(member(2, "second", &summary));
            told.text = Some(text.clone());
            let is_long = title.len() + summary.len() + text.len() > 600;
            let mut takes = Telegram::new("1:secret");
            let mut takes_too = Discord::new("/api/webhooks/1/secret");
            for form in
                [Form::default(), Form { is_plain: true, halvings: 0 }].into_iter().take(1 + usize::from(is_long))
            {
                takes.messages.clear();
                takes_too.messages.clear();
                for dispatch in rendered(&*telegram, &told, form, None, true) {
                    let reply = takes.receive(Duration::ZERO, &seen(http(&dispatch))).unwrap();
                    prop_assert_eq!(reply.status, 200, "{}", reply.body);
                }
                for dispatch in rendered(&*discord, &told, form, None, true) {
                    let reply = takes_too.receive(Duration::ZERO, &seen(http(&dispatch))).unwrap();
                    prop_assert_eq!(reply.status, 200, "{}", reply.body);
                }
                let whole: Vec<String> = vec![
                    takes.messages.iter().map(|message| message.text.clone()).collect(),
                    takes_too.messages.iter().map(sim_receivers::DiscordMessage::text).collect(),
                ];
                for whole in whole {
                    if whole.contains("more characters are left out") {
                        continue;
                    }
                    // Titles of continued parts stand between the pieces: each word must be there, not the whole stretch.
                    let shown = visible(&whole);
                    for said in [&title, &summary, &text] {
                        let words: Vec<String> =
                            said.split_whitespace().map(visible).filter(|word| (1..40).contains(&word.len())).collect();
                        for word in words.iter().step_by(words.len() / 30 + 1) {
                            prop_assert!(shown.contains(word), "{} is missing in {}", word, whole);
                        }
                    }
                }
            }
            Ok(())
        })
        .unwrap();
}
