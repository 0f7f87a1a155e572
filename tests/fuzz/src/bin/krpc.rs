#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| piecemeal_fuzz::krpc::check(input));
