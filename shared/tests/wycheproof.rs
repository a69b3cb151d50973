//! C2SP's test vectors for JSON Web Signatures and JSON Web Keys.
//!
//! Every case counts. A case with another result is in [`EXCEPTIONS`] with the reason. An exception that is no longer
//! needed fails the test.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::jose::algorithm;
use shared::jose::jwt::{JwtError, UnverifiedJwt};
use shared::jose::key::PublicKey;
use shared::jose::strict_object::StrictObject;

const JWS: &str = include_str!("vectors/wycheproof/json_web_signature_test.json");
const JWK: &str = include_str!("vectors/wycheproof/json_web_key_test.json");

/// Longer than any token among the vectors.
const CAP: usize = 8192;

/// Why our result differs from the vector's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Valid, but signed with an unsupported algorithm.
    Algorithm(&'static str),
    /// Listed as valid, though the base64url of header or payload has a `?` (RFC 7515 §2 has none). It is also signed
    /// with HS256.
    FaultyVector,
    /// A valid signature by a key of a generator with CVE-2017-15361 (ROCA), which can be factored. Only its residues
    /// show it.
    WeakGenerator,
}

use Reason::{Algorithm, FaultyVector, WeakGenerator};

/// The cases with another result: file, `tcId`, the vector's comment, the reason.
const EXCEPTIONS: [(&str, u64, &str, Reason); 41] = [
    ("JWS", 1, "acceptsValid", Algorithm("HS256")),
    ("JWS", 264, "emptyPayload", Algorithm("RS384")),
    ("JWS", 265, "allZeroPayload", Algorithm("RS384")),
    ("JWS", 266, "oneBytePayload", Algorithm("RS384")),
    ("JWS", 267, "normalPayload", Algorithm("RS384")),
    ("JWS", 268, "emptyPayload", Algorithm("RS512")),
    ("JWS", 269, "allZeroPayload", Algorithm("RS512")),
    ("JWS", 270, "oneBytePayload", Algorithm("RS512")),
    ("JWS", 271, "normalPayload", Algorithm("RS512")),
    ("JWS", 272, "emptyPayload", Algorithm("PS256")),
    ("JWS", 273, "allZeroPayload", Algorithm("PS256")),
    ("JWS", 274, "oneBytePayload", Algorithm("PS256")),
    ("JWS", 275, "normalPayload", Algorithm("PS256")),
    ("JWS", 287, "saltIsAll0", Algorithm("PS256")),
    ("JWS", 288, "saltIsAll1", Algorithm("PS256")),
    ("JWS", 320, "emptyPayload", Algorithm("PS384")),
    ("JWS", 321, "allZeroPayload", Algorithm("PS384")),
    ("JWS", 322, "oneBytePayload", Algorithm("PS384")),
    ("JWS", 323, "normalPayload", Algorithm("PS384")),
    ("JWS", 325, "emptyPayload", Algorithm("PS512")),
    ("JWS", 326, "allZeroPayload", Algorithm("PS512")),
    ("JWS", 327, "oneBytePayload", Algorithm("PS512")),
    ("JWS", 328, "normalPayload", Algorithm("PS512")),
    ("JWS", 346, "Figure20", Algorithm("PS384")),
    ("JWS", 347, "Figure27", Algorithm("ES512")),
    ("JWS", 348, "Figure35", Algorithm("HS256")),
    ("JWS", 350, "Figure20", Algorithm("PS384")),
    ("JWS", 351, "Figure27", Algorithm("ES512")),
    ("JWS", 352, "Figure35", Algorithm("HS256")),
    ("JWS", 357, "ValidMac", Algorithm("HS256")),
    ("JWS", 358, "ValidEdgeCaseMac", Algorithm("HS256")),
    ("JWS", 359, "ValidEdgeCaseMac", Algorithm("HS256")),
    ("JWS", 372, "InvalidCharacterInsertedInHeader", FaultyVector),
    ("JWS", 373, "InvalidCharacterInsertedInPayload", FaultyVector),
    ("JWS", 376, "ValidSpacesInJsonHeader", Algorithm("HS256")),
    ("JWS", 377, "ValidWhiteSpaceInJsonHeader", Algorithm("HS256")),
    ("JWK", 2, "acceptsValid", Algorithm("HS256")),
    ("JWK", 7, "rejectsKeyWithRocaVulnerability", WeakGenerator),
    ("JWK", 13, "long_key", Algorithm("HS256")),
    ("JWK", 14, "long_key", Algorithm("HS384")),
    ("JWK", 15, "long_key", Algorithm("HS512")),
];

