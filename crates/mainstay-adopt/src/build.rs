//! What is put together from the files of an export, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::Spanned;
use mainstay_catalog::platform::{TimeZoneName, is_e164};
use mainstay_catalog::response::{DstConvention, Handoff, Layer, Restriction, Rota, TurnLength};
use mainstay_kernel::PersonId;
use mainstay_oncall::Override;
use mainstay_oncall::rota::schedule;

use crate::names::{free, slug};
use crate::node::Node;
use crate::{Loss, Moved, Person, Policy, Schedule, Span, Step, Target, policy};

/// How far ahead people are looked for who are on call at the same time.
pub(crate) const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A layer before it is one of a rota.
pub(crate) struct LayerDraft {
    pub(crate) name: String,
    pub(crate) zone: TimeZoneName,
    pub(crate) dst: DstConvention,
    /// The first handoff, by the zone's clock.
    pub(crate) start: DateTime,
    pub(crate) turn: TurnLength,
    pub(crate) people: Vec<PersonId>,
    pub(crate) only: Vec<Restriction>,
}

impl LayerDraft {
    fn layer(self) -> Layer {
        let date = self.start.date();
        let weekday = self.turn.is_whole_weeks().then(|| date.weekday().into());
        Layer {
            name: Spanned::nowhere(self.name),
            time_zone: self.zone,
            dst: self.dst,
            handoff: Handoff {
                weekday,
                time: self.start.time(),
            },
            start: Spanned::nowhere(date),
            turn: Spanned::nowhere(self.turn),
            participants: self.people.into_iter().map(Spanned::nowhere).collect(),
            only: self.only,
        }
    }
}

