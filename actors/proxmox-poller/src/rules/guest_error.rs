//! `guest_error`: QEMU holds a guest because of an error.

use super::Rule;
use super::defaults::{level, settings};
use super::scene::{Court, raised};
use crate::memory::Raised;
use crate::model::GuestState;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_error",
        condition: "A guest hangs in the state io-error, internal-error or guest-panicked.",
        defaults: settings([None, None, Some(level(20, 20))], None, None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

fn judge(court: &Court<'_>) -> Vec<Judged> {
    court.by_guest(|guest| {
        let GuestState::Failed(word) = &guest.state else { return None };
        let settings = court.settings(&court.scene.guest_labels(guest))?;
        let (summary, meaning) = match &**word {
            "io-error" => (
                "hangs: its storage gave an error",
                "QEMU paused it, most likely because its storage is full or gone. Mend the storage, then resume it.",
            ),
            "guest-panicked" => {
                ("hangs: the system inside it panicked", "Its console shows the panic. Reset it to bring it back.")
            }
            _ => (
                "hangs: QEMU reports an internal error",
                "Stop it and start it again; the journal of its node says more.",
            ),
        };
        let mut finding = court.about_guest(guest, summary, guest.state_since, raised(&settings));
        finding.value = Some(format!("QEMU says {}", super::words::quoted(word)));
        finding.meaning = Some(meaning.to_owned());
        finding.causes = court
            .scene
            .snapshot
            .storages
            .iter()
            .filter(|_| &**word == "io-error")
            .map(|storage| format!("storage_inactive:{}", court.scene.storage_object(storage)).into())
            .collect();
        Some(Some(finding))
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.guest_end(raised, |_| Some("is running again".to_owned()))
}
