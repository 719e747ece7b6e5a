//! "Restart web-01": what the offline responder does not do.

use super::Skill;
use crate::offline::question::Question;
use contract::tools::ToolResult;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "action",
    title: "Not Possible Offline",
    patterns: &[
        "start|stop|restart|reboot|reset|shutdown|suspend|resume|pause|unpause|kill|boot|wake|hibernate @",
        "start|stop|restart|reboot|reset|shutdown|suspend|resume|pause|kill|boot all|every|everything|it",
        "start|stop|restart|reboot|reset|shutdown|suspend|resume|pause|kill|boot all|every|my|the guests|vms|containers|nodes|machines|vm|container|cluster|node|server",
        "shut|turn|power|switch|bring|take down|off|on|up @",
        "shut|turn|power|switch|bring|take @ down|off|on|up",
        "shut|turn|power|switch|bring|take everything|all|cluster down|off|on|up",
        "shut|turn|power|switch|bring|take down|off|on|up everything|all|cluster",
        "migrate|move|clone|delete|remove|destroy|create|resize|rename|rollback|unlock|lock|evacuate|drain|fence @",
        "help migrate|move|clone|delete|remove|destroy|create|start|stop|restart|reboot|shutdown *",
        "migrate|clone|move|restore|rollback|convert @ *",
        "create|deploy|make|add|spin|launch vm|container|guest|machine|ct|lxc|snapshot|backup",
        "create|deploy|make|add|spin|launch new|another vm|container|guest|machine|ct|lxc|snapshot|backup",
        "make|take|create|run|start|do|trigger|begin snapshot|backup|backups *",
        "make|take|create|run|start|do|trigger|begin snapshot|backup|backups",
        "make|take|create|run|start|do|trigger new snapshot|backup",
        "snapshot @",
        "backup @ now",
        "back up @",
        "back @ up",
        "delete|remove|destroy|prune|clean|cleanup snapshot|snapshots|backup|backups|guest|vm|container|disk|storage|vms|guests|containers",
        "delete|remove|destroy|prune|clean|cleanup old|all|failed snapshot|snapshots|backup|backups|guests|vms|containers",
        "delete|remove|destroy|restore|verify snapshot|snapshots|backup|backups|vm|container|guest|disk *",
        "update|upgrade|patch|reconfigure @",
        "update|upgrade|patch proxmox|pve|hosts|host|packages|system",
        "delete|remove|destroy|prune old|all|failed snapshot|snapshots|backup|backups of|from @",
        "update|upgrade|patch nodes|node|cluster|everything|all|guests|vms|containers",
        "fix|repair|heal|free|extend|resize|grow|expand it|this|that|storage|disk|cluster|everything|space|ceph|backup|backups|replication",
        "fix|repair|heal|extend|grow|expand @",
        "enable|disable|schedule|cancel|abort|unlock|mute|acknowledge backup|backups|ha|replication|task|tasks|job|jobs|alert|alerts|maintenance|guest",
        "enable|disable|schedule|cancel|abort backup|backups|ha|replication|task|job|maintenance *",
        "set|change|increase|decrease|raise|lower memory|ram|cpu|cpus|cores|disk *",
        "execute|run command|script *",
    ],
    render: |_: &Question, _: &[ToolResult]| Ok(REFUSAL.to_owned()),
    ..Skill::CLUSTER
}];

const REFUSAL: &str = "That is **not possible offline**: I only look. I start, stop, restart, move, back up, change and delete nothing.\n\n\
Use Proxmox's own web interface for it, or `qm` and `pct` on the node.\n\n\
What I can do is look first, for example: \"show vm 101\", \"why did web-01 stop?\", \"is the cluster healthy?\".\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_that_it_only_looks() {
        let text = (SKILLS[0].render)(&Question::new("stop web-01"), &[]).expect("says");
        assert!(text.starts_with("That is **not possible offline**"), "{text}");
    }
}
