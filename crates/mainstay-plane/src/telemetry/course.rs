//! The course of judging: at which instants the objectives were judged, and how far in the log the counts were then.
//!
//! Samples are in the store's log in the order in which they were counted. What is missing there to repeat a run bit for bit
//! is what happened between them: judgements, another catalog, a start, alerts taken over from the journal. Each is a frame
//! of a log of its own in `course`, written while the counts are held, so that its place between the samples is exact. It
//! bears no samples: about a megabyte a day, of which [`STEPS_KEPT`] frames are kept.
//!
//! After a crash the counts are brought up to date by the same means: samples from the store's log, and between them the
//! judgements of this one. A process that was killed then stands where it would stand if nothing had happened.

mod step;

use std::path::Path;
use std::sync::PoisonError;

use jiff::Timestamp;
use mainstay_alert::{AlertState, Observation};
use mainstay_kernel::Digest;
use mainstay_kernel::fact::AlertFact;
use mainstay_segment::{Lsn, SegmentError, Wal, WalOptions};
use mainstay_series::{Options, Replayed, SeriesError, Store};
use mainstay_slo::adjust::Exclusion;
use mainstay_slo::completion::CompletionBatch;
use mainstay_slo::{AlertTransition, Evaluation, RawSample, Settings, SloCatalog, SloEngine};

use super::completions::CompletionLog;
use super::{SOURCE, Telemetry, TelemetryError, observation};
use step::{Step, What};

/// Where it is kept, beside the samples.
pub(super) const DIRECTORY: &str = "course";
/// How many frames are kept at least: a week of judging every 5 s.
const STEPS_KEPT: u64 = 200_000;
const SEGMENT_BYTES: u64 = 1 << 20;

/// The log of steps.
#[derive(Debug)]
pub(super) struct Course {
    wal: Wal,
}

impl Course {
    /// Opens the log in `dir`, created if need be, and gives the steps that it holds.
    fn open(dir: &Path) -> Result<(Self, Vec<Step>), TelemetryError> {
        let options = WalOptions {
            segment_bytes: SEGMENT_BYTES,
            ..WalOptions::default()
        };
        let path = dir.join(DIRECTORY);
        std::fs::create_dir_all(&path).map_err(|error| SegmentError::from_io(&path, error))?;
        let mut steps = Vec::new();
        let (wal, _) = Wal::open(&path, options, |number, frame| {
            steps.extend(Step::read(number, frame))
        })?;
        Ok((Self { wal }, steps))
    }

    fn note(&self, slos: &SloEngine, now: Timestamp, what: What) -> Result<(), SegmentError> {
        let [counted, completed] = positions(slos);
        let step = Step {
            number: Lsn::ZERO,
            now,
            counted,
            completed,
            what,
        };
        self.wal.append(&step.to_bytes())?;
        Ok(())
    }

    /// Everything was judged at `now`.
    pub(super) fn evaluated(&self, slos: &SloEngine, now: Timestamp) -> Result<(), SegmentError> {
        self.note(slos, now, What::Evaluated)
    }

    /// Another catalog is in force since `now`.
    pub(super) fn reconfigured(&self, slos: &SloEngine, now: Timestamp) -> Result<(), SegmentError> {
        self.note(slos, now, What::Reconfigured)
    }

    /// These stretches do not count from `now` on.
    pub(super) fn excluded(
        &self,
        slos: &SloEngine,
        now: Timestamp,
        stretches: &[Exclusion],
    ) -> Result<(), SegmentError> {
        self.note(slos, now, What::Excluded(stretches.to_vec()))
    }

    /// Alerts were taken over that only the journal knew.
    pub(super) fn adopted(
        &self,
        slos: &SloEngine,
        now: Timestamp,
        alerts: &[&AlertFact],
    ) -> Result<(), SegmentError> {
        // Those of rules are none of the counts' business.
        let of_slos = alerts
            .iter()
            .filter(|alert| alert.labels.get("slo").is_some())
            .map(|alert| (*alert).clone());
        self.note(slos, now, What::Adopted(of_slos.collect()))
    }

    /// The last step.
    pub(super) fn last(&self) -> Lsn {
        self.wal.last_lsn()
    }

