//! Long results: a model sees the beginning, the rest waits here for `read_result`. Bounded in number, size and time; pure.

use super::text;
use contract::caller::Caller;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The most results held.
const MOST: usize = 64;
/// The most bytes of all results held.
const MOST_BYTES: usize = 32 << 20;
/// The most bytes of one.
const ONE_BYTES: usize = 8 << 20;
/// How long one is held after it was last read.
const HELD_FOR: Duration = Duration::from_secs(15 * 60);

struct Held {
    id: String,
    of: Caller,
    text: Arc<str>,
    until: Duration,
}

/// The results that are held.
#[derive(Default)]
pub(crate) struct HeldResults {
    held: VecDeque<Held>,
    bytes: usize,
}

impl HeldResults {
    /// The text as a model sees it: whole if it has at most `most` bytes, else its beginning with a note in front of it (whoever cuts
    /// the text again cuts its end).
    pub(crate) fn fit(
        &mut self,
        whole: String,
        most: usize,
        id: impl FnOnce() -> String,
        of: &Caller,
        now: Duration,
    ) -> String {
        if whole.len() <= most {
            return whole;
        }
        let size = whole.len();
        let mut kept = whole;
        if kept.len() > ONE_BYTES {
            kept.truncate(boundary(&kept, ONE_BYTES));
        }
        let note = |shown: usize, id: &str, kept: usize| {
            let lost =
                if kept < size { format!("; only the first {} are kept", text::bytes(kept)) } else { String::new() };
            format!(
                "[HAIA: this result has {}, here are its first {shown}{lost}. To read on, call read_result with id \"{id}\" and offset {shown}, or ask the tool for less.]\n",
                text::bytes(size)
            )
        };
        let id = id();
        let room = most.saturating_sub(note(most, &id, kept.len().min(1)).len() + 40);
        let shown = boundary(&kept, room);
        let fitted = format!("{}{}", note(shown, &id, kept.len()), &kept[..shown]);
        self.hold(Held { id, of: of.clone(), text: kept.into(), until: now.saturating_add(HELD_FOR) }, now);
        fitted
    }

    /// A piece of a held result, at most `most` bytes, for the caller whose call made it.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(crate) fn read(
        &mut self,
        id: &str,
        offset: usize,
        most: usize,
        of: &Caller,
        now: Duration,
    ) -> Result<String, String> {
        self.forget(now);
        let held =
            self.held.iter_mut().find(|held| held.id == id && held.of.name == of.name && held.of.origin == of.origin);
        let Some(held) = held else {
            return Err(
                "there is no such result (any more): results are held for 15 minutes; call the tool again".to_owned()
            );
        };
        held.until = now.saturating_add(HELD_FOR);
        if offset >= held.text.len() {
            return Err(format!("the result has {} bytes, so there is nothing at offset {offset}", held.text.len()));
        }
        let begin = boundary(&held.text, offset);
        let end = boundary(&held.text, begin.saturating_add(most.saturating_sub(160).max(4)));
        let rest = if end < held.text.len() {
            format!("[{} of {} bytes follow from offset {end}]\n", held.text.len() - end, held.text.len())
        } else {
            "[this is the end]\n".to_owned()
        };
        Ok(format!("{rest}{}", &held.text[begin..end]))
    }

    fn hold(&mut self, held: Held, now: Duration) {
        self.forget(now);
        self.bytes += held.text.len();
        self.held.push_back(held);
        while self.held.len() > MOST || self.bytes > MOST_BYTES {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.held.pop_front() {
            self.bytes -= oldest.text.len();
        }
    }

    fn forget(&mut self, now: Duration) {
        self.held.retain(|held| held.until > now);
        self.bytes = self.held.iter().map(|held| held.text.len()).sum();
    }
}

/// The last place between two characters that is not after `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::caller::{Origin, Scope};

    fn caller(name: &str) -> Caller {
        Caller { name: name.into(), scope: Scope::Control, origin: Origin::Chat }
    }

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn a_long_result_can_be_read_to_its_end() {
        let mut held = HeldResults::default();
        let whole: String = (0..5000).map(|at| format!("zeile ü{at}\n")).collect();
        let shown = held.fit(whole.clone(), 2000, || "r1".to_owned(), &caller("anna"), NOW);
        assert!(shown.len() <= 2000 && shown.starts_with("[HAIA: this result has "), "{} {shown}", shown.len());
        let (note, beginning) = shown.split_once('\n').expect("a note");
        let mut all = beginning.to_owned();
        assert!(note.contains(&format!("offset {}", all.len())), "{note}");
        while all.len() < whole.len() {
            let piece = held.read("r1", all.len(), 4000, &caller("anna"), NOW).expect("a piece");
            assert!(piece.len() <= 4000);
            all.push_str(piece.split_once('\n').expect("a note").1);
        }
        assert_eq!(all, whole);
        assert!(
            held.read("r1", whole.len(), 4000, &caller("anna"), NOW)
                .is_err_and(|said| said.contains("nothing at offset"))
        );
    }

    #[test]
    fn nobody_else_reads_it_and_it_expires() {
        let mut held = HeldResults::default();
        assert_eq!(held.fit("short".to_owned(), 10, || panic!("not needed"), &caller("anna"), NOW), "short");
        held.fit("x".repeat(5000), 1000, || "r1".to_owned(), &caller("anna"), NOW);
        assert!(held.read("r1", 0, 900, &caller("ben"), NOW).is_err());
        assert!(held.read("r1", 0, 900, &Caller { origin: Origin::Job, ..caller("anna") }, NOW).is_err());
        assert!(held.read("r1", 0, 900, &caller("anna"), NOW + HELD_FOR - Duration::from_secs(1)).is_ok());
        // Reading holds it on.
        assert!(held.read("r1", 0, 900, &caller("anna"), NOW + HELD_FOR).is_ok());
        assert!(held.read("r1", 0, 900, &caller("anna"), NOW + HELD_FOR * 3).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let mut held = HeldResults::default();
        for at in 0..200 {
            held.fit("x".repeat(1 << 20), 1000, || format!("r{at}"), &caller("anna"), NOW);
            assert!(held.bytes <= MOST_BYTES && held.held.len() <= MOST);
        }
        assert!(held.read("r0", 0, 900, &caller("anna"), NOW).is_err());
        assert!(held.read("r199", 0, 900, &caller("anna"), NOW).is_ok());
        let shown = held.fit("y".repeat(20 << 20), 1000, || "big".to_owned(), &caller("anna"), NOW);
        assert!(
            shown.contains("this result has 20.0 MiB") && shown.contains("only the first 8.0 MiB are kept"),
            "{shown}"
        );
    }
}