/// A case of either file.
struct Case {
    file: &'static str,
    id: u64,
    comment: String,
    valid: bool,
    /// The verifier's keys: the public key, or the shared secret of HMAC.
    keys: Vec<StrictObject>,
    jws: String,
}

fn cases(file: &'static str, text: &str) -> Vec<Case> {
    let file_of_cases: Value = serde_json::from_str(text).unwrap();
    let mut cases = Vec::new();
    for group in file_of_cases["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        // A key set or a single key.
        let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
        for test in group["tests"].as_array().unwrap() {
            cases.push(Case {
                file,
                id: test["tcId"].as_u64().unwrap(),
                comment: test["comment"].as_str().unwrap().to_owned(),
                valid: match test["result"].as_str().unwrap() {
                    "valid" => true,
                    "invalid" => false,
                    other => panic!("{file} {}: unknown result {other}", test["tcId"]),
                },
                keys: keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect(),
                jws: test["jws"].as_str().unwrap().to_owned(),
            });
        }
    }
    cases
}

/// Whether a key verifies the signature. Most payloads of the vectors are not claims, so `Malformed` means that the
/// signature was valid.
fn accepted(case: &Case) -> bool {
    case.keys.iter().filter_map(|jwk| PublicKey::from_jwk(jwk).ok()).any(|key| {
        let Ok(jwt) = UnverifiedJwt::parse(&case.jws, CAP) else { return false };
        match jwt.verify(&key) {
            Ok(_) | Err(JwtError::Malformed) => true,
            Err(JwtError::InvalidSignature) => false,
            Err(error) => panic!("{} {}: {error}", case.file, case.id),
        }
    })
}

#[test]
fn every_vector_passes_or_is_a_named_exception() {
    let cases: Vec<Case> = cases("JWS", JWS).into_iter().chain(cases("JWK", JWK)).collect();
    assert_eq!(cases.iter().filter(|case| case.file == "JWS").count(), 401);
    assert_eq!(cases.iter().filter(|case| case.file == "JWK").count(), 26);

    let mut exceptions: BTreeMap<(&str, u64), (&str, Reason)> =
        EXCEPTIONS.iter().map(|(file, id, comment, reason)| ((*file, *id), (*comment, *reason))).collect();
    assert_eq!(exceptions.len(), EXCEPTIONS.len(), "duplicate exception");
    for (_, reason) in exceptions.values() {
        if let Algorithm(name) = reason {
            assert_eq!(algorithm::Algorithm::from_name(name), None, "{name} is supported");
        }
    }
    let (mut passed, mut excepted, mut wrong) = (0, BTreeMap::<Reason, u32>::new(), Vec::new());
    for case in &cases {
        let right = accepted(case) == case.valid;
        let name = format!("{} {} {}", case.file, case.id, case.comment);
        match exceptions.remove(&(case.file, case.id)) {
            None if right => passed += 1,
            None => wrong.push(format!("{name}: should be {}", if case.valid { "valid" } else { "invalid" })),
            Some(_) if right => wrong.push(format!("{name}: the exception is no longer needed")),
            Some((comment, _)) if comment != case.comment => wrong.push(format!("{name}: is not {comment}")),
            Some((_, reason)) => *excepted.entry(reason).or_default() += 1,
        }
    }
    wrong.extend(exceptions.keys().map(|(file, id)| format!("{file} {id}: no such case")));
    println!("{passed} of {} vectors passed; {} excepted: {excepted:?}", cases.len(), EXCEPTIONS.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