    /// These counts, as they stood after the step `upto`, are about to be written down; steps that are older than what is
    /// kept go.
    pub(super) fn kept(
        &self,
        slos: &SloEngine,
        now: Timestamp,
        upto: Lsn,
        bytes: &[u8],
    ) -> Result<(), SegmentError> {
        let digest = Digest::of(bytes);
        self.note(slos, now, What::Kept { upto, digest })?;
        let oldest = self.wal.last_lsn().get().saturating_sub(STEPS_KEPT);
        self.wal.truncate_before(Lsn::new(oldest))?;
        Ok(())
    }

    /// A copy of the log, by hard links.
    pub(super) fn backup(&self, to: &Path) -> Result<(), SegmentError> {
        let to = to.join(DIRECTORY);
        std::fs::create_dir_all(&to).map_err(|error| SegmentError::from_io(&to, error))?;
        self.wal.backup(&to).map(drop)
    }
}

impl Telemetry {
    /// The counts without what a crash could still take, and up to where in the logs of samples and of completions.
    pub(super) fn counted(&self) -> Result<(Vec<u8>, Lsn, Lsn), TelemetryError> {
        let (slos, upto) = {
            let _intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
            let slos = self.slos();
            (slos.clone(), self.course.last())
        };
        let [samples, completions] = positions(&slos);
        self.store.wait_durable(samples)?;
        self.completions.wait_durable(completions)?;
        let bytes = slos.to_bytes();
        self.course.kept(&slos, self.clock.now(), upto, &bytes)?;
        Ok((bytes, samples, completions))
    }

    /// Makes counts, rules and the journal agree about what fires, after a start: what only the journal knows is taken over,
    /// so that it is neither raised again nor forgotten; gives observations that raise what only the counts know (a crash kept
    /// it from the journal), and that end what no objective or rule answers for any more.
    pub fn adopt(&self, alerts: &AlertState, now: Timestamp) -> Vec<Observation> {
        let facts = alerts.firing().map(|active| &active.alert);
        let ours: Vec<&AlertFact> = facts
            .filter(|alert| alert.annotations.get(SOURCE).is_some())
            .collect();
        let mut slos = self.slos();
        let firing = slos.firing();
        let is_known = |fact: &&AlertFact| {
            let mut firing = firing.iter();
            firing.any(|alert| alert.alert.fingerprint == fact.fingerprint)
        };
        let (known, unknown): (Vec<&AlertFact>, Vec<&AlertFact>) = ours.into_iter().partition(is_known);
        if !unknown.is_empty()
            && let Err(error) = self.course.adopted(&slos, now, &unknown)
        {
            tracing::error!(%error, "the course of judging could not be written");
        }
        let strangers = slos.adopt_firing(unknown);
        drop(slos);
        let mut observations = self.rules().adopt(strangers, now);
        let is_untold = |alert: &AlertTransition| {
            let mut known = known.iter();
            !known.any(|fact| fact.fingerprint == alert.alert.fingerprint)
        };
        observations.extend(firing.into_iter().filter(is_untold).map(observation));
        observations
    }
}

/// Reads counts back, or makes new ones, and brings them up to the last sample of the log, with the judgements that were
/// made meanwhile.
pub(super) fn resume(
    dir: &Path,
    store: &Store,
    completions: &CompletionLog,
    kept: Option<&[u8]>,
    catalog: SloCatalog,
    settings: Settings,
    now: Timestamp,
) -> Result<(SloEngine, Course), TelemetryError> {
    let (course, steps) = Course::open(dir)?;
    let mut slos = match kept {
        None => SloEngine::new(catalog, settings, now),
        Some(bytes) => {
            SloEngine::from_bytes(bytes, catalog, settings, now).map_err(|source| TelemetryError::Counts {
                file: dir.join(super::COUNTS_FILE),
                source,
            })?
        }
    };
    let file = kept.map(Digest::of);
    let upto = steps.iter().rev().find_map(|step| match step.what {
        What::Kept { upto, digest } if Some(digest) == file => Some(upto),
        _ => None,
    });
    let in_them = |step: &Step| upto.is_none_or(|upto| step.number <= upto);
    let (before, after) = steps.split_at(steps.partition_point(in_them));
    // Judged as the process that is no more did: it had looked since its own start.
    if let Some(opened) = before.iter().rfind(|step| step.is_start()) {
        slos.looks_since(opened.now);
    }
    // They are not in the file: whoever read it went on with what had been told last.
    let mut excluded = before.iter().rev().take_while(|step| !step.is_start());
    if let Some(stretches) = excluded.find_map(|step| match &step.what {
        What::Excluded(stretches) => Some(stretches),
        _ => None,
    }) {
        slos.set_exclusions(stretches.clone());
    }
    let mut repeat = Repeat::new(store, completions, after, &slos)?;
    while let Some(step) = repeat.next(&mut slos)? {
        match &step.what {
            // Whether anybody was told is known to the journal: see `adopt`.
            What::Evaluated => drop(slos.evaluate(step.now)),
            What::Adopted(alerts) => drop(slos.adopt_firing(alerts)),
            What::Excluded(stretches) => slos.set_exclusions(stretches.clone()),
            // Only the catalog in force is known now.
            What::Opened(_) | What::Reconfigured | What::Kept { .. } => {}
        }
    }
    repeat.finish(&mut slos)?;
    let [_, completed] = positions(&slos);
    completions.go_on_after(completed)?;
    slos.looks_since(now);
    course.note(&slos, now, What::Opened(settings.scrape_interval_ms))?;
    Ok((slos, course))
}

