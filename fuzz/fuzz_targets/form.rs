#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::form::run(data));
#[cfg(not(fuzzing))]
fn main() {}
