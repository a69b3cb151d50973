//! Passwords of people: Argon2id, and bcrypt for hashes that were imported.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// OWASP's minimum for Argon2id. Invariant: no stored Argon2 hash is weaker, so nobody's password is.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The dearest imported hash that a sign-in will compute. Invariant: within a function's memory, and within
/// the time of a refusal (`grants::password`), which must not tell whose hash it was. Bcrypt takes some 300 ms
/// at cost 12 and twice that at 13; Argon2 takes 30 ms for what is ours, and most take the product of memory
/// and passes.
const MAX_MEMORY_KIB: u32 = 65_536;
const MAX_MEMORY_TIMES_PASSES: u32 = 4 * MAX_MEMORY_KIB;
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 10..=12;

/// The part of a password that bcrypt reads, in bytes.
const BCRYPT_LENGTH: usize = 72;

/// NIST SP 800-63B §5.1.1.2: at least eight characters.
const MIN_CHARACTERS: usize = 8;

/// The hash of a password that nobody has: an unknown user costs what a known one does.
/// Invariant: made with the parameters above.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bGF0Y2hrZXktbm9ib2R5IQ$KbjU2sszeVdkCCDD2zYlonLdBXbZ3rMl+F828Yjr2N0";

/// Passwords that attackers try first and that are long enough to be allowed otherwise.
const COMMON: &str = include_str!("common_passwords.txt");

/// A stored hash: a PHC string or a bcrypt string.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

/// Why a password or a hash can't be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PasswordError {
    /// Below the minimum length.
    #[error("the password has fewer than {MIN_CHARACTERS} characters")]
    TooShort,
    /// On the list of common passwords, or the user's own name.
    #[error("the password is one that attackers try first")]
    TooCommon,
    /// Not a hash that we verify.
    #[error("the hash is neither bcrypt ($2a$, $2b$, $2y$) nor a PHC string of Argon2id ($argon2id$v=19$)")]
    UnknownHash,
    /// Cheaper to guess than our own hashes, or too dear to compute at a sign-in.
    #[error(
        "the hash's cost is out of bounds (Argon2id: m {MEMORY_KIB} to {MAX_MEMORY_KIB}, t from {PASSES}, m × t up \
         to {MAX_MEMORY_TIMES_PASSES}, p 1 to 4; bcrypt: cost {} to {})", BCRYPT_COSTS.start(), BCRYPT_COSTS.end()
    )]
    CostOutOfBounds,
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, and its hash should be made anew with today's parameters.
    RightButOutdated,
}

/// Today's parameters.
fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the constants are valid parameters")
}

impl PasswordHash {
    /// Hashes a password that somebody chose, after checking it. Takes tens of milliseconds of CPU.
    pub fn of(username: &str, password: &SecretString) -> Result<Self, PasswordError> {
        let text = password.expose_secret();
        if text.chars().count() < MIN_CHARACTERS {
            return Err(PasswordError::TooShort);
        }
        let folded = text.to_lowercase();
        if COMMON.lines().any(|common| common == folded) || folded == username.to_lowercase() {
            return Err(PasswordError::TooCommon);
        }
        Ok(Self::compute(password))
    }

    /// Hashes a password again, with today's parameters.
    pub fn renewed(password: &SecretString) -> Self {
        Self::compute(password)
    }

