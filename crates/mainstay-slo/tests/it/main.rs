//! What a user of the engine would notice: counts against a recount, crashes, alerts, the published table.

mod alerts;
mod buckets;
mod calm;
mod completion;
mod crash;
mod ended;
mod fixture;
mod gate;
mod golden;
mod openslo;
mod presence;
mod quiet;
mod recount;
mod streams;
mod table;
