//! What a user of the engine would notice: counts against a recount, crashes, alerts, the published table.

mod alerts;
mod buckets;
mod budgeting;
mod calm;
mod crash;
mod ended;
mod fixture;
mod golden;
mod kinds;
mod openslo;
mod recount;
mod slices;
mod streams;
mod table;
mod zones;
