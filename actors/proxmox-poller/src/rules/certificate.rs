//! `certificate`: a certificate of a node ends soon.

use super::defaults::{below, settings};
use super::scene::{Court, graded, limit};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "certificate",
        condition: "A certificate of a node ends in so few days, or has ended.",
        defaults: settings([None, Some(below(14.0, 14.0, 0, 0)), Some(below(3.0, 3.0, 0, 0))], None, None),
        unit: "days",
    },
    needs: &[Need::Certificates],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 6 * 3600;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let now_s = scene.snapshot.server_now_s(scene.now);
    court.by_node("certificate/", |node, parts, case| {
        for certificate in scene.fresh(&parts.certificates, FRESH_S)? {
            let Some(ends_s) = certificate.ends_s else { continue };
            let left_s = ends_s.saturating_sub(now_s);
            let figure = left_s as f64 / 86_400.0;
            let labels = scene.node_labels(&node.name);
            let Some(settings) = court.settings(&labels) else { continue };
            let Some(levels) = graded(&settings, figure) else { continue };
            let object = scene.object(format_args!("node/{}/certificate/{}", node.name, certificate.file));
            let subject = format!("certificate of {}", node.name);
            let summary = match left_s {
                left if left < 0 => format!("ended {} ago", words::days(left)),
                left => format!("ends in {}", words::days(left)),
            };
            let mut finding = court.finding(object, subject, summary, scene.now, levels);
            finding.labels = labels;
            finding.value = Some(words::days(left_s)).filter(|_| left_s >= 0);
            finding.limit = limit(&settings, figure).map(|days| format!("{} days", words::number(days)));
            finding.meaning = Some(
                match &*certificate.file {
                    "pveproxy-ssl.pem" => {
                        "Its renewal (ACME) seems to fail: browsers and HAIA will refuse the node when it ends."
                    }
                    _ => "`pvecm updatecerts` on the node renews it. Fingerprints that are pinned change with it.",
                }
                .to_owned(),
            );
            finding.facts = vec![contract::alerts::Fact { label: "file".into(), text: certificate.file.to_string() }];
            case.findings.push(finding);
        }
        Some(())
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    court.node_parts_end(raised, |parts| {
        let file = raised.object.rsplit('/').next()?;
        let certificate =
            scene.fresh(&parts.certificates, FRESH_S)?.iter().find(|certificate| &*certificate.file == file);
        let Some(certificate) = certificate else { return Some("is not in use any more".to_owned()) };
        let left_s = certificate.ends_s?.saturating_sub(scene.snapshot.server_now_s(scene.now));
        Some(format!("was renewed ({} left)", words::days(left_s)))
    })
}
