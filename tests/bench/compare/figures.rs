//! Figures: percentiles, medians over rounds, and the table of them.

use std::collections::BTreeMap;

/// What one server's round came to, by the row's name.
pub type Round = BTreeMap<&'static str, f64>;

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub label: &'static str,
    pub digits: usize,
}

const fn row(name: &'static str, label: &'static str, digits: usize) -> Row {
    Row { name, label, digits }
}

pub const ROWS: [Row; 21] = [
    row("c1 p50", "one request at a time: p50, µs", 0),
    row("c1 p99", "one request at a time: p99, µs", 0),
    row("c64 rps", "64 at a time: requests/s", 0),
    row("c64 p99", "64 at a time: p99, µs", 0),
    row("request cpu", "CPU per request, µs", 1),
    row("s1 first p50", "1 stream: first text p50, µs", 0),
    row("s1 delay p50", "1 stream: delay of a piece p50, µs", 0),
    row("s16 first p50", "16 streams: first text p50, µs", 0),
    row("s16 delay p50", "16 streams: delay of a piece p50, µs", 0),
    row("s16 delay p99", "16 streams: delay of a piece p99, µs", 0),
    row("s100 first p50", "100 streams: first text p50, µs", 0),
    row("s100 first p99", "100 streams: first text p99, µs", 0),
    row("s100 delay p50", "100 streams: delay of a piece p50, µs", 0),
    row("s100 delay p99", "100 streams: delay of a piece p99, µs", 0),
    row("stream cpu", "CPU per stream of 50 pieces, µs", 0),
    row("memory warm", "memory after warm-up, MiB", 1),
    row("memory open", "memory with all streams open, MiB", 1),
    row("memory stream", "memory per open stream, KiB", 1),
    row("memory after", "memory 3 s after they closed, MiB", 1),
    row("start", "start to first answer, ms", 0),
    row("failed", "failed requests and broken streams", 0),
];

/// The value below which `percent` of the samples lie. Sorts them.
pub fn percentile(samples: &mut [u64], percent: f64) -> f64 {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    let at = (samples.len() as f64 * percent / 100.0) as usize;
    samples.get(at.min(last)).copied().unwrap_or(0) as f64
}

/// The middle of some values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => Some(values[half]),
        _ => Some((values.get(half.checked_sub(1)?)? + values.get(half)?) / 2.0),
    }
}

/// Prints what every server came to. `base` is the column that the others are divided by, round by round.
pub fn print(servers: &[(String, Vec<Round>)], base: usize) {
    let others: Vec<usize> = (0..servers.len()).filter(|at| *at != base).collect();
    print!("| median of {} |", servers[base].1.len());
    servers.iter().for_each(|(name, _)| print!(" {name} |"));
    others.iter().for_each(|at| print!(" {} / {} |", servers[*at].0, servers[base].0));
    print!("\n| --- |");
    (0..servers.len() + others.len()).for_each(|_| print!(" ---: |"));
    println!();
    for Row { name, label, digits } in ROWS {
        let values = |at: usize| servers[at].1.iter().filter_map(|round| round.get(name).copied());
        print!("| {label} |");
        for at in 0..servers.len() {
            match median(values(at).collect()) {
                Some(value) => print!(" {value:.digits$} |"),
                None => print!(" – |"),
            }
        }
        for other in &others {
            let ratios = values(*other).zip(values(base)).filter(|(_, base)| *base > 0.0);
            match median(ratios.map(|(value, base)| value / base).collect()) {
                Some(ratio) if name != "failed" => print!(" {ratio:.2} |"),
                _ => print!(" – |"),
            }
        }
        println!();
    }
}
