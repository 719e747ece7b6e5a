//! `haia ask`: one question, the answer streamed to stdout as it comes, what HAIA is doing meanwhile to stderr.

use super::Exit;
use super::output::Output;
use super::pieces::{Piece, Reader, error_message};
use super::socket::{Socket, SocketError};
use super::text::{clean, one_line};
use serde_json::json;
use std::io;

/// The agent on its own route.
const MODEL: &str = "haia";

/// Writes an answer piece by piece, wherever it comes from.
pub struct Printer<'a> {
    output: &'a mut Output,
    ends_with_newline: bool,
    wrote: bool,
    complete: bool,
    failed: Option<String>,
}

impl<'a> Printer<'a> {
    /// A printer of one answer.
    pub fn new(output: &'a mut Output) -> Self {
        Self { output, ends_with_newline: true, wrote: false, complete: false, failed: None }
    }

    /// Text of the answer.
    ///
    /// # Errors
    /// stdout is closed.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        let text = clean(text);
        if text.is_empty() {
            return Ok(());
        }
        self.wrote = true;
        self.ends_with_newline = text.ends_with('\n');
        self.output.write(&text)
    }

    /// What HAIA is doing.
    pub fn status(&mut self, description: &str) {
        self.output.progress(&one_line(description));
    }

    /// The answer is complete.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// The answer failed. The first reason counts.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failed.get_or_insert(reason.into());
    }

    /// Ends the answer: a line break where it has none, and the reason where it failed.
    ///
    /// # Errors
    /// stdout is closed.
    pub fn finish(self) -> io::Result<Exit> {
        if !self.ends_with_newline {
            self.output.write("\n")?;
        }
        let reason = match (self.failed, self.complete, self.wrote) {
            (Some(reason), ..) => reason,
            (None, false, true) => "the answer broke off".to_owned(),
            (None, false, false) => "there was no answer".to_owned(),
            (None, true, _) => return Ok(Exit::Done),
        };
        self.output.problem(&one_line(&reason));
        Ok(Exit::Failed)
    }
}

/// Asks the running daemon.
///
/// # Errors
/// The daemon cannot be reached, or stdout is closed. That the daemon could not answer is told and is the exit code.
pub fn through_daemon(socket: &Socket, text: &str, output: &mut Output) -> anyhow::Result<Exit> {
    let body = json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": text}]});
    let mut printer = Printer::new(output);
    let (mut reader, mut whole) = (Reader::default(), Vec::new());
    let streamed = socket.stream("POST", "/v1/chat/completions", &body, &mut |head, bytes| {
        if head.content_type != "text/event-stream" {
            whole.extend_from_slice(bytes);
            return Ok(());
        }
        reader.push(bytes).into_iter().try_for_each(|piece| match piece {
            Piece::Text(text) => printer.text(&text),
            Piece::Status(description) => {
                printer.status(&description);
                Ok(())
            }
            Piece::Failed(reason) => {
                printer.fail(reason);
                Ok(())
            }
            Piece::Done => {
                printer.complete();
                Ok(())
            }
        })
    });
    match streamed {
        Ok(head) if !whole.is_empty() || head.status >= 300 => {
            let told = serde_json::from_slice(&whole).ok().and_then(|body| error_message(&body));
            printer.fail(told.unwrap_or_else(|| format!("HAIA answered with status {}", head.status)));
        }
        Ok(_) => {}
        // What was written of the answer stays; the reason follows on a line of its own.
        Err(error @ (SocketError::Malformed(_) | SocketError::Deadline(_))) => printer.fail(error.to_string()),
        Err(error) => return Err(error.into()),
    }
    Ok(printer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json};
    use super::*;

    fn stream(events: &[&str]) -> String {
        let mut answer =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for event in events {
            let data = format!("data: {event}\n\n");
            answer.push_str(&format!("{:x}\r\n{data}\r\n", data.len()));
        }
        answer + "0\r\n\r\n"
    }

    fn ask(answer: String) -> (Exit, String, String) {
        let daemon = Daemon::start(vec![answer]);
        let (mut output, out, error) = output();
        let exit = through_daemon(&daemon.socket(), "what is running?", &mut output).expect("reached");
        assert!(daemon.request().contains(r#""content":"what is running?""#));
        (exit, out.text(), error.text())
    }

    #[test]
    fn the_answer_goes_to_stdout_and_the_rest_to_stderr() {
        let events = [
            r#"{"choices":[{"delta":{}}],"event":{"type":"status","data":{"description":"Looking","done":false}}}"#,
            r#"{"choices":[{"delta":{"content":"All \u001b[31mis"}}]}"#,
            r#"{"choices":[{"delta":{"content":" well."}}]}"#,
            "[DONE]",
        ];
        assert_eq!(ask(stream(&events)), (Exit::Done, "All [31mis well.\n".to_owned(), "Looking\n".to_owned()));
    }

    #[test]
    fn failures_before_and_in_an_answer_are_told() {
        let text = r#"{"choices":[{"delta":{"content":"All"}}]}"#;
        let table = [
            (stream(&[text]), "All\n", "error: the answer broke off\n"),
            (stream(&[]), "", "error: there was no answer\n"),
            (stream(&[text, r#"{"error":{"message":"the model is gone"}}"#]), "All\n", "error: the model is gone\n"),
            (json("503 Service Unavailable", r#"{"error":{"message":"no provider"}}"#), "", "error: no provider\n"),
            (json("500 Internal Server Error", "oh"), "", "error: HAIA answered with status 500\n"),
            (
                stream(&[text]).replace("0\r\n\r\n", ""),
                "All\n",
                "error: the daemon's answer is not understood: the connection ended in the middle of it\n",
            ),
        ];
        for (answer, out, error) in table {
            assert_eq!(ask(answer), (Exit::Failed, out.to_owned(), error.to_owned()));
        }
    }
}
