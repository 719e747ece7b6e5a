//! Identifiers and secrets from the system's randomness, behind `contract::ids::Ids`.

use contract::ids::Ids;

/// Real randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn unique(&self) -> String {
        uuid::Uuid::now_v7().simple().to_string()
    }

    fn secret(&self, buffer: &mut [u8]) {
        // A version 4 UUID holds 122 random bits from the system; the six fixed ones are left out by taking 12 bytes of each.
        for chunk in buffer.chunks_mut(12) {
            let random = uuid::Uuid::new_v4().into_bytes();
            let mut free = random[..6].iter().chain(&random[9..15]);
            for byte in chunk {
                *byte = free.next().copied().unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_secrets_differ() {
        let (first, second) = (SystemIds.unique(), SystemIds.unique());
        assert!(first < second);
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemIds.secret(&mut a);
        SystemIds.secret(&mut b);
        assert_ne!(a, b);
        assert!(a.iter().any(|byte| *byte != 0) && a[24..].iter().any(|byte| *byte != 0));
    }
}
