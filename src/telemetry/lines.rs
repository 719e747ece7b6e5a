//! Lines of text: one event is one line, whatever text it carries, with the journal's priority in front where the journal reads it.

use super::Form;
use jiff::Timestamp;
use std::cell::RefCell;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Another format, kept to one line.
pub struct Lines<F> {
    inner: F,
    priority: bool,
}

impl<F> Lines<F> {
    /// The format as it is.
    pub fn plain(inner: F) -> Self {
        Self { inner, priority: false }
    }

    /// The format after `<N>`, the priority of syslog.
    pub fn with_priority(inner: F) -> Self {
        Self { inner, priority: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.priority {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        let about = event.metadata();
        if about.target() == ACCESS && *about.level() == Level::INFO && !writer.has_ansi_escapes() {
            return access(writer, !self.priority, event);
        }
        let mut line = OneLine { inner: &mut writer, held: 0 };
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        writer.write_char('\n')
    }
}

/// The target of the access log, whose lines are written here: one for each request, where the format for everything else is a tenth of what a
/// relayed request costs.
const ACCESS: &str = "access";

/// The line of a request, as the other format would write it. It is put together in room of the thread's own and handed over at once.
fn access(mut writer: Writer<'_>, with_time: bool, event: &Event<'_>) -> fmt::Result {
    thread_local! {
        static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    }
    LINE.with_borrow_mut(|line| {
        line.clear();
        if with_time {
            #[expect(
                clippy::disallowed_methods,
                reason = "the log tells the system's time, as tracing does in every other line"
            )]
            time(line, Timestamp::now());
            line.push(' ');
        }
        line.push_str(" INFO access:");
        event.record(&mut Fields { line });
        line.push('\n');
        writer.write_str(line)
    })
}

/// The time as [`SystemTime`] writes it. The calendar is asked once a second.
fn time(line: &mut String, now: Timestamp) {
    thread_local! {
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != now.as_second() {
            *known = now.as_second();
            *text = now.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
        }
        line.push_str(text);
        digits(line, now.subsec_microsecond().unsigned_abs().into(), 6);
        line.push('Z');
    });
}

/// The number in decimal digits, with noughts in front up to `least` of them.
fn digits(line: &mut String, number: u64, least: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    (digits.len()..least).for_each(|_| line.push('0'));
    line.push_str(digits);
}

/// Writes ` name=value`.
struct Fields<'a> {
    line: &'a mut String,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.line.push(' ');
        self.line.push_str(field.name());
        self.line.push('=');
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Each byte is looked at, whatever the first is: that way compilers look at many at once.
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
        if !value.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            return self.record_debug(field, &value);
        }
        self.name(field);
        self.line.push('"');
        self.line.push_str(value);
        self.line.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        digits(self.line, value, 1);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Milliseconds to the microsecond need no search for the shortest digits that mean the same.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        let thousandths = if (0.0..1e12).contains(&value) { (value * 1e3).round() as u64 } else { 0 };
        #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "whether nothing was lost is what is asked")]
        let is_all = value.is_sign_positive() && thousandths as f64 / 1e3 == value;
        if !is_all {
            return self.record_debug(field, &value);
        }
        let (mut fraction, mut places) = (thousandths % 1000, 3);
        while places > 1 && fraction % 10 == 0 {
            (fraction, places) = (fraction / 10, places - 1);
        }
        self.name(field);
        digits(self.line, thousandths / 1000, 1);
        self.line.push('.');
        digits(self.line, fraction, places);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let mut line = OneLine { inner: &mut *self.line, held: 0 };
        // Nothing but the value itself can fail here, and what it said until then is worth its line.
        let _ = fmt::Write::write_fmt(&mut line, format_args!("{value:?}"));
    }
}

/// Passes text on; line breaks in it become visible marks, but for those at its very end, which are left out.
struct OneLine<'a, W> {
    inner: &'a mut W,
    /// Line feeds that came last.
    held: usize,
}

impl<W: fmt::Write> fmt::Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = text.trim_end_matches('\n');
        if !kept.is_empty() {
            for _ in 0..std::mem::take(&mut self.held) {
                self.inner.write_str("\\n")?;
            }
            // Nearly every text has none.
            if !kept.as_bytes().contains(&b'\n') && !kept.as_bytes().contains(&b'\r') {
                self.held += text.len() - kept.len();
                return self.inner.write_str(kept);
            }
            let mut rest = kept;
            while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'\n' | b'\r')) {
                self.inner.write_str(&rest[..at])?;
                self.inner.write_str(if rest.as_bytes()[at] == b'\n' { "\\n" } else { "\\r" })?;
                rest = &rest[at + 1..];
            }
            self.inner.write_str(rest)?;
        }
        self.held += text.len() - kept.len();
        Ok(())
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// The line that tells of lost lines, written by the log itself.
pub fn notice(form: Form, dropped: u64) -> String {
    const TARGET: &str = "haia::telemetry";
    let text = format!("{dropped} log lines were dropped: they came faster than they could be written");
    let mut time = String::new();
    // Without a time the line still says what it has to.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    match form {
        Form::Text { .. } => format!("{time}  WARN {TARGET}: {text}\n"),
        Form::Journal => format!("<4> WARN {TARGET}: {text}\n"),
        Form::Json => {
            let line = serde_json::json!({"timestamp": time, "level": "WARN", "message": text, "dropped": dropped, "target": TARGET});
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn line_breaks_become_marks_but_for_the_last() {
        for (pieces, line) in [
            (&["a", "b\n"][..], "ab"),
            (&["a\n", "b", "\n", "\n"], "a\\nb"),
            (&["a\n\n", "", "\nb\r\nc\r"], "a\\n\\n\\nb\\r\\nc\\r"),
            (&["\n"], ""),
            (&["é\né"], "é\\né"),
        ] {
            let mut text = String::new();
            let mut one = OneLine { inner: &mut text, held: 0 };
            pieces.iter().for_each(|piece| one.write_str(piece).expect("a string takes all"));
            assert_eq!(text, line, "{pieces:?}");
        }
    }

    #[test]
    fn times_are_written_to_the_microsecond() {
        // One second again, and one that goes back.
        for (at, text) in [
            ("2026-11-21T20:59:53.000001Z", "2026-11-21T20:59:53.000001Z"),
            ("2026-11-21T20:59:53.999999999Z", "2026-11-21T20:59:53.999999Z"),
            ("2026-11-21T20:59:54Z", "2026-11-21T20:59:54.000000Z"),
            ("2026-11-21T20:59:53.5Z", "2026-11-21T20:59:53.500000Z"),
        ] {
            let mut written = String::new();
            time(&mut written, at.parse().expect("a time"));
            assert_eq!(written, text);
        }
    }

    #[test]
    fn lost_lines_are_told_in_every_form() {
        for form in [Form::Text { colour: true }, Form::Journal, Form::Json] {
            let line = notice(form, 7);
            assert!(
                line.contains("7 log lines were dropped") && line.ends_with('\n') && line.lines().count() == 1,
                "{line}"
            );
        }
        assert!(serde_json::from_str::<serde_json::Value>(&notice(Form::Json, 7)).is_ok());
        assert!(notice(Form::Journal, 7).starts_with("<4>"));
    }
}
