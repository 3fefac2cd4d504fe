//! The queue of the captures as the template sets it, on a clock of its own, before the real function.
//!
//! As SQS and its poller (Amazon SQS Developer Guide, "Visibility timeout" and "Dead-letter queues"; AWS Lambda Developer
//! Guide, "Using Lambda with Amazon SQS"): a message that is received is out of sight for the visibility timeout; what the
//! function answers for is deleted, what it names as failed, or all of a batch that it fails for, comes back; and a message
//! that was received as often as it may be goes to the dead letters when it would be received again.

use local::stack::template;
use serde_json::Value;

use crate::capture::{batch, failures};
use crate::system::{CAPTURE, System};

/// A queue, and the dead letters behind it.
#[derive(Clone)]
pub struct Queue {
    settings: template::Queue,
    /// Seconds since the first message.
    now: u64,
    messages: Vec<Message>,
    dead: usize,
}

#[derive(Clone)]
struct Message {
    body: String,
    visible_at: u64,
    received: u32,
}

impl Queue {
    pub fn new(settings: template::Queue) -> Self {
        Self {
            settings,
            now: 0,
            messages: Vec::new(),
            dead: 0,
        }
    }

    pub fn send(&mut self, event: &Value) {
        self.messages.push(Message {
            body: event.to_string(),
            visible_at: self.now,
            received: 0,
        });
    }

    /// Lets seconds pass.
    pub fn pass(&mut self, seconds: u64) {
        self.now += seconds;
    }

    /// Lets the time pass until all that failed is there again.
    pub fn pass_visibility_timeout(&mut self) {
        self.pass(self.settings.visibility_timeout);
    }

    /// Delivers what is there.
    pub async fn deliver(&mut self, system: &System) {
        let most = self.settings.max_receive_count;
        let now = self.now;
        let before = self.messages.len();
        self.messages
            .retain(|message| message.visible_at > now || message.received < most);
        self.dead += before - self.messages.len();
        let is_there = |message: &Message| message.visible_at <= now;
        let messages = std::mem::take(&mut self.messages).into_iter();
        let (there, out_of_sight): (Vec<_>, Vec<_>) = messages.partition(is_there);
        self.messages = out_of_sight;
        for messages in there.chunks(self.settings.batch_size) {
            let mut failed = self.receive(system, messages).await;
            self.messages.append(&mut failed);
        }
    }

    /// How many messages are neither kept nor given up.
    pub fn waiting(&self) -> usize {
        self.messages.len()
    }

    /// How many messages were given up.
    pub fn dead(&self) -> usize {
        self.dead
    }

    /// Has the function handle a batch; what of it comes back.
    async fn receive(&self, system: &System, messages: &[Message]) -> Vec<Message> {
        let bodies: Vec<String> = messages.iter().map(|one| one.body.clone()).collect();
        let invoked = system.invoke(CAPTURE, &batch(&bodies)).await;
        let reply: Value = serde_json::from_slice(&invoked.payload).unwrap();
        let names_its_items = invoked.function_error.is_none() && self.settings.reports_items;
        let failed = names_its_items.then(|| failures(&reply));
        let comes_back = |number: usize| match &failed {
            Some(failed) => failed.contains(&&*format!("m-{number}")),
            None => invoked.function_error.is_some(),
        };
        let back = messages
            .iter()
            .enumerate()
            .filter(|(number, _)| comes_back(*number));
        back.map(|(_, message)| Message {
            body: message.body.clone(),
            visible_at: self.now + self.settings.visibility_timeout,
            received: message.received + 1,
        })
        .collect()
    }
}