/// The state of the reading.
pub(crate) struct Builder<'a> {
    pub(crate) now: Timestamp,
    pub(crate) moved: Moved,
    known: &'a BTreeMap<String, PersonId>,
    /// People by every name that the other system has for them.
    people: BTreeMap<String, usize>,
    /// Schedules by the other system's name for them.
    schedules: BTreeMap<String, usize>,
    taken_people: BTreeSet<String>,
    taken_rotas: BTreeSet<String>,
    taken_policies: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(known: &'a BTreeMap<String, PersonId>, now: Timestamp) -> Self {
        Self {
            now,
            moved: Moved::default(),
            known,
            people: BTreeMap::new(),
            schedules: BTreeMap::new(),
            taken_people: known.values().map(ToString::to_string).collect(),
            taken_rotas: BTreeSet::new(),
            taken_policies: BTreeSet::new(),
        }
    }

    pub(crate) fn lose(&mut self, node: &Node<'_>, what: impl Into<String>) {
        self.moved.losses.push(node.loss(what));
    }

    pub(crate) fn losses(&mut self) -> &mut Vec<Loss> {
        &mut self.moved.losses
    }

    /// A zone of the database; UTC and a loss where there is none of that name.
    pub(crate) fn zone(&mut self, node: &Node<'_>, key: &str) -> TimeZoneName {
        let Some(text) = node.text(key) else {
            return TimeZoneName::default();
        };
        text.parse().unwrap_or_else(|_| {
            self.lose(
                node,
                format!("the time zone {text:?} is not known: UTC is written"),
            );
            TimeZoneName::default()
        })
    }

    /// A person with all names that the other system has for them.
    pub(crate) fn person(
        &mut self,
        node: &Node<'_>,
        keys: &[&str],
        name: &str,
        email: Option<&str>,
    ) -> &mut Person {
        let known = email.and_then(|email| self.known.get(&email.to_lowercase()));
        let handle = email.and_then(|email| email.split('@').next()).unwrap_or(name);
        let id = match known {
            Some(id) => id.clone(),
            None => {
                let id = free(&mut self.taken_people, &slug(handle, "person"));
                PersonId::new(id).unwrap_or_else(|_| unreachable_name())
            }
        };
        if email.is_none() {
            self.lose(
                node,
                format!("{name} has no mail address in the export: one is made up"),
            );
        }
        let email = email.map_or_else(|| format!("{id}@unknown.invalid"), str::to_owned);
        let index = self.moved.people.len();
        self.people
            .extend(keys.iter().map(|key| ((*key).to_owned(), index)));
        self.moved.people.push(Person {
            known: known.is_some(),
            name: name.to_owned(),
            role: "On call".to_owned(),
            time_zone: None,
            email,
            phone: None,
            notify: BTreeMap::new(),
            id,
        });
        &mut self.moved.people[index]
    }

    /// Takes a telephone number if it can be dialled from anywhere.
    pub(crate) fn phone(&mut self, node: &Node<'_>, key: &str, number: &str) -> bool {
        let number: String = number
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == '+')
            .collect();
        let Some(person) = self
            .people
            .get(key)
            .and_then(|index| self.moved.people.get_mut(*index))
        else {
            return false;
        };
        if !is_e164(&number) {
            self.lose(node, "no number that can be dialled from anywhere (E.164)");
            return false;
        }
        match &person.phone {
            Some(has) if *has != number => {
                self.lose(node, "a second number: a person has one");
                false
            }
            _ => {
                person.phone = Some(number);
                true
            }
        }
    }

    pub(crate) fn person_mut(&mut self, key: &str) -> Option<&mut Person> {
        self.moved.people.get_mut(*self.people.get(key)?)
    }

    pub(crate) fn find(&self, key: &str) -> Option<PersonId> {
        Some(self.moved.people.get(*self.people.get(key)?)?.id.clone())
    }

    /// A person that something refers to. One that the export does not have is written with a made-up address: left out,
    /// the turns of the others would move.
    pub(crate) fn referred(&mut self, node: &Node<'_>, key: &str, name: &str) -> PersonId {
        match self.find(key) {
            Some(id) => id,
            None => {
                let email = name.contains('@').then_some(name);
                self.lose(node, format!("{name} is not among the users of the export"));
                self.person(node, &[key], name, email).id.clone()
            }
        }
    }

    /// A schedule whose layers stand above each other: the last wins.
    pub(crate) fn schedule(
        &mut self,
        node: &Node<'_>,
        (key, title): (&str, &str),
        zone: &TimeZoneName,
        layers: Vec<LayerDraft>,
    ) {
        let id = slug(title, "rota");
        let rotas = (!layers.is_empty()).then(|| (id, rota(title, zone, layers)));
        self.add(node, key, title, rotas.into_iter().collect());
    }

    /// A schedule in which everybody whose turn it is is on call: as one rota if that is never more than one in the next
    /// 90 days, else as one for each of its rotations.
    pub(crate) fn union(
        &mut self,
        node: &Node<'_>,
        (key, title): (&str, &str),
        zone: &TimeZoneName,
        layers: Vec<LayerDraft>,
    ) {
        let id = slug(title, "rota");
        let mut names = BTreeSet::new();
        let single: Vec<(String, Rota)> = layers
            .into_iter()
            .map(|layer| {
                let name = format!("{id}-{}", slug(&layer.name, "layer"));
                let title = format!("{title}: {}", layer.name);
                (free(&mut names, &name), rota(&title, zone, vec![layer]))
            })
            .collect();
        let until = self.now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let mut shifts: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (name, rota) in &single {
            let of = schedule(name, rota, &[], self.now, until);
            shifts.extend(of.into_iter().map(|shift| (shift.from, shift.until)));
        }
        shifts.sort_unstable();
        let overlap = shifts.windows(2).any(|pair| pair[1].0 < pair[0].1);
        if overlap && single.len() > 1 {
            let what = format!(
                "several people are on call at once: written as {} rotas, which a policy pages together",
                single.len()
            );
            self.lose(node, what);
            return self.add(node, key, title, single);
        }
        let layers: Vec<Layer> = single.into_iter().flat_map(|(_, rota)| rota.layers).collect();
        let one = Rota {
            title: title.to_owned(),
            time_zone: zone.clone(),
            layers,
            backs_up: None,
            business_hours: None,
            pay: None,
            remind: None,
        };
        let rotas = (!one.layers.is_empty()).then_some((id, one));
        self.add(node, key, title, rotas.into_iter().collect());
    }

    fn add(&mut self, node: &Node<'_>, key: &str, title: &str, rotas: Vec<(String, Rota)>) {
        if rotas.is_empty() {
            self.lose(
                node,
                format!("the schedule {title} has nobody: no rota is written"),
            );
        }
        let named = rotas.into_iter().map(|(name, mut rota)| {
            let mut taken = BTreeSet::new();
            for layer in &mut rota.layers {
                layer.name.value = free(&mut taken, &layer.name.value);
            }
            (free(&mut self.taken_rotas, &name), rota)
        });
        let rotas = named.collect();
        self.schedules.insert(key.to_owned(), self.moved.schedules.len());
        self.moved.schedules.push(Schedule {
            title: title.to_owned(),
            rotas,
            rendered: Vec::new(),
        });
    }

    pub(crate) fn scheduled(&mut self, key: &str) -> Option<&mut Schedule> {
        self.moved.schedules.get_mut(*self.schedules.get(key)?)
    }

    /// The name of the only schedule, if there is one.
    pub(crate) fn only_schedule(&self) -> Option<String> {
        let mut keys = self.schedules.keys();
        keys.next().filter(|_| self.schedules.len() == 1).cloned()
    }

    /// That somebody is on call there by the other system itself.
    pub(crate) fn rendered(&mut self, key: &str, person: String, from: Timestamp, until: Timestamp) {
        if let Some(schedule) = self.scheduled(key) {
            schedule.rendered.push(Span { person, from, until });
        }
    }

    /// Somebody stands in: in the only rota of a schedule; which of several it is cannot be said.
    pub(crate) fn stand_in(
        &mut self,
        node: &Node<'_>,
        key: &str,
        person: PersonId,
        (from, until): (Timestamp, Timestamp),
    ) {
        if until <= self.now {
            return;
        }
        let rotas = self
            .scheduled(key)
            .map(|schedule| schedule.rotas.iter().map(|(name, _)| name.clone()).collect());
        let rotas: Vec<String> = rotas.unwrap_or_default();
        match rotas.as_slice() {
            [rota] => self
                .moved
                .overrides
                .push(Override::new(rota.clone(), person, from, until)),
            _ => self.lose(
                node,
                format!("{person} stands in from {from} until {until}: not said for which rota"),
            ),
        }
    }

    /// The rotas of a schedule, as targets.
    pub(crate) fn targets(&mut self, node: &Node<'_>, key: &str, name: &str) -> Vec<Target> {
        match self.scheduled(key) {
            Some(schedule) => schedule
                .rotas
                .iter()
                .map(|(name, _)| Target::Rota(name.clone()))
                .collect(),
            None => {
                self.lose(node, format!("the schedule {name} is not in the export"));
                Vec::new()
            }
        }
    }

    pub(crate) fn policy(
        &mut self,
        node: &Node<'_>,
        title: &str,
        steps: Vec<Step>,
        repeat: Option<(u32, u64)>,
    ) {
        let id = free(&mut self.taken_policies, &slug(title, "policy"));
        let draft = Policy {
            id,
            title: title.to_owned(),
            steps,
            repeat,
        };
        let people: Vec<PersonId> = self.moved.people.iter().map(|person| person.id.clone()).collect();
        if let Some(policy) = policy::fitted(draft, node, &people, &mut self.moved.losses) {
            self.moved.policies.push(policy);
        }
    }

    pub(crate) fn finish(mut self) -> Moved {
        for schedule in &mut self.moved.schedules {
            schedule.rendered.sort_by_key(|span| (span.from, span.until));
        }
        self.moved
    }
}

fn rota(title: &str, zone: &TimeZoneName, layers: Vec<LayerDraft>) -> Rota {
    Rota {
        title: title.to_owned(),
        time_zone: zone.clone(),
        layers: layers.into_iter().map(LayerDraft::layer).collect(),
        backs_up: None,
        business_hours: None,
        pay: None,
        remind: None,
    }
}

/// A layer as a rota of its own.
pub(crate) fn rota_of(layer: LayerDraft) -> Rota {
    let zone = layer.zone.clone();
    rota("", &zone, vec![layer])
}

fn unreachable_name() -> PersonId {
    PersonId::new("person").expect("letters are a name")
}
