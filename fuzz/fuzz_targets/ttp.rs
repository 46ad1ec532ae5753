#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parlour_tests::fuzzed::ttp(bytes));
