#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| awsdir::hostile::check("settings", bytes));
