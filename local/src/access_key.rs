//! The access key of a data folder, which the emulators require as AWS requires one.
//!
//! Requests are signed with Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>), as every AWS SDK
//! does. The secret is never sent. The age of a signature is not checked, because a program that can record requests
//! on this machine can read `dev.env` too.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use shared::identity::secrets::random_id;

use super::env_file::Environment;

/// The names of id and secret in `dev.env`, which every AWS SDK reads.
const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// The prefix of our ids. DynamoDB Local accepts letters and digits only.
const PREFIX: &str = "LATCHKEY";

/// AWS's names for the signature algorithm and the end of the scope.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// An access key: an id and a secret, each of 131 random bits.
#[derive(Clone)]
pub struct AccessKey {
    id: String,
    secret: SecretString,
}

/// Why the signature of a request is rejected.
#[derive(Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The request is not signed.
    Unsigned,
    /// The request is signed with another access key.
    OtherKey,
    /// The signature does not verify.
    BadSignature,
}

impl AccessKey {
    /// Generates an access key.
    fn generate() -> Self {
        Self { id: random_id(PREFIX), secret: random_id("").into() }
    }

    /// The access key that the last run wrote into `dev.env`, or a new one. The first release wrote the same access key
    /// on all machines, which is replaced.
    pub fn restored_or_new(before: &Environment) -> Self {
        let kept = before.get(ID).zip(before.get(SECRET));
        let kept = kept.filter(|(id, secret)| id.starts_with(PREFIX) && !secret.is_empty());
        kept.map_or_else(Self::generate, |(id, secret)| Self {
            id: id.clone(),
            secret: secret.as_str().into(),
        })
    }

    /// The access key's part of `dev.env` and of each function's environment.
    pub fn environment(&self) -> Environment {
        let pairs = [(ID, self.id.as_str()), (SECRET, self.secret.expose_secret())];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Verifies that a request is signed with this access key.
    ///
    /// # Errors
    /// An unsigned request, another access key, and a wrong signature.
    pub fn verify(&self, request: &Parts, body: &[u8]) -> Result<(), SignatureError> {
        let authorization = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let signed = authorization.and_then(Signed::read).ok_or(SignatureError::Unsigned)?;
        if verify_slices_are_equal(signed.id.as_bytes(), self.id.as_bytes()).is_err() {
            return Err(SignatureError::OtherKey);
        }
        let expected = self.signature(&signed, request, body);
        verify_slices_are_equal(expected.as_bytes(), signed.signature.as_bytes())
            .map_err(|_| SignatureError::BadSignature)
    }

    fn signature(&self, signed: &Signed<'_>, request: &Parts, body: &[u8]) -> String {
        let [date, region, service] = signed.scope;
        let time = header_values(request, "x-amz-date");
        let canonical = hex::encode(digest(&SHA256, canonical(signed, request, body).as_bytes()).as_ref());
        let to_sign = format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/{TERMINATOR}\n{canonical}");
        let first = format!("AWS4{}", self.secret.expose_secret()).into_bytes();
        let key = [date, region, service, TERMINATOR].iter().fold(first, |key, part| mac(&key, part));
        hex::encode(mac(&key, &to_sign))
    }
}

/// A parsed `Authorization` header.
struct Signed<'a> {
    id: &'a str,
    /// Date, region and service.
    scope: [&'a str; 3],
    /// Names of the signed headers, separated by `;`.
    headers: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn read(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name));
        let credential: Vec<_> = field("Credential=")?.split('/').collect();
        let &[id, date, region, service, TERMINATOR] = credential.as_slice() else { return None };
        Some(Self {
            id,
            scope: [date, region, service],
            headers: field("SignedHeaders=")?,
            signature: field("Signature=")?,
        })
    }
}

/// The canonical request. Neither service uses a path or a query, so a request with a query does not verify.
fn canonical(signed: &Signed<'_>, request: &Parts, body: &[u8]) -> String {
    let header = |name| format!("{name}:{}\n", header_values(request, name));
    let headers = signed.headers.split(';').map(header).collect::<Vec<_>>().concat();
    let (method, path) = (request.method.as_str(), request.uri.path());
    let body = hex::encode(digest(&SHA256, body).as_ref());
    format!("{method}\n{path}\n\n{headers}\n{}\n{body}", signed.headers)
}

/// A header's values, trimmed, with single spaces, joined by commas.
fn header_values(request: &Parts, name: &str) -> String {
    let values = request.headers.get_all(name).iter().map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    const CREDENTIAL: &str = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
    const SIGNATURE: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    /// `get-vanilla` of AWS's own test suite for Signature Version 4.
    fn vanilla(change: impl FnOnce(&mut Parts)) -> Parts {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature={SIGNATURE}"
        );
        let request = Request::get("/")
            .header("host", "example.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization);
        let mut parts = request.body(()).unwrap().into_parts().0;
        change(&mut parts);
        parts
    }

    fn key(id: &str, secret: &str) -> AccessKey {
        AccessKey { id: id.to_owned(), secret: secret.into() }
    }

    #[test]
    fn aws_own_signature_is_verified() {
        let key = key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        assert_eq!(key.verify(&vanilla(|_| {}), b""), Ok(()));
        assert_eq!(key.verify(&vanilla(|_| {}), b"{}"), Err(SignatureError::BadSignature));
        let host = |parts: &mut Parts| {
            parts.headers.insert("host", "evil.example".parse().unwrap());
        };
        assert_eq!(key.verify(&vanilla(host), b""), Err(SignatureError::BadSignature));
    }

    #[test]
    fn other_access_key_and_unsigned_request_are_rejected() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(key("AKIDOTHER", secret).verify(&vanilla(|_| {}), b""), Err(SignatureError::OtherKey));
        assert_eq!(
            key("AKIDEXAMPLE", "other").verify(&vanilla(|_| {}), b""),
            Err(SignatureError::BadSignature)
        );
        for header in [
            "",
            "Basic AKIDEXAMPLE",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
        ] {
            let parts = vanilla(|parts| {
                parts.headers.insert(AUTHORIZATION, header.parse().unwrap());
            });
            assert_eq!(
                key("AKIDEXAMPLE", secret).verify(&parts, b""),
                Err(SignatureError::Unsigned),
                "{header}"
            );
        }
    }

    #[test]
    fn access_key_is_kept_and_the_fixed_one_of_the_first_release_is_replaced() {
        let first = AccessKey::restored_or_new(&Environment::new());
        let again = AccessKey::restored_or_new(&first.environment());
        assert_eq!(first.environment(), again.environment());
        let fixed = [(ID, "latchkeydev"), (SECRET, "latchkeydev")];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let new = AccessKey::restored_or_new(&fixed);
        assert!(new.id.len() == 30 && new.secret.expose_secret().len() == 22);
        assert_ne!(new.id, first.id);
        assert!(new.id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
