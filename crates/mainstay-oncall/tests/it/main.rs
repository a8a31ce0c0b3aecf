//! On-call: who has the duty at any instant of any zone, and whom a page reaches when.

mod escalation;
mod overrides;
mod rota;
mod timers;
