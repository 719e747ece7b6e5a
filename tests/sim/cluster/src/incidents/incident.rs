//! What can happen to the cluster, as a typed list. It only names things; the files beside it do them.

use super::disks::DiskChange;
use crate::fault::FaultRule;
use std::time::Duration;

/// Something that happens to the simulated cluster. Users are written `root@pam`, storages, nodes and guests as they are listed.
#[derive(Clone, Debug, PartialEq)]
pub enum Incident {
    /// The guest's process ends without a task. An HA guest is started again by the HA manager after a while.
    GuestCrashes {
        /// Which guest.
        vmid: u32,
    },
    /// Somebody powers it off from inside: its process ends without a task, as in a crash.
    GuestPowersOff {
        /// Which guest.
        vmid: u32,
    },
    /// It crashes again and again and comes back five seconds later: a container by itself, a virtual machine by a task.
    GuestRestartLoop {
        /// Which guest.
        vmid: u32,
        /// From one crash to the next.
        every: Duration,
        /// How many crashes.
        times: u32,
    },
    /// A user has it shut down: a `qmshutdown` or `vzshutdown` task of four seconds.
    GuestShutDown {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user stops it hard: a `qmstop` or `vzstop` task.
    GuestStopped {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user starts it.
    GuestStarted {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user reboots it: its uptime and counters begin again.
    GuestRebooted {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// The QMP status changes without a task: `io-error`, `internal-error`, `guest-panicked`, `paused`, `running`.
    GuestStatus {
        /// Which guest.
        vmid: u32,
        /// The QMP status.
        status: String,
    },
    /// It no longer reacts to a shutdown from outside, or does again.
    GuestDeaf {
        /// Which guest.
        vmid: u32,
        /// Whether it is deaf.
        on: bool,
    },
    /// Somebody writes into its notes, in place of what stood there.
    GuestNotes {
        /// Which guest.
        vmid: u32,
        /// What stands there then.
        notes: String,
    },
    /// The guest agent and the balloon driver answer, or stop to: then its memory is opaque.
    GuestAgent {
        /// Which guest.
        vmid: u32,
        /// Whether they answer.
        on: bool,
    },
    /// A lock appears in its configuration, or goes.
    GuestLocked {
        /// Which guest.
        vmid: u32,
        /// backup, migrate, snapshot, …
        lock: Option<String>,
    },
    /// Its CPU use moves around this fraction of its cores.
    GuestBusy {
        /// Which guest.
        vmid: u32,
        /// From 0 to 1.
        cpu: f64,
    },
    /// Its memory use moves around this fraction.
    GuestMemory {
        /// Which guest.
        vmid: u32,
        /// From 0 to 1.
        used: f64,
    },
    /// A container's root file system fills.
    GuestDisk {
        /// Which guest.
        vmid: u32,
        /// From 0 to 1.
        used: f64,
    },
    /// A user destroys it.
    GuestDestroyed {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user makes a new guest. For up to ten seconds it has no name and no figures.
    GuestCreated {
        /// Which guest.
        vmid: u32,
        /// Its name.
        name: String,
        /// Which node.
        node: String,
        /// A container, else a virtual machine.
        container: bool,
        /// By whom.
        user: String,
    },
    /// A user clones a guest: the source is locked meanwhile, and the clone until it is done.
    GuestCloned {
        /// Which guest.
        source: u32,
        /// The VMID of the clone.
        vmid: u32,
        /// Its name.
        name: String,
        /// By whom.
        user: String,
    },
    /// A migration: live for a virtual machine, with a restart for a container.
    GuestMigrated {
        /// Which guest.
        vmid: u32,
        /// The target node.
        target: String,
        /// By whom.
        user: String,
    },
    /// A migration that fails: the guest stays where it is, its lock goes.
    MigrationFails {
        /// Which guest.
        vmid: u32,
        /// The target node.
        target: String,
        /// By whom.
        user: String,
        /// What the log says of it.
        error: String,
    },
    /// A snapshot is taken.
    SnapshotTaken {
        /// Which guest.
        vmid: u32,
        /// The snapshot's name.
        name: String,
        /// By whom.
        user: String,
    },
    /// A snapshot is removed.
    SnapshotRemoved {
        /// Which guest.
        vmid: u32,
        /// The snapshot's name.
        name: String,
        /// By whom.
        user: String,
    },
    /// A snapshot turns out to be this old.
    SnapshotAges {
        /// Which guest.
        vmid: u32,
        /// The snapshot's name.
        name: String,
        /// Days before now.
        days: i64,
    },
    /// A storage fills, or empties, evenly over a time.
    StorageFills {
        /// Which storage.
        storage: String,
        /// Only on this node, for one that is not shared.
        node: Option<String>,
        /// How full it is in the end.
        percent: f64,
        /// How long it takes.
        over: Duration,
    },
    /// A storage cannot be reached, from one node or from all.
    StorageInactive {
        /// Which storage.
        storage: String,
        /// Only from this node.
        node: Option<String>,
    },
    /// It can be reached again.
    StorageActive {
        /// Which storage.
        storage: String,
    },
    /// The node loses power. After two minutes the HA manager fences it and starts its services elsewhere.
    NodeDown {
        /// Which node.
        node: String,
    },
    /// A user shuts the node down: a `stopall` task, then it goes.
    NodeShutDown {
        /// Which node.
        node: String,
        /// By whom.
        user: String,
    },
    /// The node boots: a `startall` task starts its guests with `onboot`.
    NodeReturns {
        /// Which node.
        node: String,
    },
    /// A user reboots the node: like a shutdown, and it boots some seconds later. Its HA services wait for it.
    NodeReboots {
        /// Which node.
        node: String,
        /// By whom.
        user: String,
        /// Seconds that it is away.
        seconds: i64,
    },
    /// The node enters or leaves HA maintenance mode.
    NodeMaintenance {
        /// Which node.
        node: String,
        /// Whether it is in maintenance.
        on: bool,
    },
    /// pvestatd of the node hangs, or goes on.
    PvestatdStuck {
        /// Which node.
        node: String,
        /// Whether it hangs.
        on: bool,
    },
    /// The node's own CPU use moves around this fraction, beside what its guests use.
    NodeBusy {
        /// Which node.
        node: String,
        /// From 0 to 1.
        cpu: f64,
    },
    /// The node needs this fraction of its memory, beside ZFS's cache.
    NodeMemory {
        /// Which node.
        node: String,
        /// From 0 to 1; without: what its guests and its own work need.
        used: Option<f64>,
    },
    /// ZFS's cache grows or shrinks to this fraction of the memory.
    NodeCache {
        /// Which node.
        node: String,
        /// From 0 to 1.
        share: f64,
    },
    /// The local resource manager is stuck, the node itself is well; or it goes on.
    ManagerStuck {
        /// Which node.
        node: String,
        /// Whether it is stuck.
        on: bool,
    },
    /// The subscription changes: `active`, `expired`, `notfound`, `invalid`, `suspended`.
    SubscriptionIs {
        /// Which node.
        node: String,
        /// The status.
        status: String,
    },
    /// So many updates wait, or none any more after an `aptupdate` task.
    UpdatesWait {
        /// Which node.
        node: String,
        /// How many.
        count: usize,
    },
    /// The node's clock is this far ahead.
    NodeClockDrifts {
        /// Which node.
        node: String,
        /// Seconds; negative: behind.
        seconds: i64,
    },
    /// No node sees another any more.
    QuorumLost,
    /// They see each other again.
    QuorumReturns,
    /// A backup job runs now.
    BackupRuns {
        /// The job's id.
        job: String,
    },
    /// A job's backup of one guest fails; its other guests are backed up.
    BackupFails {
        /// The job's id.
        job: String,
        /// Whose backup fails.
        vmid: u32,
        /// What vzdump says, such as `write error: No space left on device`.
        reason: String,
    },
    /// A job fails for these guests; its other guests are backed up.
    BackupsFail {
        /// The job's id.
        job: String,
        /// Whose backups fail.
        vmids: Vec<u32>,
        /// What vzdump says.
        reason: String,
    },
    /// A job ends before its first guest, on every node.
    BackupAborts {
        /// The job's id.
        job: String,
        /// What vzdump says.
        reason: String,
    },
    /// A job runs with one warning about this guest: `WARNINGS: 1`.
    BackupWarns {
        /// The job's id.
        job: String,
        /// Which guest.
        vmid: u32,
    },
    /// A job stays enabled and no longer runs, or does again.
    BackupsHeld {
        /// The job's id.
        job: String,
        /// Whether it is held.
        on: bool,
    },
    /// Placement groups are degraded: HEALTH_WARN.
    CephDegraded {
        /// How many of 129.
        groups: u32,
    },
    /// A check of severity HEALTH_ERR.
    CephError {
        /// Such as `OSD_FULL`.
        code: String,
        /// Such as `1 full osd(s)`.
        message: String,
    },
    /// A check of severity HEALTH_WARN.
    CephWarning {
        /// Such as `RECENT_CRASH`.
        code: String,
        /// Such as `1 daemons have recently crashed`.
        message: String,
    },
    /// A check is muted, or no longer: muted it shows and does not count.
    CephMuted {
        /// Such as `OSD_DOWN`.
        code: String,
        /// Whether it is muted.
        on: bool,
    },
    /// Ceph is healthy again, with all its OSDs.
    CephRecovers,
    /// An OSD goes down.
    OsdDown {
        /// Which OSD.
        osd: u32,
    },
    /// It comes back.
    OsdUp {
        /// Which OSD.
        osd: u32,
    },
    /// An OSD is taken out, or back in: out it is missed by nobody.
    OsdOut {
        /// Which OSD.
        osd: u32,
        /// Whether it is out.
        on: bool,
    },
    /// The replication of a guest fails from now on.
    ReplicationFails {
        /// Whose.
        vmid: u32,
    },
    /// It works again.
    ReplicationRecovers {
        /// Whose.
        vmid: u32,
    },
    /// The HA manager puts a service into this state: `error`, `fence`, `recovery`, `started`, …
    HaState {
        /// Which guest.
        vmid: u32,
        /// The state.
        state: String,
    },
    /// A pool loses a disk.
    ZfsDegraded {
        /// Which node.
        node: String,
        /// Which pool.
        pool: String,
    },
    /// SMART says that a disk fails.
    DiskFails {
        /// Which node.
        node: String,
        /// Such as `/dev/sda`.
        device: String,
    },
    /// Anything else that happens to a node's disks and pools.
    DisksChange {
        /// Which node.
        node: String,
        /// What happens.
        change: DiskChange,
    },
    /// The node's certificate ends in so many days.
    CertificateEnds {
        /// Which node.
        node: String,
        /// Days from now; negative: it has ended.
        days: i64,
    },
    /// Any other task that fails.
    TaskFails {
        /// Which node.
        node: String,
        /// Such as `aptupdate`.
        kind: String,
        /// What it is about; often empty.
        id: String,
        /// By whom.
        user: String,
        /// The last line's error.
        error: String,
    },
    /// A fault of the HTTP side, for a while or until `FaultsEnd`.
    FaultBegins {
        /// What goes wrong where.
        rule: FaultRule,
        /// How long.
        seconds: Option<i64>,
    },
    /// All faults of the HTTP side end.
    FaultsEnd,
    /// Log rotation: every open connection ends without a word at its next request.
    ConnectionsDropped,
}
