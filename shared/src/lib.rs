//! What Latchkey's functions have in common: one folder for each noun of the product.
//!
//! Imports only run downwards in this list, and each `#[cfg(feature)]` is here. A test holds both.
//!
//! | folder | holds | features |
//! | --- | --- | --- |
//! | [`grants`] | the grants of the token endpoint | `signing`, `issuers` |
//! | [`federation`] | sign-in by a trusted issuer | `signing`, `issuers` |
//! | [`passwords`] | sign-in by password | `signing`, `passwords` |
//! | [`sessions`] | token families: begin and refresh | `signing` |
//! | [`signing`] | signing keys, their rotation, the token signer | `signing` |
//! | [`clients`] | client authentication | `issuers` |
//! | [`trust`] | the trust snapshot and the validation of access tokens | – |
//! | [`store`] | the DynamoDB table and its items | – |
//! | [`runtime`] | Lambda, settings, log, AWS clients, HTTPS, caches | – |
//! | [`oauth`] | the protocol's requests, responses and errors | – |
//! | [`jose`] | JWS, JWK and DPoP proofs | – |
//! | [`identity`] | subjects, usernames and machine secrets | – |
//!
//! | function | features |
//! | --- | --- |
//! | token | `signing`, `issuers` |
//! | google | `signing`, `issuers` |
//! | login | `signing`, `passwords` |
//! | rotation | `signing` |
//! | introspect, revoke | `issuers` |
//! | docs | `openapi`, which lets the types of requests and responses describe themselves |
//! | authorizer, discovery, whoami | none |

#[cfg(feature = "issuers")]
pub mod clients;
#[cfg(all(feature = "signing", feature = "issuers"))]
pub mod federation;
#[cfg(all(feature = "signing", feature = "issuers"))]
pub mod grants;
pub mod identity;
pub mod jose;
pub mod oauth;
#[cfg(all(feature = "signing", feature = "passwords"))]
pub mod passwords;
pub mod runtime;
#[cfg(feature = "signing")]
pub mod sessions;
#[cfg(feature = "signing")]
pub mod signing;
pub mod store;
pub mod trust;