/// Samples and steps in the order in which they happened.
struct Repeat<'a> {
    store: &'a Store,
    steps: std::slice::Iter<'a, Step>,
    /// Completions that were not counted yet.
    completions: std::collections::VecDeque<(Lsn, CompletionBatch)>,
    /// Samples that were read and not counted yet, and up to where was read.
    read: std::collections::VecDeque<Replayed>,
    read_to: Option<Lsn>,
}

/// How many samples are read at once.
const READ_SAMPLES: usize = 100_000;

impl<'a> Repeat<'a> {
    fn new(
        store: &'a Store,
        completions: &CompletionLog,
        steps: &'a [Step],
        slos: &SloEngine,
    ) -> Result<Self, SegmentError> {
        let [_, completed] = positions(slos);
        Ok(Self {
            store,
            steps: steps.iter(),
            completions: completions.since(completed)?,
            read: std::collections::VecDeque::new(),
            read_to: None,
        })
    }

    /// The next step, after everything that was counted before it.
    fn next(&mut self, slos: &mut SloEngine) -> Result<Option<&'a Step>, SeriesError> {
        let Some(step) = self.steps.next() else {
            return Ok(None);
        };
        self.count_to(slos, step.counted)?;
        self.complete_to(slos, step.completed);
        Ok(Some(step))
    }

    /// Counts what is left.
    fn finish(&mut self, slos: &mut SloEngine) -> Result<(), SeriesError> {
        self.count_to(slos, self.store.last_lsn())?;
        self.complete_to(slos, Lsn::new(u64::MAX));
        Ok(())
    }

    fn complete_to(&mut self, slos: &mut SloEngine, to: Lsn) {
        while let Some((position, batch)) = self.completions.pop_front_if(|(position, _)| *position <= to) {
            slos.on_completions(position.get(), &batch);
        }
    }

    fn count_to(&mut self, slos: &mut SloEngine, to: Lsn) -> Result<(), SeriesError> {
        let mut read_to = *self
            .read_to
            .get_or_insert(Lsn::new(slos.position().unwrap_or_default()));
        loop {
            while let Some(sample) = self.read.pop_front_if(|sample| sample.lsn <= to) {
                count(slos, &sample);
            }
            if !self.read.is_empty() || read_to >= to {
                break;
            }
            let read = &mut self.read;
            let reached = self
                .store
                .replay_some(read_to, READ_SAMPLES, |sample| read.push_back(sample))?;
            if reached <= read_to {
                break;
            }
            (read_to, self.read_to) = (reached, Some(reached));
        }
        slos.advance_to(to.get());
        Ok(())
    }
}

/// Up to where in the logs of samples and of completions.
fn positions(slos: &SloEngine) -> [Lsn; 2] {
    [slos.position(), slos.completions_position()].map(|known| Lsn::new(known.unwrap_or_default()))
}

fn count(slos: &mut SloEngine, sample: &Replayed) {
    if let Some(histogram) = sample.value.histogram() {
        slos.count_histogram(&sample.labels, sample.t_ms, histogram, sample.created_ms);
    } else if let Some(value) = sample.value.float() {
        slos.count(&RawSample {
            labels: &sample.labels,
            t_ms: sample.t_ms,
            value,
            created_ms: sample.created_ms,
        });
    }
}

