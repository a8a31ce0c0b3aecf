//! On-call: who has the duty at any instant of any zone, and whom a page reaches when.

mod clock;
mod escalation;
mod every_zone;
mod goalert;
mod handover;
mod layers;
mod load;
mod news;
mod notify;
mod overrides;
mod reach;
mod ring;
mod rota;
mod stand_in;
mod swap;
mod timers;
