//! What a user of the engine would notice: counts against a recount, crashes, alerts, the published table.

mod adjust;
mod alerts;
mod buckets;
mod calm;
mod completion;
mod contradictions;
mod crash;
mod ended;
mod fixture;
mod gate;
mod golden;
mod ledger;
mod openslo;
mod presence;
mod quiet;
mod recount;
mod recurrence;
mod streams;
mod table;
