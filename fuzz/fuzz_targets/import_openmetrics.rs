//! A file of OpenMetrics to import.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::import::{Import, ImportFormat};

fuzz_target!(|file: &[u8]| Import::new(file, ImportFormat::OpenMetrics, 16).for_each(drop));
