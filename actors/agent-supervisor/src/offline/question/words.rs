//! What kinds of words there are: those without a meaning of their own, those that name a kind of thing, those of the trade, and all
//! others, which may be somebody's name. Pure.

use super::spelling::is_like;

/// Words that say nothing about what is asked.
const EMPTY: &str = "a about actually again all almost already also am an and any anybody anyone are arent around anymore asleep at back be \
    been being bit buddy but by can cant check come could currently dear did didnt do does doesnt doing dont during \
    enough ever everybody everyone exactly feeling for from get gets getting give good got had haia has hasnt have havent having \
    heck hell hello her here hey hi him hm how i if in interesting into is isnt it its itself just keep keeps kind know let like \
    looking lot lying many mate may maybe me moment more most much my nearly need now of oh ok okay okey on one \
    ones only or others our out please pls quick quickly quite really right say see should show since sir sleeping \
    slept so some somebody someone sort still such suddenly tell thanks that thats the their them then there these \
    they thing things this those to today too u under unexpectedly us very want was wasnt way we well were werent \
    what when where which while who will with wont would yet you your yours yourself";

/// Words for the whole: no news in a question about the cluster.
const PLACES: &str = "cluster clusters datacenter environment homelab home-lab infrastructure lab proxmox pve setup";

/// Words that go with a guest's name.
const GUESTS: &str = "container ct guest instance kvm lxc machine qemu vm vmid virtual";

/// Words that go with a node's name.
const NODES: &str = "hypervisor node";

/// Words that go with any name.
const ANY: &str = "box called host id named server";

/// Words of the trade, which are nobody's name; as is what has other signs in it than names have.
const TRADE: &str = "acknowledge acknowledged acked alarm alarms alerted alerting analyse analyze channel channels cause causes closed configured \
     digest digests due ended firing heartbeat heartbeats investigate messages miss missed mute muted mutes next notification notifications notify \
     past pending planned resolved result schedule scheduler schedules silence silences silenced triggered ability bigger caused overloaded shutting stopping starting address asking consuming eating hogging \
     hanging ip loaded active activity actors alert alerts alive available backed backup backups balloon bad boxes broken busiest \
     busy capacity ceph certificate certificates changed containers cores coverage cpu cpus crash crashed crashes cts cover \
     data database date day days dead degraded details detail die died disk disks down drive drives dying error errors event events \
     everything anything something nothing exist explain fail failed failing fails failure failures fault faults fencing fine free frozen gb gib \
     full fullest going gone guests ha happen happened happening healthy health high highest history hosted hosts hour hours hung \
     hypervisors incident incidents info information instances issue issues job jobs killed larger last latest left list live llm llms load log \
     logs lxcs machines made manager mean members memory minute minutes missing model models month morning never new news night no nodes none not \
     off offline old oldest online osd osds overview overnight paused percent pool pools output powered problem problems protected \
     provider providers quorum quorate ram ran reach reachable reboot rebooted recent recently replicated replication \
     replicate report reports resource resources restart restarted room run running runs scheduled servers service services shut size sizes slow slowing slows \
     smart snapshot snapshots space start started state status stop stopped stops storage storages store stuck summary switched system \
     systems task tasks tb template templates terabytes tib time times top total turned unhealthy unprotected unresponsive up uptime usage use used \
     uses using utilisation utilization version versions vms volume volumes warning warnings wear wearout week weekend weird why \
     without work worked working wrong yesterday zfs zpool";

/// Words of the trade that people also give as names.
const NAMES: &str = "backup data database storage store";

/// Words that are often misspelt: what is like them is no name.
const MISSPELT: &str = "anything does everything happened please running show status stopped what when where which";

/// What a word may be in a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It says nothing.
    Empty,
    /// It means the whole cluster.
    Place,
    /// It says of what kind the thing named beside it is.
    Noun(Option<Kind>),
    /// It belongs to the trade.
    Trade,
    /// It may be a name.
    Name,
}

/// What a name is said to be the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A virtual machine or container.
    Guest,
    /// A node.
    Node,
}

/// Whether a word of the trade may be a name where its kind stands beside it.
pub(super) fn may_be_name(word: &str) -> bool {
    NAMES.split_ascii_whitespace().any(|one| one == word)
}

/// The class of a word.
pub(super) fn class(word: &str) -> Class {
    let has = |list: &str| list.split_ascii_whitespace().any(|one| one == word);
    if has(EMPTY) {
        Class::Empty
    } else if has(PLACES) {
        Class::Place
    } else if has(GUESTS) {
        Class::Noun(Some(Kind::Guest))
    } else if has(NODES) {
        Class::Noun(Some(Kind::Node))
    } else if has(ANY) {
        Class::Noun(None)
    } else if has(TRADE) || MISSPELT.split_ascii_whitespace().any(|key| is_like(word, key)) {
        Class::Trade
    } else if word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        Class::Name
    } else {
        Class::Trade
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_word_is_in_two_classes() {
        let mut seen = HashSet::new();
        for word in [EMPTY, PLACES, GUESTS, NODES, ANY, TRADE].iter().flat_map(|list| list.split_ascii_whitespace()) {
            assert!(seen.insert(word), "{word}");
        }
    }

    #[test]
    fn names_are_what_is_left() {
        for (word, expected) in [
            ("the", Class::Empty),
            ("vm", Class::Noun(Some(Kind::Guest))),
            ("backups", Class::Trade),
            ("waht", Class::Trade),
            ("web-01", Class::Name),
            ("101", Class::Name),
            ("pve2", Class::Name),
            ("pve", Class::Place),
            ("2+2", Class::Trade),
        ] {
            assert_eq!(class(word), expected, "{word}");
        }
    }
}
