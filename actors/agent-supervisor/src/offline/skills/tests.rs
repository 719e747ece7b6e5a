//! What people type, and what is understood. The tables are in tests/samples: a skill's name, then one question a line.

use super::*;

/// Questions about a cluster.
const CLUSTER: &str = include_str!("../../../tests/samples/questions-cluster.txt");
/// Questions about HAIA itself, as they are understood where no cluster is configured.
const OWN: &str = include_str!("../../../tests/samples/questions-own.txt");

/// Questions about a cluster in the short forms and with the slips of people who type, some with the name that is meant; and, as
/// `[nothing]`, what must be refused.
const TYPED: &str = include_str!("../../../tests/samples/questions-typed.txt");

/// The skill that answers.
fn skill(text: &str, with_cluster: bool) -> Option<&'static str> {
    recognise(&Question::new(text), with_cluster).map(|(skill, _)| skill.name)
}

/// Each question of a table with the skill that should answer it.
fn table(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut skill = "";
    text.lines().filter(|line| !line.is_empty()).filter_map(move |line| {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => {
                skill = name;
                None
            }
            None => Some((skill, line)),
        }
    })
}

#[test]
fn recognises_what_people_type_about_a_cluster() {
    let wrong: Vec<_> = table(CLUSTER)
        .map(|(expected, text)| (text, expected, skill(text, true)))
        .filter(|(_, expected, found)| *found != Some(expected))
        .collect();
    assert_eq!(wrong, []);
    assert!(table(CLUSTER).count() > 400);
}

#[test]
fn understands_people_in_a_hurry_and_refuses_what_it_cannot_know() {
    let mut wrong = Vec::new();
    for (expected, line) in table(TYPED) {
        let (text, name) = line.split_once(" -> ").map_or((line, None), |(text, name)| (text, Some(name)));
        let found = recognise(&Question::new(text), true);
        let found = found.map(|(skill, fit)| (skill.name, fit.named.map(|named| named.name)));
        let expected = (expected != "nothing").then(|| (expected, name.map(str::to_owned)));
        if found != expected {
            wrong.push(format!("{text:50} {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recognises_what_people_type_about_haia() {
    let wrong: Vec<_> = table(OWN)
        .map(|(expected, text)| (text, expected, skill(text, false)))
        .filter(|(_, expected, found)| *found != Some(expected))
        .collect();
    assert_eq!(wrong, []);
}

#[test]
fn questions_about_everything_are_about_haia_where_there_is_no_cluster() {
    let everything = table(CLUSTER).filter(|(skill, _)| *skill == "everything");
    let wrong: Vec<_> =
        everything.map(|(_, text)| (text, skill(text, false))).filter(|(_, found)| *found != Some("status")).collect();
    assert_eq!(wrong, []);
}

#[test]
fn questions_about_a_cluster_are_not_answered_about_haia_where_there_is_none() {
    // What could be asked about HAIA just as well.
    let either = ["did anything crash?", "any crashes?", "has anything crashed?", "crashes", "why is everything slow?"];
    let is_about_cluster =
        |text: &str| recognise(&Question::new(text), false).is_some_and(|(skill, _)| skill.scope == Scope::Cluster);
    let wrong: Vec<_> = table(CLUSTER)
        .filter(|(skill, text)| *skill != "everything" && !either.contains(text) && !is_about_cluster(text))
        .map(|(expected, text)| (text, expected, skill(text, false)))
        .collect();
    assert_eq!(wrong, []);
}

#[test]
fn haia_itself_can_be_asked_about_beside_a_cluster() {
    for text in [
        "how are you?",
        "status of haia",
        "is haia healthy",
        "haia status",
        "uptime",
        "which version are you",
        "is your database ok",
    ] {
        assert_eq!(skill(text, true), Some("status"), "{text}");
    }
    for (expected, text) in table(OWN).filter(|(skill, _)| *skill != "status") {
        assert_eq!(skill(text, true), Some(expected), "{text}");
    }
}

#[test]
fn names_are_taken_out_of_the_question() {
    for (text, name) in [
        ("why did web-01 stop?", "web-01"),
        ("Why did my VM Web-01 crash last night?", "Web-01"),
        ("did vm 101 crash?", "101"),
        ("who shut web-01 down", "web-01"),
        ("why did home assistant stop?", "home assistant"),
        ("status of web-01.example.com", "web-01.example.com"),
        ("how is pve2?", "pve2"),
        ("what is running on pve2?", "pve2"),
        ("how full is local-zfs?", "local-zfs"),
        ("when was web-01 last backed up?", "web-01"),
        ("show backups of vm 101", "101"),
        ("tasks of web-01", "web-01"),
        ("disks of pve1", "pve1"),
        ("does the nas vm have snapshots?", "nas"),
    ] {
        let (_, fit) = recognise(&Question::new(text), true).expect("recognised");
        assert_eq!(fit.named.map(|named| named.name).as_deref(), Some(name), "{text}");
    }
}

#[test]
fn says_nothing_to_what_it_does_not_understand() {
    let mut wrong = Vec::new();
    for text in [
        "",
        "?",
        "what time did the backup of nas run?",
        "write me a poem about time",
        "who is the president of France",
        "delete all models",
        "what is the model of my router",
        "version of proxmox on pve1",
        "hello world in rust",
        "tell me a joke",
        "how do I install docker in an lxc container",
        "what is the best filesystem for a nas with eight disks",
        "explain zfs to me like I am five",
        "compare proxmox and esxi",
        "translate good morning to French",
        "how tall is the Eiffel tower",
    ] {
        if let Some(found) = skill(text, true) {
            wrong.push((text, found));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn help_lists_every_example_and_each_example_is_understood() {
    let (listed, own) = (examples(true), examples(false));
    for one in all() {
        let Some(example) = one.example else { continue };
        assert!(listed.contains(example));
        assert_eq!(own.contains(example), one.scope == Scope::Own, "{example}");
        assert_eq!(skill(example, true), Some(one.name), "{example}");
    }
    assert!(cannot_answer(true).contains("why did web-01 stop?"));
    assert!(cannot_answer(false).contains("what time is it?") && cannot_answer(false).contains("not possible offline"));
}

#[test]
fn every_skill_has_a_name_of_its_own_and_a_title() {
    let mut names: Vec<&str> = all().map(|skill| skill.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(all().all(|skill| !skill.title.is_empty() && !skill.patterns.is_empty()));
    assert!(is_no_cluster("no Proxmox cluster is configured ([proxmox.<name>] in haia.toml)"));
}
