//! An order whose answer is lost: the task lists say whether it was begun. It is never sent again.

use super::{Ended, Run};
use crate::actions::request::Place;
use crate::client::segment;
use crate::decode;
use crate::model::Task;
use crate::tools::words::text;
use std::time::Duration;

/// How often the task lists are looked at, and how long is waited before each time.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_secs(2);

impl Run {
    /// Looks for the task that the order has begun, and follows it.
    pub(super) async fn search(&self, place: &Place, why: &str) -> Ended {
        self.tell("the answer is lost; looking whether it was begun".to_owned(), None);
        let mut was_seen = false;
        for _ in 0..LOOKS {
            self.errand.clock.pause(BETWEEN).await;
            let Some(tasks) = self.tasks_at(place).await else { continue };
            was_seen = true;
            // The first that came after the order.
            if let Some(task) = tasks.iter().filter(|task| self.is_ours(task)).min_by_key(|task| task.started_s) {
                return self.follow(place, task.upid.clone()).await;
            }
        }
        let (subject, node, why) = (&self.errand.subject, &place.node, text(why));
        let seen = match was_seen {
            true => format!("{node} shows no task of it, so it was probably not begun, but that is not certain"),
            false => format!("the tasks of {node} cannot be looked at either"),
        };
        self.unknown(format!(
            "The answer to the order was lost ({why}); {seen}. Look at {subject} before you try again."
        ))
    }

    /// The guest's tasks, as its node tells them; as the cluster does where the node does not answer.
    async fn tasks_at(&self, place: &Place) -> Option<Vec<Task>> {
        let client = &self.errand.client;
        let path = format!("/nodes/{}/tasks?vmid={}&source=all&limit=50", segment(&place.node), place.vmid);
        if let Ok((tasks, answer)) = client.fast(&path, decode::tasks).await {
            self.saw(answer.date_s);
            return Some(tasks);
        }
        let (tasks, answer) = client.fast("/cluster/tasks", decode::tasks).await.ok()?;
        self.saw(answer.date_s);
        Some(tasks)
    }
}
