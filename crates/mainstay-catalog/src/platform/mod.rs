//! The platform model: what there is to keep reliable, who owns it and who depends on it.

mod build;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil;
use mainstay_kernel::{CellId, PersonId, Ratio, RegionId, ServiceId, Severity, TeamId, TenantId, ZoneId};
use serde::{Deserialize, Serialize};

use crate::response::NotifyStep;
use crate::spanned::Spanned;
pub use words::{Country, CountryError, TimeZoneName, TimeZoneNameError, Weekday};

/// The whole model, with every reference resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Platform {
    /// Its name.
    pub name: String,
    /// How people call it.
    pub title: String,
    /// The time zone of its people where nothing else is said.
    pub time_zone: TimeZoneName,
    /// Availability tiers by id.
    pub tiers: BTreeMap<String, Tier>,
    /// Regions by id.
    pub regions: BTreeMap<RegionId, Region>,
    /// Cells by id, standbys not among them.
    pub cells: BTreeMap<CellId, Cell>,
    /// Tenants by id.
    pub tenants: BTreeMap<TenantId, Tenant>,
    /// Teams by id.
    pub teams: BTreeMap<TeamId, Team>,
    /// People by handle.
    pub people: BTreeMap<PersonId, Person>,
    /// Services by id.
    pub services: BTreeMap<ServiceId, Service>,
    /// Databases by id.
    pub databases: BTreeMap<String, Database>,
    /// Brokers by id.
    pub brokers: BTreeMap<String, Broker>,
    /// What others run and the services call, by id.
    pub externals: BTreeMap<String, External>,
    /// Calendars by name.
    pub calendars: BTreeMap<String, Calendar>,
}

/// The `spec` of the document of kind `Platform`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformSpec {
    title: String,
    time_zone: TimeZoneName,
    #[serde(default)]
    counts: BTreeMap<String, Spanned<usize>>,
    availability_tiers: Vec<Tier>,
}

/// An availability tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Its id, such as `tier-2`.
    pub id: Spanned<String>,
    /// How people call it.
    pub title: String,
    /// The share of the time, or of the requests, that must be good over a year.
    pub target: Ratio,
}

/// A cloud region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its id.
    pub id: Spanned<RegionId>,
    /// The country it stands in.
    pub country: Country,
    /// Its availability zones.
    pub zones: BTreeSet<ZoneId>,
}

/// One isolated copy of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Its id.
    pub id: Spanned<CellId>,
    /// The country whose data it holds (ruling R38: the country of a cell is data).
    pub country: Spanned<Country>,
    /// Its region.
    pub region: Spanned<RegionId>,
    /// The zones of that region it runs in.
    pub zones: Vec<Spanned<ZoneId>>,
    /// The cell that takes over.
    pub standby: Standby,
}

/// The cell that takes over from another one. It serves nobody until then and is not counted among the cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standby {
    /// Its id.
    pub cell: Spanned<CellId>,
    /// Its region.
    pub region: Spanned<RegionId>,
    /// The zones of that region it runs in.
    pub zones: Vec<Spanned<ZoneId>>,
}

/// How much of the platform a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantSize {
    /// One of the few whose outage alone is a P1.
    Large,
    /// In between.
    Medium,
    /// One of the many.
    Small,
}

/// A bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its id, such as `STD-001`.
    pub id: Spanned<TenantId>,
    /// The bank's name.
    pub name: String,
    /// Where it is licensed.
    pub country: Country,
    /// How big it is.
    pub size: TenantSize,
    /// The cell that serves it.
    pub cell: Spanned<CellId>,
    /// Whom to tell.
    pub contacts: Contacts,
}

/// How to reach somebody. Personal data: kept out of hashes, logs and events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Handle or channel in the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Telephone number, E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Contacts {
    /// The telephone number, if it is written as E.164 says: as it is dialled from anywhere.
    #[must_use]
    pub fn dialled(&self) -> Option<&str> {
        self.phone.as_deref().filter(|number| is_e164(number))
    }
}

/// Whether a number is written as E.164 says: `+`, no zero first, at most 15 digits.
#[must_use]
pub fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// A team that owns services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its id.
    pub id: Spanned<TeamId>,
    /// How people call it.
    pub title: String,
    /// Who leads it.
    pub lead: Spanned<PersonId>,
    /// How to reach it.
    #[serde(default)]
    pub contacts: Contacts,
}

