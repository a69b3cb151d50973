//! The claims of an ID token, as in Google's
//! (<https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload>).

use anyhow::anyhow;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use serde_json::{Value, json};

use secrecy::SecretString;
use shared::signing::private_key::PrivateKey;

/// Lifetime of Google's ID tokens, in seconds.
const LIFETIME: u64 = 3600;

/// A Google account.
pub struct GoogleAccount {
    /// The email address. The account's id is derived from it.
    pub email: String,
    /// The Google Workspace domain, if any.
    pub hosted_domain: Option<String>,
}

impl GoogleAccount {
    /// Issues an ID token for `client_id` at `issued_at`, in seconds since 1970. It is valid for an hour.
    ///
    /// # Errors
    /// The random number generator fails.
    pub fn id_token(
        &self,
        key: &PrivateKey,
        client_id: &str,
        issued_at: u64,
    ) -> anyhow::Result<SecretString> {
        let mut token_id = [0; 20];
        rand::fill(&mut token_id).map_err(|_| anyhow!("the random number generator failed"))?;
        let token_id = hex::encode(token_id);
        let name = self.email.split('@').next().unwrap_or_default();
        let mut claims = json!({
            "iss": "https://accounts.google.com",
            "azp": client_id,
            "aud": client_id,
            "sub": self.account_id(),
            "email": self.email,
            "email_verified": true,
            "name": format!("{name} Standin"),
            "picture": "https://lh3.googleusercontent.com/a/stand-in",
            "given_name": name,
            "family_name": "Standin",
            "iat": issued_at,
            "exp": issued_at.saturating_add(LIFETIME),
            "jti": token_id,
        });
        if let Some(domain) = &self.hosted_domain {
            claims["hd"] = Value::from(domain.as_str());
        }
        Ok(key.sign("JWT", &claims)?)
    }

    /// Twenty-one digits, as in Google's.
    fn account_id(&self) -> String {
        let hash = digest(&SHA256, self.email.to_lowercase().as_bytes());
        let number = hash.as_ref().iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        format!("1{number:020}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google::{generate_key, parse_key};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use secrecy::ExposeSecret;

    #[test]
    fn id_token_has_the_claims_of_googles() {
        let key = parse_key(&generate_key().unwrap()).unwrap();
        let email = "Ada@Example.com".to_owned();
        let person = GoogleAccount { email, hosted_domain: Some("example.com".to_owned()) };
        let token = person.id_token(&key, "client", 1000).unwrap();
        let parts: Vec<Value> = token
            .expose_secret()
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": key.key_id()}));
        let claims = &parts[1];
        assert_eq!(claims["iss"], "https://accounts.google.com");
        assert_eq!((&claims["aud"], &claims["azp"]), (&json!("client"), &json!("client")));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1000), &json!(4600)));
        assert_eq!((&claims["hd"], &claims["email_verified"]), (&json!("example.com"), &json!(true)));
        assert_eq!(claims["sub"].as_str().unwrap().len(), 21);
    }

    #[test]
    fn same_email_address_is_the_same_account() {
        let account =
            |email: &str| GoogleAccount { email: email.to_owned(), hosted_domain: None }.account_id();
        assert_eq!(account("ada@example.com"), account("Ada@Example.com"));
        assert_ne!(account("ada@example.com"), account("bob@example.com"));
    }
}
