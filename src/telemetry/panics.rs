//! Panics as events of the log. The text of a panic is shown only where the program's source fixes it: a text put together at run time may
//! hold what must not be in a log, and the place is enough to find it.

use std::any::Any;
use std::panic::PanicHookInfo;

/// Makes every panic of the process an event.
pub fn install() {
    std::panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(target: "haia::panic", location, thread, "panic: {}", text(info.payload()));
}

fn text(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(its text is not shown: it may hold data)")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn only_fixed_texts_are_shown() {
        assert_eq!(text(&"index is fixed"), "index is fixed");
        assert!(!text(&format!("key {}", "sk-123")).contains("sk-123"));
    }
}