/// A person. `name` and `contacts` are personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The handle, which is not the name.
    pub id: Spanned<PersonId>,
    /// The name.
    pub name: String,
    /// What they do.
    pub role: String,
    /// Their team.
    pub team: Spanned<TeamId>,
    /// Their time zone, if not the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZoneName>,
    /// How to reach them.
    pub contacts: Contacts,
    /// How they want to be told of pages, per severity, in place of what the escalation policy says. The first step is
    /// at once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notify: BTreeMap<Severity, Vec<NotifyStep>>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its id; also the value of the label `job` of its metrics.
    pub id: Spanned<ServiceId>,
    /// How people call it.
    pub title: String,
    /// Who owns it.
    pub team: Spanned<TeamId>,
    /// Its availability tier.
    pub tier: Spanned<String>,
    /// What it needs, and what it can do without.
    #[serde(default)]
    pub depends_on: DependsOn,
}

/// Names of services, databases, broker clusters and externals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DependsOn {
    /// Without any of these the service cannot do its work.
    pub hard: Vec<Spanned<String>>,
    /// Without these it does less, and goes on.
    pub soft: Vec<Spanned<String>>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its id.
    pub id: Spanned<String>,
    /// Who owns it.
    pub team: Spanned<TeamId>,
    /// Its availability objective.
    pub availability: Ratio,
}

/// One broker of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its id.
    pub id: Spanned<String>,
    /// The cluster it is part of: what services depend on.
    pub cluster: String,
    /// The zone it runs in, of every cell's zones.
    pub zone: u8,
}

/// Something that others run and that services call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its id.
    pub id: Spanned<String>,
    /// How people call it.
    pub title: String,
    /// What its operator promises.
    pub availability: Ratio,
}

/// Holidays and settlement cut-offs of a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// The country.
    pub country: Country,
    /// The time zone of its dates and times.
    pub time_zone: TimeZoneName,
    /// Public holidays, in order.
    pub holidays: Vec<Holiday>,
    /// The times by which payments must be in, to settle on the same day.
    #[serde(default)]
    pub cut_offs: Vec<CutOff>,
}

/// A public holiday.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// The day.
    pub date: civil::Date,
    /// What is celebrated.
    pub name: String,
}

/// A settlement cut-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutOff {
    /// The clearing scheme.
    pub scheme: String,
    /// The latest time of day, in the calendar's time zone.
    pub time: civil::Time,
    /// The days it applies to; holidays are never among them.
    pub days: Vec<Weekday>,
}

/// What a service can depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// A service.
    Service(ServiceId),
    /// A database.
    Database(String),
    /// A cluster of brokers.
    Brokers(String),
    /// Something that others run.
    External(String),
}

/// Whether a service can go on without a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// It cannot.
    Hard,
    /// It can, with less.
    Soft,
}

impl Platform {
    /// How people call somebody: the name, or the handle of who is not in the model.
    #[must_use]
    pub fn name_of<'a>(&'a self, person: &'a PersonId) -> &'a str {
        let known = self.people.get(person);
        known.map_or(person.as_str(), |known| &known.name)
    }

    /// What `service` depends on directly; nothing for a service that is not there.
    pub fn dependencies(&self, service: &ServiceId) -> impl Iterator<Item = (Component, Strength)> {
        let edges = self.services.get(service).map(|service| &service.depends_on);
        edges.into_iter().flat_map(|edges| {
            let hard = edges.hard.iter().map(|name| (name, Strength::Hard));
            let soft = edges.soft.iter().map(|name| (name, Strength::Soft));
            hard.chain(soft)
                .filter_map(|(name, strength)| Some((self.component(name)?, strength)))
        })
    }

    /// The services that depend on `component` directly.
    pub fn dependents(&self, component: &Component) -> impl Iterator<Item = (&ServiceId, Strength)> {
        self.services.keys().flat_map(move |service| {
            let edges = self
                .dependencies(service)
                .filter(move |(needed, _)| needed == component);
            edges.map(move |(_, strength)| (service, strength))
        })
    }

    /// The component of that name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<Component> {
        if let Some(id) = ServiceId::new(name)
            .ok()
            .filter(|id| self.services.contains_key(id))
        {
            return Some(Component::Service(id));
        }
        if self.databases.contains_key(name) {
            return Some(Component::Database(name.to_owned()));
        }
        if self.brokers.values().any(|broker| broker.cluster == name) {
            return Some(Component::Brokers(name.to_owned()));
        }
        self.externals
            .contains_key(name)
            .then(|| Component::External(name.to_owned()))
    }

    /// The tenants that a cell serves.
    pub fn tenants_of(&self, cell: &CellId) -> impl Iterator<Item = &Tenant> {
        self.tenants
            .values()
            .filter(move |tenant| tenant.cell.value == *cell)
    }

    /// The calendar of a country.
    #[must_use]
    pub fn calendar_of(&self, country: &Country) -> Option<&Calendar> {
        self.calendars
            .values()
            .find(|calendar| calendar.country == *country)
    }
}
