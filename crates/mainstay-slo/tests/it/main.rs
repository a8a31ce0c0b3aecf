//! What a user of the engine would notice: counts against a recount, crashes, alerts, the published table.

mod alerts;
mod buckets;
mod calm;
mod crash;
mod ended;
mod fixture;
mod forecast;
mod gate;
mod golden;
mod openslo;
mod recount;
mod replay;
mod streams;
mod table;
