//! What the alert desk is told of channels, over changes of the configuration.

use super::support::*;
use contract::message::{Lane, Reconfigure};
use runtime::world::World;
use std::sync::Arc;

#[test]
fn a_channel_that_was_taken_out_and_comes_back_is_reported_anew() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        outside.discord().receiver.is_gone = true;
        let raised = || {
            let reports = outside.reports.lock().unwrap();
            let findings = reports.iter().flat_map(|report| &report.judged).flat_map(|judged| &judged.findings);
            findings.filter(|finding| &*finding.object == "channel/discord" && finding.raised().is_some()).count()
        };
        deliver(&notifier, alert(1, false)).await;
        pass(world, seconds(90)).await;
        assert_eq!(raised(), 1, "once");

        let without = r#"{"hook":{"kind":"webhook","url":"http://sim/hook","secret":"shared"}}"#;
        for config in [without, ALL] {
            let config = Arc::new(serde_json::from_str::<crate::Config>(config).unwrap());
            notifier.port(Lane::Control).ask(Reconfigure(config), seconds(1)).await.unwrap();
        }
        deliver(&notifier, alert(2, false)).await;
        pass(world, seconds(90)).await;
        assert_eq!(raised(), 2, "the desk has ended the alert when the channel went");
    });
}
