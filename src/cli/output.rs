//! Where commands write: results to stdout, progress and problems to stderr. A reader that goes away (`haia status | head -1`) is no
//! failure of the command. The only place of the command line that touches the standard streams.

use super::text::Style;
use std::io::{self, IsTerminal, Write};

/// The standard streams, and whether they show colours.
pub struct Output {
    out: Box<dyn Write + Send>,
    error: Box<dyn Write + Send>,
    /// Colours on stdout.
    colour: bool,
    /// Colours on stderr.
    error_colour: bool,
}

impl Output {
    /// The process's streams. Colours only on a terminal, and never with `NO_COLOR` set.
    pub fn standard(no_color: bool) -> Self {
        Self {
            out: Box::new(io::stdout()),
            error: Box::new(io::stderr()),
            colour: !no_color && io::stdout().is_terminal(),
            error_colour: !no_color && io::stderr().is_terminal(),
        }
    }

    /// Streams of a test.
    #[cfg(test)]
    pub fn of(out: impl Write + Send + 'static, error: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), error: Box::new(error), colour: false, error_colour: false }
    }

    /// Whether stdout shows colours.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Writes to stdout as it is, at once.
    ///
    /// # Errors
    /// The stream is closed or full; see [`is_gone`].
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line to stdout.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.write(&format!("{text}\n"))
    }

    /// Writes a value to stdout as indented JSON.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(&text)
    }

    /// Tells progress on stderr. That it cannot be told is no reason to stop.
    pub fn progress(&mut self, text: &str) {
        let text = Style::Dim.paint(text, self.error_colour);
        let _ = writeln!(self.error, "{text}");
    }

    /// Tells a problem on stderr.
    pub fn problem(&mut self, text: &str) {
        let word = Style::Bad.paint("error:", self.error_colour);
        let _ = writeln!(self.error, "{word} {text}");
    }

    /// Tells a warning on stderr.
    pub fn warning(&mut self, text: &str) {
        let word = Style::Middling.paint("warning:", self.error_colour);
        let _ = writeln!(self.error, "{word} {text}");
    }
}

/// Whether an error only says that the reader of the output has gone away.
pub fn is_gone(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
pub mod testing {
    //! Streams that a test can read.

    use super::Output;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex, PoisonError};

    /// What was written to one stream.
    #[derive(Clone, Default)]
    pub struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        /// As text.
        pub fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output, and what is written to its stdout and stderr.
    pub fn output() -> (Output, Written, Written) {
        let (out, error) = (Written::default(), Written::default());
        (Output::of(out.clone(), error.clone()), out, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_recognised() {
        let mut output = Output::of(Closed, Closed);
        let error = anyhow::Error::from(output.line("x").expect_err("closed")).context("writing");
        assert!(is_gone(&error));
        assert!(!is_gone(&anyhow::anyhow!("something else")));
        output.progress("must not fail");
        output.problem("must not fail");
    }

    #[test]
    fn results_and_problems_go_separate_ways() {
        let (mut output, out, error) = testing::output();
        output.json(&[1]).expect("written");
        output.problem("bad");
        output.warning("odd");
        assert_eq!((out.text(), error.text()), ("[\n  1\n]\n".to_owned(), "error: bad\nwarning: odd\n".to_owned()));
    }
}
