#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| piecemeal_fuzz::hash_message::check_all(input));
