//! The discovery documents as a process on Lambda.

use test_support::lambda_contract_tests;

lambda_contract_tests! {
    "discovery",
    bad_settings: [("ISSUER", "http://canary.example")],
}
