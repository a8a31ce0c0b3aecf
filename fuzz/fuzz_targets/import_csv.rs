//! A CSV file to import.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::import::{Import, ImportFormat};

fuzz_target!(|file: &[u8]| Import::new(file, ImportFormat::Csv, 16).for_each(drop));