    fn compute(password: &SecretString) -> Self {
        let (params, salt, mut hash) = (params(), Salt::generate(), [0; Params::DEFAULT_OUTPUT_LEN]);
        let named = ParamsString::try_from(&params).expect("parameters have names");
        argon2id(params, password.expose_secret().as_bytes(), &salt, &mut hash)
            .expect("the salt is long enough");
        let hash = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: named,
            salt: Some(salt),
            hash: Some(Output::new(&hash).expect("the hash is as long as it is by default")),
        };
        Self(hash.to_string())
    }

    /// Takes a hash that another system made.
    pub fn import(text: &str) -> Result<Self, PasswordError> {
        let within_bounds = match Scheme::of(text).ok_or(PasswordError::UnknownHash)? {
            Scheme::Bcrypt { cost } => BCRYPT_COSTS.contains(&cost),
            Scheme::Argon2(params) => {
                (MEMORY_KIB..=MAX_MEMORY_KIB).contains(&params.m_cost())
                    && params.t_cost() >= PASSES
                    && params.m_cost().saturating_mul(params.t_cost()) <= MAX_MEMORY_TIMES_PASSES
                    && (LANES..=4).contains(&params.p_cost())
            }
        };
        if within_bounds { Ok(Self(text.to_owned())) } else { Err(PasswordError::CostOutOfBounds) }
    }

    /// Compares a password with a stored hash, or with nobody's where there is none. Takes tens of
    /// milliseconds of CPU whatever the outcome.
    pub fn verify(stored: Option<&Self>, password: &SecretString) -> Verification {
        let text = stored.map_or(NOBODY, |hash| hash.0.as_str());
        let password = password.expose_secret().as_bytes();
        let (right, outdated) = match Scheme::of(text) {
            Some(Scheme::Argon2(params)) => {
                let outdated =
                    (params.m_cost(), params.t_cost(), params.p_cost()) != (MEMORY_KIB, PASSES, LANES);
                (Phc::new(text).is_ok_and(|hash| is_of(&hash, params, password)), outdated)
            }
            // Bcrypt reads 72 bytes at most: a longer password costs the same and is refused, not cut.
            Some(Scheme::Bcrypt { .. }) => {
                let right = bcrypt::verify(password, text).unwrap_or(false);
                (right && password.len() <= BCRYPT_LENGTH, true)
            }
            None => (false, false),
        };
        match (stored.is_some() && right, outdated) {
            (false, _) => Verification::Wrong,
            (true, false) => Verification::Right,
            (true, true) => Verification::RightButOutdated,
        }
    }
}

/// Whether an Argon2id hash, of these parameters, is this password's.
fn is_of(hash: &Phc, params: Params, password: &[u8]) -> bool {
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return false };
    let mut found = vec![0; expected.len()];
    let computed = argon2id(params, password, salt, &mut found);
    computed.is_ok() && verify_slices_are_equal(&found, expected.as_bytes()).is_ok()
}

/// Computes a hash.
fn argon2id(params: Params, password: &[u8], salt: &[u8], hash: &mut [u8]) -> argon2::Result<()> {
    with_memory(params.block_count(), |memory| {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(password, salt, hash, memory)
    })
}

/// Memory for hashes, one piece for each that is computed at a time, kept for the next. A fresh allocation for each
/// hash costs more than clearing does, and the allocator keeps several times as much (measured once by hand).
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

fn with_memory<T>(blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
    let kept = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = kept().pop().unwrap_or_default();
    memory.resize(blocks.max(memory.len()), Block::new());
    let result = work(&mut memory);
    // All of it, or the password could be guessed from what is left at a fraction of the hash's cost: the last pass
    // can be undone, down to a block that follows from the password by two BLAKE2b.
    memory.fill(Block::new());
    // What an imported hash took more is given back.
    memory.truncate(MEMORY_KIB as usize);
    memory.shrink_to_fit();
    kept().push(memory);
    result
}

enum Scheme {
    Argon2(Params),
    Bcrypt { cost: u32 },
}

impl Scheme {
    fn of(text: &str) -> Option<Self> {
        if text.starts_with("$argon2id$v=19$") {
            let hash = Phc::new(text).ok()?;
            hash.hash?;
            return Params::try_from(&hash).ok().map(Self::Argon2);
        }
        let cost = text.parse::<bcrypt::HashParts>().ok()?.get_cost();
        Some(Self::Bcrypt { cost })
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    const WEAK_ARGON2: &str =
        "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";

    fn verify(hash: &str, password: &str) -> Verification {
        PasswordHash::verify(Some(&PasswordHash(hash.to_owned())), &password.into())
    }

    #[test]
    fn a_hash_has_owasps_parameters_and_knows_its_password() {
        let hash = PasswordHash::of("demo", &"correct horse".into()).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify(&hash.0, "correct horse"), Verification::Right);
        assert_eq!(verify(&hash.0, "correct horsf"), Verification::Wrong);
    }

    #[test]
    fn nobody_has_todays_parameters_and_no_password() {
        let params = Params::try_from(&Phc::new(NOBODY).unwrap()).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(
            PasswordHash::verify(None, &"a password that nobody has: thrown away".into()),
            Verification::Wrong
        );
    }

