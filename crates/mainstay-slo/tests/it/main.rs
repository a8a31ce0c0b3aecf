//! What a user of the engine would notice: counts against a recount, crashes, alerts, the published table.

mod adjust;
mod alerts;
mod buckets;
mod budgeting;
mod calm;
mod completion;
mod contradictions;
mod crash;
mod ended;
mod fixture;
mod forecast;
mod gate;
mod golden;
mod histograms;
mod kinds;
mod ledger;
mod openslo;
mod presence;
mod quiet;
mod recount;
mod recurrence;
mod replay;
mod slices;
mod streams;
mod table;
mod zones;
