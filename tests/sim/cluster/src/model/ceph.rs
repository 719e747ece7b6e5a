//! Ceph, as far as its status tells: OSDs, checks, what is muted. Plain state; incidents change it.

use std::collections::BTreeSet;

/// An OSD of Ceph.
#[derive(Clone, Debug)]
pub(crate) struct Osd {
    pub(crate) id: u32,
    pub(crate) node: String,
    pub(crate) size: u64,
    pub(crate) up: bool,
    /// Whether it takes part: an OSD that is out gets no data and is missed by nobody.
    pub(crate) is_in: bool,
}

/// A health check that is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CephCheck {
    pub(crate) code: String,
    /// HEALTH_WARN, HEALTH_ERR
    pub(crate) severity: &'static str,
    pub(crate) message: String,
    pub(crate) count: usize,
}

/// The storage cluster.
#[derive(Clone, Debug)]
pub(crate) struct Ceph {
    pub(crate) osds: Vec<Osd>,
    pub(crate) used: f64,
    /// Placement groups that are degraded beside what down OSDs cause.
    pub(crate) degraded: u32,
    /// Checks beyond OSDs, monitors and placement groups.
    pub(crate) raised: Vec<CephCheck>,
    /// Codes that somebody muted: they show, and do not count.
    pub(crate) muted: BTreeSet<String>,
}

impl Ceph {
    pub(crate) const GROUPS: u32 = 129;

    pub(crate) fn new(osds: Vec<Osd>) -> Self {
        Self { osds, used: 0.34, degraded: 0, raised: Vec::new(), muted: BTreeSet::new() }
    }

    /// OSDs that take part and are down.
    pub(crate) fn down(&self) -> usize {
        self.osds.iter().filter(|osd| osd.is_in && !osd.up).count()
    }

    /// Placement groups that are degraded.
    pub(crate) fn degraded_groups(&self) -> u32 {
        let down = u32::try_from(self.down()).unwrap_or(u32::MAX);
        self.degraded.saturating_add(down.saturating_mul(19)).min(Self::GROUPS)
    }

    /// Raises a check, in place of one of the same code.
    pub(crate) fn raise(&mut self, code: String, severity: &'static str, message: String) {
        self.raised.retain(|check| check.code != code);
        self.raised.push(CephCheck { code, severity, message, count: 1 });
    }

    /// All checks, given the names of all monitors and of those in quorum.
    pub(crate) fn checks(&self, monitors: usize, in_quorum: &[&str]) -> Vec<CephCheck> {
        let mut checks = Vec::new();
        let mut warn = |code: &str, message: String, count: usize| {
            checks.push(CephCheck { code: code.to_owned(), severity: "HEALTH_WARN", message, count });
        };
        let missing = monitors.saturating_sub(in_quorum.len());
        if missing > 0 {
            warn("MON_DOWN", format!("{missing}/{monitors} mons down, quorum {}", in_quorum.join(",")), missing);
        }
        let down = self.down();
        if down > 0 {
            warn("OSD_DOWN", format!("{down} osds down"), down);
        }
        let degraded = self.degraded_groups();
        if degraded > 0 {
            let objects = u64::from(degraded) * 211;
            let message = format!(
                "Degraded data redundancy: {objects}/81732 objects degraded, {degraded} pgs degraded, {degraded} pgs undersized"
            );
            warn("PG_DEGRADED", message, degraded as usize);
        }
        checks.extend(self.raised.iter().cloned());
        checks
    }

    /// The health that these checks make, those left out that are muted.
    pub(crate) fn health(&self, checks: &[CephCheck]) -> &'static str {
        let counts =
            |severity: &str| checks.iter().any(|check| check.severity == severity && !self.muted.contains(&check.code));
        match (counts("HEALTH_ERR"), counts("HEALTH_WARN")) {
            (true, _) => "HEALTH_ERR",
            (false, true) => "HEALTH_WARN",
            (false, false) => "HEALTH_OK",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_muted_check_shows_and_does_not_count() {
        let osd = |id| Osd { id, node: "pve1".into(), size: 1, up: true, is_in: true };
        let mut ceph = Ceph::new(vec![osd(0), osd(1)]);
        let names = ["pve1", "pve2", "pve3"];
        assert_eq!(ceph.health(&ceph.checks(3, &names)), "HEALTH_OK");
        ceph.raise("RECENT_CRASH".into(), "HEALTH_WARN", "1 daemons have recently crashed".into());
        assert_eq!(ceph.health(&ceph.checks(3, &names)), "HEALTH_WARN");
        ceph.muted.insert("RECENT_CRASH".into());
        assert_eq!(ceph.checks(3, &names).len(), 1);
        assert_eq!(ceph.health(&ceph.checks(3, &names)), "HEALTH_OK");
        ceph.osds[1].up = false;
        assert_eq!(ceph.health(&ceph.checks(3, &names)), "HEALTH_WARN");
        ceph.osds[1].is_in = false;
        assert_eq!(ceph.health(&ceph.checks(3, &names)), "HEALTH_OK", "out is not down");
        assert_eq!(ceph.checks(3, &names[..2])[0].message, "1/3 mons down, quorum pve1,pve2");
        ceph.raise("OSD_FULL".into(), "HEALTH_ERR", "1 full osd(s)".into());
        assert_eq!(ceph.health(&ceph.checks(3, &names)), "HEALTH_ERR");
    }
}
