//! Figures that move with time and nothing else: the same moment gives the same figure, on every run.

/// A number that looks drawn, from a seed.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A fraction from 0 to 1 that stays the same for a seed.
pub(crate) fn fraction(seed: u64) -> f64 {
    (mix(seed) >> 11) as f64 / (1u64 << 53) as f64
}

/// A seed from a name.
pub(crate) fn seed(name: &str) -> u64 {
    name.bytes().fold(0, |seed, byte| mix(seed ^ u64::from(byte)))
}

/// A smooth figure from 0 to 1, with a slow wave of `period` seconds and a fast one on top.
pub(crate) fn wave(seed: u64, now: i64, period: i64) -> f64 {
    let turn = |period: i64, phase: f64| {
        let place = now.rem_euclid(period.max(1)) as f64 / period.max(1) as f64;
        (std::f64::consts::TAU * (place + phase)).sin()
    };
    let slow = turn(period, fraction(seed));
    let fast = turn((period / 7).max(1), fraction(seed ^ 1));
    (0.5 + 0.35 * slow + 0.15 * fast).clamp(0.0, 1.0)
}

/// A share of a number of bytes.
pub(crate) fn share(of: u64, fraction: f64) -> u64 {
    (of as f64 * fraction.max(0.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stay_within_bounds_and_repeat() {
        for second in (0..20_000).step_by(37) {
            let figure = wave(seed("web-01"), second, 3600);
            assert!((0.0..=1.0).contains(&figure));
            assert_eq!(figure.to_bits(), wave(seed("web-01"), second, 3600).to_bits());
        }
        assert_ne!(wave(1, 100, 3600).to_bits(), wave(1, 700, 3600).to_bits());
        assert_ne!(seed("web-01"), seed("web-02"));
    }
}
