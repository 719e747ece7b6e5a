//! Lengths of time as providers write them: short ones such as `6m0s`, and those of sentences. Pure.

/// `48s`, `48.939935699s`, `900ms`, `6m0s`, `1h2m3s`, `20 seconds`, in seconds: the whole text.
pub fn length(text: &str) -> Option<f64> {
    leading(text.trim()).filter(|(_, rest)| rest.is_empty()).map(|(seconds, _)| seconds)
}

/// What stands before a length of time. OpenAI: "Please try again in 6m0s."; Gemini: "Please retry in 48.9s."; Azure: "Please retry after 33
/// seconds.", "Rate limit is exceeded. Try again in 30 seconds."
const BEFORE: [&str; 6] =
    ["retry in ", "try again in ", "retry after ", "try again after ", "please wait ", "please wait for "];

/// The length of time in a sentence such as "Please retry in 48.9s", in seconds. Of several the longest.
pub fn told(message: &str) -> Option<f64> {
    let lower = message.to_ascii_lowercase();
    let found = BEFORE.iter().flat_map(|words| lower.match_indices(words));
    let lengths = found.filter_map(|(at, words)| leading(lower[at + words.len()..].trim_start()));
    lengths.map(|(seconds, _)| seconds).reduce(f64::max)
}

/// The length of time that a text begins with, and what follows it: amounts with their units, as long as there are any.
fn leading(text: &str) -> Option<(f64, &str)> {
    let (mut sum, mut rest) = part(text)?;
    loop {
        let next = rest.trim_start_matches([' ', ',']);
        let next = next.strip_prefix("and ").unwrap_or(next).trim_start();
        match part(next) {
            Some((seconds, after)) => (sum, rest) = (sum + seconds, after),
            None => return Some((sum, rest)),
        }
    }
}

/// One amount and its unit: `6m`, `20 seconds`, `an hour`.
fn part(text: &str) -> Option<(f64, &str)> {
    let article = ["a ", "an ", "one "].iter().find_map(|word| text.strip_prefix(word));
    let (amount, rest) = match article {
        Some(rest) => (1.0, rest),
        None => {
            let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
            (super::figure(&text[..digits])?, &text[digits..])
        }
    };
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let seconds = match &rest[..letters] {
        "d" | "day" | "days" => amount * 86_400.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => amount * 3600.0,
        "m" | "min" | "mins" | "minute" | "minutes" => amount * 60.0,
        "s" | "sec" | "secs" | "second" | "seconds" => amount,
        "ms" | "msec" | "millisecond" | "milliseconds" => amount / 1e3,
        "us" | "\u{b5}s" | "\u{3bc}s" | "microseconds" => amount / 1e6,
        "ns" | "nanoseconds" => amount / 1e9,
        _ => return None,
    };
    Some((seconds, &rest[letters..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_read_short_and_in_words() {
        for (text, seconds) in [
            ("48s", Some(48.0)),
            ("48.5s", Some(48.5)),
            ("900ms", Some(0.9)),
            ("6m0s", Some(360.0)),
            ("2m30s", Some(150.0)),
            ("1h2m3s", Some(3723.0)),
            ("1d", Some(86_400.0)),
            ("20 seconds", Some(20.0)),
            ("1 minute", Some(60.0)),
            ("1 minute 30 seconds", Some(90.0)),
            ("1 hour, 2 minutes and 3 seconds", Some(3723.0)),
            ("350 milliseconds", Some(0.35)),
            ("an hour", Some(3600.0)),
            ("5\u{b5}s", Some(5e-6)),
            ("20", None),
            ("20 seconds or so", None),
            ("a few seconds", None),
            ("second", None),
            ("1 month", None),
            ("", None),
        ] {
            assert_eq!(length(text), seconds, "{text}");
        }
    }

    #[test]
    fn sentences_tell_a_wait() {
        for (message, seconds) in [
            ("Rate limit reached. Please try again in 20 seconds.", Some(20.0)),
            ("Rate limit is exceeded. Try again in 30 seconds.", Some(30.0)),
            ("Please retry after 33 seconds. Please go here: https://aka.ms/oai/quotaincrease", Some(33.0)),
            ("Try again in 1 minute.", Some(60.0)),
            ("Please try again in 2m30s. Visit x", Some(150.0)),
            ("Please try again in 350 milliseconds", Some(0.35)),
            ("Please try again in 7.66s.", Some(7.66)),
            ("Please wait 12 seconds before you send another request", Some(12.0)),
            ("Please wait for 1 minute and try again", Some(60.0)),
            ("Too many requests. Try again in a minute.", Some(60.0)),
            ("Try again in 5 minutes, 3 of 3 places are taken", Some(300.0)),
            ("Retry in 2 seconds, or try again in 1 hour without a key", Some(3600.0)),
            ("retry in a while", None),
            ("Please try again in 20", None),
            ("It took 20 seconds", None),
            ("Please retry after", None),
        ] {
            assert_eq!(told(message), seconds, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,30}") {
            let _ = (length(&text), told(&text), told(&format!("retry in {text}")));
        }
    }
}