/// What a recorded run came to when it was repeated.
#[derive(Debug)]
pub struct Repeated {
    /// The counts at its end.
    pub slos: SloEngine,
    /// When it began.
    pub from: Timestamp,
    /// When it was last judged.
    pub to: Timestamp,
    /// How often it was started, the first time included.
    pub starts: usize,
    /// How often another catalog came into force while it ran.
    pub catalogs: usize,
    /// Whether the counts were, when they were last written down, the same to the last bit; none: they never were.
    pub is_equal: Option<bool>,
}

/// Repeats the run whose samples are kept in `dir`, from its first start, and tells `told` what each judgement said.
/// `catalog` gives what was judged by, of each start and change, by their number in order of time; a program that has only
/// one catalog gives that.
///
/// `None`: what the run began with is no longer there, so that only its counts can be repeated (from the block files).
///
/// Nothing is written, but that a torn end of a log is cut off, as a server does.
///
/// # Errors
/// If the store cannot be opened (a server that runs has it locked: make a backup) or read.
pub fn repeat_run(
    dir: &Path,
    mut catalog: impl FnMut(usize) -> SloCatalog,
    settings: Settings,
    mut told: impl FnMut(Timestamp, Evaluation),
) -> Result<Option<Repeated>, TelemetryError> {
    let (store, _) = Store::open(dir, Options::default())?;
    if !dir.join(DIRECTORY).exists() {
        return Ok(None);
    }
    let (course, steps) = Course::open(dir)?;
    let completions = CompletionLog::open(dir)?;
    if !completions.is_whole() {
        return Ok(None);
    }
    let Some(first) = steps.first().filter(|first| {
        first.is_start() && first.counted == Lsn::ZERO && course.wal.oldest_lsn() <= Lsn::new(1)
    }) else {
        return Ok(None);
    };
    let as_of = |step: &Step| match step.what {
        What::Opened(scrape_interval_ms) => Settings {
            scrape_interval_ms,
            ..settings
        },
        _ => settings,
    };
    let mut repeated = Repeated {
        slos: SloEngine::new(catalog(0), as_of(first), first.now),
        from: first.now,
        to: first.now,
        starts: 1,
        catalogs: 0,
        is_equal: None,
    };
    // When the counts were last written down: after which step and which sample, and what they were.
    let mut kept = steps.iter().rev().find_map(|step| match step.what {
        What::Kept { upto, digest } => Some((upto, [step.counted, step.completed], digest)),
        _ => None,
    });
    let mut repeat = Repeat::new(&store, &completions, &steps[1..], &repeated.slos)?;
    loop {
        let slos = &mut repeated.slos;
        let next = repeat.steps.as_slice().first();
        let is_next = |upto: Lsn| next.is_none_or(|next| next.number > upto);
        if let Some((_, [counted, completed], digest)) = kept.take_if(|(upto, ..)| is_next(*upto)) {
            repeat.count_to(slos, counted)?;
            repeat.complete_to(slos, completed);
            repeated.is_equal = Some(Digest::of(&slos.to_bytes()) == digest);
        }
        let step = match repeat.next(slos) {
            Ok(Some(step)) => step,
            Ok(None) => break,
            Err(SeriesError::Segment(SegmentError::Gap { .. })) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let number = repeated.starts + repeated.catalogs;
        match &step.what {
            What::Opened(_) => {
                let bytes = slos.to_bytes();
                *slos = SloEngine::from_bytes(&bytes, catalog(number), as_of(step), step.now).map_err(
                    |source| TelemetryError::Counts {
                        file: dir.join(super::COUNTS_FILE),
                        source,
                    },
                )?;
                repeated.starts += 1;
            }
            What::Evaluated => {
                told(step.now, slos.evaluate(step.now));
                repeated.to = step.now;
            }
            What::Reconfigured => {
                let gone = slos.reconfigure(catalog(number), step.now);
                told(step.now, gone);
                repeated.catalogs += 1;
            }
            What::Adopted(alerts) => drop(slos.adopt_firing(alerts)),
            What::Excluded(stretches) => slos.set_exclusions(stretches.clone()),
            What::Kept { .. } => {}
        }
    }
    repeat.finish(&mut repeated.slos)?;
    Ok(Some(repeated))
}
