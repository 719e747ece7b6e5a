//! "Do notifications work?": the channels on which people are told.

use super::{Skill, call};
use crate::offline::facts::{Facts, counted, value};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "channels",
    example: Some("do notifications work?"),
    title: "Notification Channels",
    tag: "Monitoring",
    patterns: &[
        "/channels",
        "channels|channel|notifications",
        "what|which|show|list|how|are|is|do|does|any|status|state channel|channels|notification|notifications|messages",
        "what|which|show|list|how|are|is|do|does channel|channels|notification|notifications|messages work|working|ok|okay|fine|broken|configured|there|failing|sent|arrive|delivered",
        "notification|notifications|channel|channels status|state|channels|working|work|overview",
        "can you|haia reach|notify|message|alert me|phone",
        "how|where do you|haia notify|tell|message|alert me",
        "where are alerts|messages|notifications sent",
    ],
    plan: |_| vec![call("get_haia_status", &json!({"detail": null}))],
    render,
    ..Skill::PLAIN
}];

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let channels = Facts::new(&value).texts("channels");
    if channels.is_empty() {
        return Ok("**No notification channel is configured:** nobody is told of an alert. `[notify.channels]` in `haia.toml` defines them; \
                   the shortest is ntfy.\n"
            .to_owned());
    }
    let mut body = format!("**{}**:\n\n", counted(channels.len() as u64, "notification channel"));
    for channel in &channels {
        let _ = writeln!(body, "- {channel}");
    }
    body.push_str("\n`haia alerts test NAME` sends a test message through one of them.\n");
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_with_its_state() {
        let said = |text: &str| render(&Question::new("x"), &[ToolResult::ok(text)]).expect("reads");
        assert!(
            said(r#"{"channels":["phone: ok","mail: retrying"]}"#)
                .starts_with("**2 notification channels**:\n\n- phone: ok\n- mail: retrying\n")
        );
        assert!(said("{}").starts_with("**No notification channel is configured:**"));
    }
}
