//! `mainstay import alertmanager`: the same routing as documents of our own.
