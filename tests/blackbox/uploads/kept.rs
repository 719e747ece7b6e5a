//! Forms that name their model behind their recording: kept on disk until then, gone with their request, and told what is wrong with them.

use super::{BOUNDARY, Client, DEADLINE, MIB, Raw, assert_refused, field, form, sound};
use crate::daemon::{Daemon, eventually};
use serde_json::json;
use std::path::PathBuf;

/// A form as it leaves for HAIA, and as it must reach the provider: the recording, `between`, the model, and another field.
fn file_first(length: usize, between: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let with = |model: &str| {
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav";
        let mut body = format!("--{BOUNDARY}\r\n{head}\r\n\r\n").into_bytes();
        body.extend_from_slice(&sound(length));
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(between);
        body.extend_from_slice(&field("model", model));
        body.extend_from_slice(&field("language", "de"));
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    };
    (with("raw/whisper"), with("whisper"))
}

/// The most memory that the daemon ever had, in bytes.
fn peak(daemon: &Daemon) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a figure") << 10
}

/// The files without a name that the daemon holds open in its folder.
fn nameless(daemon: &Daemon) -> Vec<PathBuf> {
    let folder = daemon.folder().path().canonicalize().expect("a folder");
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("the process runs");
    let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    open.filter(|path| path.starts_with(&folder) && path.to_string_lossy().ends_with("(deleted)")).collect()
}

#[test]
fn a_recording_before_its_model_is_kept_on_disk_and_arrives_byte_for_byte() {
    let raw = Raw::start();
    let daemon = raw.daemon("max_body = \"128MiB\"", "");
    let (sent, expected) = file_first(48 * MIB, b"");
    let warm = peak(&daemon);
    for chunked in [false, true] {
        let mut client = Client::begin(&daemon, (!chunked).then_some(sent.len()));
        if chunked {
            sent.chunks(MIB).for_each(|piece| client.send_chunk(piece));
            client.send(b"0\r\n\r\n");
        } else {
            client.send(&sent);
        }
        let mut asked = raw.asked();
        assert_eq!(nameless(&daemon).len(), 1, "the recording waits in a file without a name");
        assert!(asked.body(expected.len()) == expected, "every byte, and the model's own name");
        asked.answer("200 OK", "{\"text\":\"heard\"}");
        assert_eq!(client.answer().json()["text"], "heard");
        daemon.wait_until_idle();
        eventually("the file is gone", || nameless(&daemon).is_empty().then_some(()));
    }
    let grown = peak(&daemon) - warm;
    assert!(grown < 16 * MIB, "{grown} bytes of memory for recordings of 48 MiB");
}

impl super::Asked {
    /// The body, in chunks or of this length.
    fn body(&mut self, length: usize) -> Vec<u8> {
        match self.has("transfer-encoding: chunked") {
            true => self.chunks().expect("all of it"),
            false => self.exactly(length),
        }
    }
}

#[test]
fn a_long_field_before_a_late_file_is_kept_on_disk_too() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    // The model comes first here, but with nothing of the file for long.
    let (short, _) = form(1024);
    let prompt = field("prompt", &"words ".repeat(MIB));
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"");
    let file = memchr::memmem::find(&short, head.as_bytes()).expect("the file");
    let sent = [&short[..file], &prompt, &short[file..]].concat();
    let expected = String::from_utf8_lossy(&sent[..file]).replace("raw/whisper", "whisper").into_bytes();
    let expected = [&expected, &sent[file..]].concat();
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent);
    let mut asked = raw.asked();
    assert!(asked.exactly(expected.len()) == expected);
    asked.answer("200 OK", "{\"text\":\"heard\"}");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn what_was_kept_is_gone_whoever_leaves() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    let (sent, _) = file_first(8 * MIB, b"");
    let kept = || eventually("something is kept", || (nameless(&daemon).len() == 1).then_some(()));
    let gone = || eventually("the file is gone", || nameless(&daemon).is_empty().then_some(()));
    // A client in the middle of its recording, one whose form is with the provider, and a provider that cuts.
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent[..4 * MIB]);
    kept();
    drop(client);
    gone();
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent);
    let mut asked = raw.asked();
    asked.exactly(MIB);
    drop(client);
    assert!(asked.is_left());
    gone();
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent);
    let mut asked = raw.asked();
    asked.exactly(MIB);
    drop(asked);
    assert_refused(&client.answer(), 503, "provider_unavailable");
    gone();
    daemon.wait_until_idle();
    assert!(raw.is_asked_no_more());
}

#[test]
fn what_is_wrong_with_a_kept_form_is_said() {
    let raw = Raw::start();
    let daemon = raw.daemon("max_body = \"2MiB\"", "");
    let (good, _) = file_first(MIB, b"");
    let model = memchr::memmem::find(&good, &field("model", "raw/whisper")).expect("the model");
    let model = model..model + field("model", "raw/whisper").len();
    let none = [&good[..model.start], &good[model.end..]].concat();
    let nameless_model = [&good[..model.start], &field("model", &"m".repeat(MIB / 2)), &good[model.end..]].concat();
    let (large, _) = file_first(3 * MIB, b"");
    for (sent, status, param, code) in [
        (&none, 400, json!("model"), json!(null)),
        (&nameless_model, 400, json!("model"), json!(null)),
        (&large, 413, json!(null), json!("request_too_large")),
    ] {
        let mut client = Client::begin(&daemon, None);
        client.send_chunk(sent);
        client.send(b"0\r\n\r\n");
        let answer = client.answer();
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["param"], &error["code"]), (status, &param, &code), "{}", answer.text());
    }
    // Half a form, and one that names a second model, when the first is with the provider already.
    let rest = good.len() - BOUNDARY.len() - 6;
    let twice = [&good[..rest], &field("prompt", &"words ".repeat(MIB / 16)), &field("model", "raw/other")].concat();
    for (sent, param) in [(&good[..rest], json!(null)), (&twice[..], json!("model"))] {
        let mut client = Client::begin(&daemon, None);
        client.send_chunk(sent);
        client.send(b"0\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &param), "{}", answer.text());
    }
    daemon.wait_until_idle();
    while let Ok(mut asked) = raw.asked.try_recv() {
        assert!(asked.chunks().is_none(), "a part is never passed off as all of it");
    }
    assert_eq!(nameless(&daemon).len(), 0);
}

#[test]
fn a_folder_that_takes_nothing_is_told_and_a_short_form_needs_none() {
    let raw = Raw::start();
    let daemon = raw.setup("", "").config("[store]\npath = \"data/haia.db\"\n").start();
    std::fs::remove_dir_all(daemon.folder().path().join("data")).expect("the folder was there");
    let (sent, _) = file_first(MIB, b"");
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent);
    let told = client.answer();
    assert_refused(&told, 503, "upload_not_kept");
    for words in ["No such file or directory", "send \"model\" before \"file\"", "[store] path"] {
        assert!(told.text().replace("\\\"", "\"").contains(words), "no {words} in {}", told.text());
    }
    let (sent, expected) = file_first(1024, b"");
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent);
    let mut asked = raw.asked.recv_timeout(DEADLINE).expect("the provider is asked");
    assert!(asked.exactly(expected.len()) == expected);
    asked.answer("200 OK", "{\"text\":\"heard\"}");
    assert_eq!(client.answer().status, 200);
}