    #[test]
    fn the_memory_that_is_kept_holds_nothing() {
        PasswordHash::verify(None, &"correct horse battery".into());
        let is_clear = |memory: &mut [Block]| memory.iter().flat_map(Block::as_ref).all(|word| *word == 0);
        assert!(with_memory(MEMORY_KIB as usize, is_clear));
    }

    #[test]
    fn long_passwords_are_not_cut() {
        let (one, other) = ("x".repeat(64), "x".repeat(64) + "y");
        let hash = PasswordHash::of("demo", &other.clone().into()).unwrap();
        assert_eq!(verify(&hash.0, &other), Verification::Right);
        assert_eq!(verify(&hash.0, &one), Verification::Wrong);
        assert_eq!(verify(&hash.0, &("x".repeat(64) + "z")), Verification::Wrong);
        let bcrypt = bcrypt::hash("x".repeat(72), 4).unwrap();
        assert_eq!(verify(&bcrypt, &"x".repeat(72)), Verification::RightButOutdated);
        assert_eq!(verify(&bcrypt, &"x".repeat(73)), Verification::Wrong);
    }

    #[test]
    fn bcrypt_and_hashes_of_another_cost_are_outdated() {
        let bcrypt = bcrypt::hash("correct horse", 4).unwrap();
        assert_eq!(verify(&bcrypt, "correct horse"), Verification::RightButOutdated);
        assert_eq!(verify(&bcrypt, "wrong horse"), Verification::Wrong);
        let dearer =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(20_000, 2, 1, None).unwrap());
        let dearer = dearer.hash_password(b"correct horse").unwrap().to_string();
        assert_eq!(verify(&dearer, "correct horse"), Verification::RightButOutdated);
        let ours = PasswordHash::of("demo", &"correct horse".into()).unwrap();
        for (password, found) in
            [("correct horse", Verification::Right), ("wrong horse", Verification::Wrong)]
        {
            assert_eq!(verify(&ours.0, password), found, "in the memory of a dearer one");
        }
    }

    #[test]
    fn an_import_is_at_least_as_strong_as_ours_and_no_dearer_than_a_sign_in_may_be() {
        let import = |text: &str| PasswordHash::import(text).map(drop);
        let bcrypt = |cost| format!("$2b${cost:02}$abcdefghijklmnopqrstuuOcGvNgpRSKa7I8bIYwbgPnPO4dLyAaS");
        assert_eq!(import(NOBODY), Ok(()));
        assert_eq!(import(&bcrypt(10)), Ok(()));
        assert_eq!(import(&bcrypt(12)), Ok(()));
        assert_eq!(import(&bcrypt(9)), Err(PasswordError::CostOutOfBounds));
        assert_eq!(import(&bcrypt(13)), Err(PasswordError::CostOutOfBounds));
        assert_eq!(import(WEAK_ARGON2), Err(PasswordError::CostOutOfBounds));
        assert_eq!(import(&NOBODY.replace("m=19456,t=2", "m=65536,t=4")), Ok(()));
        for dear in ["m=99999,t=2", "m=65536,t=5", "m=19456,t=4294967295"] {
            let dear = NOBODY.replace("m=19456,t=2", dear);
            assert_eq!(import(&dear), Err(PasswordError::CostOutOfBounds), "{dear}");
        }
        for text in [
            "",
            "secret",
            "$1$abc$def",
            "$argon2id$",
            "$argon2id$v=19$m=19456,t=2,p=1$bGF0Y2hrZXktbm9ib2R5IQ",
            &NOBODY.replace("$argon2id$", "$argon2i$"),
            &NOBODY.replace("$argon2id$", "$argon2d$"),
            &NOBODY.replace("$v=19$", "$v=16$"),
            &NOBODY.replace("$v=19$", "$"),
        ] {
            assert_eq!(import(text), Err(PasswordError::UnknownHash), "{text}");
        }
    }

    #[test]
    fn passwords_are_long_enough_and_not_common() {
        let of = |password: &str| PasswordHash::of("Demo-User", &password.into()).map(drop);
        assert_eq!(of("seven77"), Err(PasswordError::TooShort));
        assert_eq!(of("éééééé7"), Err(PasswordError::TooShort));
        assert_eq!(of("eight888"), Ok(()));
        assert_eq!(of("Password123"), Err(PasswordError::TooCommon));
        assert_eq!(of("demo-user"), Err(PasswordError::TooCommon));
    }
}
