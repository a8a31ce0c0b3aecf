//! A plane over a journal in memory, with channels that write down what they are given and a judge that says what it is
//! told to say.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertCommand, Observation};
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_delivery::channel::{Channels, Outgoing, Sent};
use mainstay_hands::Hands;
use mainstay_journal::{Journal, MemoryJournal, Record, Seq};
use mainstay_kernel::effect::{Act, Channel, Outcome};
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Actor, Clock, Labels, Scope};
use mainstay_plane::judge::Verdict;
use mainstay_plane::{Command, Directory, Done, Judge, Parts, Plane};
use mainstay_review::facts::BudgetCost;

/// Receivers that take everything, unless they are too busy to.
#[derive(Default)]
pub(crate) struct Outside {
    /// Keys and subjects of what was sent.
    sent: Mutex<Vec<(String, String)>>,
    busy: AtomicBool,
    /// Keys of what was done.
    acts: Mutex<Vec<String>>,
    /// The next message is not answered before this comes.
    answer: Mutex<Option<futures::channel::oneshot::Receiver<()>>>,
}

impl Channels for Outside {
    async fn send(&self, outgoing: Outgoing<'_>) -> Sent {
        let subject = outgoing.deliver.message.subject.clone();
        self.sent
            .lock()
            .expect("not poisoned")
            .push((outgoing.key.to_owned(), subject));
        let answer = self.answer.lock().expect("not poisoned").take();
        if let Some(answer) = answer {
            answer.await.expect("it is answered");
        }
        let is_busy = self.busy.load(Ordering::Relaxed);
        match outgoing.deliver.channel {
            // Nobody presses a key.
            Channel::Voice if is_busy => return Sent::unknown("it rings", 0),
            _ if is_busy => return Sent::retry("421 busy", 0),
            _ => {}
        }
        Sent::done("250 ok")
    }
}

impl Hands for Outside {
    async fn act(&self, key: &str, _act: &Act) -> Outcome {
        self.acts.lock().expect("not poisoned").push(key.to_owned());
        Outcome::Failed {
            reason: "no platform here".to_owned(),
        }
    }
}

/// Says what it was last told to say.
#[derive(Default)]
pub(crate) struct Scripted(pub(crate) Mutex<Option<Verdict>>);

impl Judge for Scripted {
    fn verdict(&self, _scope: &Scope, _since: Option<Timestamp>, _now: Timestamp) -> Option<Verdict> {
        self.0.lock().expect("not poisoned").clone()
    }

    fn budget_costs(&self, _scope: &Scope, _from: Timestamp, _to: Timestamp) -> Vec<BudgetCost> {
        Vec::new()
    }
}

pub(crate) type TestPlane = Plane<MemoryJournal, Outside, Outside, Scripted>;

pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) judge: Arc<Scripted>,
    outside: Arc<Outside>,
    entropy: Arc<SeededEntropy>,
    catalog: Arc<Catalog>,
    pub(crate) plane: TestPlane,
}

pub(crate) fn payments() -> Documents {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs/payments");
    Documents::load(&path).0
}

/// The payments catalog with `file` changed.
pub(crate) fn changed(file: &str, change: impl Fn(&str) -> String) -> Arc<Catalog> {
    let documents = payments();
    let texts = documents.files().map(|(name, text)| {
        let text = if name == file {
            change(text)
        } else {
            text.to_owned()
        };
        (name.to_owned(), text)
    });
    let (documents, mut diagnostics) = Documents::from_texts(texts.collect::<Vec<_>>());
    Arc::new(Catalog::build(documents, &mut diagnostics))
}

pub(crate) fn lookup(name: &str) -> Option<String> {
    Some(format!("test-{name}"))
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(Catalog::build(payments(), &mut Diagnostics::new())))
    }

    pub(crate) fn over(catalog: Arc<Catalog>) -> Self {
        let start = "2026-03-02T10:00:00Z".parse().expect("a timestamp");
        let clock = Arc::new(ManualClock::at(start));
        let entropy = Arc::new(SeededEntropy::new(1));
        let journal = Arc::new(MemoryJournal::new(clock.clone(), entropy.clone()));
        let (judge, outside) = (Arc::new(Scripted::default()), Arc::new(Outside::default()));
        let plane = open(&clock, &entropy, &journal, &outside, &judge, &catalog);
        Self {
            clock,
            journal,
            judge,
            outside,
            entropy,
            catalog,
            plane,
        }
    }

    /// Another process over the same journal.
    pub(crate) fn reopen(&mut self) {
        self.plane = open(
            &self.clock,
            &self.entropy,
            &self.journal,
            &self.outside,
            &self.judge,
            &self.catalog,
        );
    }

    pub(crate) fn submit(&self, command: Command) -> Vec<Done> {
        block_on(self.plane.submit(Actor::token("test"), command)).expect("not refused")
    }

    /// An alert with these labels (`name=value`), which fires or is over.
    pub(crate) fn observe(&self, name: &str, labels: &str, over: bool) -> Vec<Done> {
        let now = self.clock.now();
        let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
        let seen = Observation {
            labels: Labels::from_iter(pairs).with("alertname", name),
            annotations: Labels::new(),
            starts_at: now,
            ended_at: over.then_some(now),
            believed_for_ms: None,
        };
        self.submit(Command::Alert(AlertCommand::Observe(vec![seen])))
    }

    /// Everything that is due is done.
    pub(crate) fn work(&self) {
        loop {
            block_on(self.plane.tick()).expect("the journal works");
            let claimed = block_on(self.plane.claim(16)).expect("the journal works");
            if claimed.is_empty() {
                return;
            }
            for effect in claimed {
                block_on(self.plane.perform(effect)).expect("the journal works");
            }
        }
    }

    pub(crate) fn pass(&self, minutes: i64) {
        for _ in 0..minutes {
            self.clock.advance(SignedDuration::from_mins(1));
            self.work();
        }
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        block_on(self.journal.read(Seq(0), usize::MAX)).expect("the journal works")
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.records()
            .into_iter()
            .map(|record| record.envelope.kind)
            .collect()
    }

    /// Whether receivers are too busy to take anything.
    pub(crate) fn busy(&self, busy: bool) {
        self.outside.busy.store(busy, Ordering::Relaxed);
    }

    /// The next message is answered when told so.
    pub(crate) fn hold_next(&self) -> futures::channel::oneshot::Sender<()> {
        let (answer, waits) = futures::channel::oneshot::channel();
        *self.outside.answer.lock().expect("not poisoned") = Some(waits);
        answer
    }

    /// The keys and subjects of what left, in order.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        self.outside.sent.lock().expect("not poisoned").clone()
    }

    /// The keys of what was done to the platform, in order.
    pub(crate) fn acted(&self) -> Vec<String> {
        self.outside.acts.lock().expect("not poisoned").clone()
    }
}

fn open(
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
    journal: &Arc<MemoryJournal>,
    outside: &Arc<Outside>,
    judge: &Arc<Scripted>,
    catalog: &Arc<Catalog>,
) -> TestPlane {
    let parts = Parts {
        journal: journal.clone(),
        clock: clock.clone() as Arc<dyn Clock>,
        entropy: entropy.clone(),
        channels: outside.clone(),
        hands: outside.clone(),
        judge: judge.clone(),
        base_url: "http://mainstay.example".to_owned(),
    };
    let directory = Directory::new(catalog, lookup).expect("every variable is set");
    block_on(Plane::open(parts, "test", catalog.clone(), directory)).expect("nobody else leads")
}
