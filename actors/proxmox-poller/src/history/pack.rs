//! Figures of a stretch of time as few bytes: per row what it is about, then differences from figure to figure.

use super::series::Series;
use super::{Key, Metric, Subject};
use std::sync::Arc;

/// The first byte: how the rest is written.
const VERSION: u8 = 1;
const MISSING: u16 = u16::MAX;

/// Packs `steps` figures from `first` on of each row; rows without any are left out. `None` when nothing is left.
pub(super) fn pack<'a>(rows: impl Iterator<Item = (&'a Key, &'a Series)>, first: i64, steps: i64) -> Option<Vec<u8>> {
    let mut out = vec![VERSION];
    write(&mut out, u64::try_from(steps).unwrap_or(0));
    let mut rows: Vec<_> =
        rows.filter(|(_, series)| (first..first + steps).any(|step| series.raw(step) != MISSING)).collect();
    rows.sort_by(|a, b| a.0.cmp(b.0));
    for ((metric, subject), series) in &rows {
        let metric = Metric::ALL.iter().position(|one| one == metric).unwrap_or(0);
        match subject {
            Subject::Guest(vmid) => {
                out.push(u8::try_from(metric).unwrap_or(0));
                write(&mut out, u64::from(*vmid));
            }
            Subject::Named(name) => {
                out.push(u8::try_from(metric).unwrap_or(0) | 0x80);
                write(&mut out, name.len() as u64);
                out.extend_from_slice(name.as_bytes());
            }
        }
        let mut last = 0i64;
        for step in first..first + steps {
            // Missing is 0, so that a run of missing figures stays small; the others are one more.
            let point = i64::from(series.raw(step).wrapping_add(1));
            let difference = point - last;
            write(&mut out, ((difference << 1) ^ (difference >> 63)) as u64);
            last = point;
        }
    }
    (!rows.is_empty()).then_some(out)
}

/// Reads what [`pack`] wrote: each figure with its key and its place from 0. `None` when the bytes are not whole; what was read until then
/// has been told.
pub(super) fn unpack(bytes: &[u8], mut tell: impl FnMut(Key, i64, u16)) -> Option<()> {
    let (version, mut rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let steps = i64::try_from(read(&mut rest)?).ok().filter(|steps| (1..=10_000).contains(steps))?;
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        let metric = *Metric::ALL.get(usize::from(kind & 0x7f))?;
        let number = read(&mut rest)?;
        let subject = if kind & 0x80 == 0 {
            Subject::Guest(u32::try_from(number).ok()?)
        } else {
            let (name, after) = rest.split_at_checked(usize::try_from(number).ok()?)?;
            rest = after;
            Subject::Named(Arc::from(std::str::from_utf8(name).ok()?))
        };
        let mut last = 0i64;
        for at in 0..steps {
            let raw = read(&mut rest)?;
            let difference = ((raw >> 1) as i64) ^ -((raw & 1) as i64);
            last = last.checked_add(difference)?;
            let point = u16::try_from(last).ok()?.wrapping_sub(1);
            if point != MISSING {
                tell((metric, subject.clone()), at, point);
            }
        }
    }
    Some(())
}

fn write(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(points in prop::collection::vec(any::<u16>(), 1..64), vmid: u32, name in "[a-z/é-]{0,20}") {
            let mut series = Series::new(64);
            for (at, point) in (1000..).zip(&points) {
                series.set_raw(at, *point);
            }
            let keys = [(Metric::GuestCpu, Subject::Guest(vmid)), (Metric::StorageUsed, Subject::Named(name.as_str().into()))];
            let packed = pack(keys.iter().map(|key| (key, &series)), 1000, points.len() as i64);
            let mut back = Vec::new();
            if let Some(packed) = packed {
                prop_assert_eq!(unpack(&packed, |key, at, point| back.push((key, at, point))), Some(()));
            }
            let there = points.iter().zip(0..).filter(|(point, _)| **point != MISSING);
            let wanted: Vec<_> = there.map(|(point, at)| (at, *point)).collect();
            for key in &keys {
                let of_key: Vec<_> = back.iter().filter(|(one, ..)| one == key).map(|(_, at, point)| (*at, *point)).collect();
                prop_assert_eq!(&of_key, &wanted);
            }
        }

        #[test]
        fn broken_bytes_are_refused_and_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut told = 0usize;
            let _ = unpack(&bytes, |_, _, _| told += 1);
            prop_assert!(told <= bytes.len());
        }
    }
}
