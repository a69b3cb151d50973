//! Password hashing with Argon2id, and verification of imported bcrypt and Argon2id hashes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, MIN_SALT_LEN, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};

use unicode_normalization::UnicodeNormalization;

/// OWASP's minimum for Argon2id: the parameters of new hashes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The weakest Argon2 hash that can be imported, with [`PASSES`]: Spring Security's default. A guess at it costs five
/// sixths of one at ours. The next sign-in replaces it.
const MIN_MEMORY_KIB: u32 = 16_384;

/// The most expensive hashes that can be imported: Django's Argon2id (m=102400, t=2, p=8) and Symfony's bcrypt.
/// Invariants: the memory is a fraction of the function's, and [`longest_verification`] is longer than both take.
const MAX_MEMORY_TIMES_PASSES: u32 = 204_800;
const MAX_LANES: u32 = 8;
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 10..=13;

/// Maximum time of bcrypt at the lowest of [`BCRYPT_COSTS`] on the function's one core. Each further cost doubles it.
/// The highest cost took 454 ms where it was measured, and Argon2 at [`MAX_MEMORY_TIMES_PASSES`] 188 ms (`cargo test -p
/// shared --all-features longest_verification -- --nocapture`).
const LOWEST_BCRYPT: Duration = Duration::from_millis(100);

/// How many bytes of a password bcrypt reads. It reads a NUL after a shorter password.
const BCRYPT_LENGTH: usize = 72;

/// Prefixes of hashes from Django (`argon2$argon2id$…`, `bcrypt$$2b$…`) and Spring Security.
const PREFIXES: [&str; 5] = ["argon2", "bcrypt$", "{argon2}", "{argon2@SpringSecurity_v5_8}", "{bcrypt}"];

/// Prefixes of unsupported bcrypt variants. See [`PasswordError`].
const BROKEN_BCRYPT: &str = "$2x$";
const BCRYPT_OF_DIGEST: [&str; 2] = ["bcrypt_sha256$", "$bcrypt-sha256$"];

/// Minimum length of a password (NIST SP 800-63B §5.1.1.2).
const MIN_CHARACTERS: usize = 8;

/// The dummy hash, against which the password of an unknown user is verified, so that the response takes as long as for
/// a known one. Invariant: it has the parameters above, and its password was discarded.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bGF0Y2hrZXktbm9ib2R5IQ$KbjU2sszeVdkCCDD2zYlonLdBXbZ3rMl+F828Yjr2N0";

/// Common passwords that are long enough to be allowed otherwise.
const COMMON: &str = include_str!("common_passwords.txt");

pub use crate::store::users::PasswordHash;

/// Why a password or a hash is rejected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PasswordError {
    /// bcrypt repeats a password after its NUL, so no hash may get one.
    #[error("password contains a NUL character")]
    Nul,
    /// Below the minimum length.
    #[error("password has fewer than {MIN_CHARACTERS} characters")]
    TooShort,
    /// On the list of common passwords, or equal to the username.
    #[error("password is too common")]
    TooCommon,
    /// Not a supported hash.
    #[error(
        "hash is neither bcrypt ($2a$, $2b$, $2y$) nor Argon2id in PHC form ($argon2id$v=19$); create this user with \
         a new password"
    )]
    UnknownHash,
    /// `$2x$` marks hashes of a crypt_blowfish that ignored most of a password that is not ASCII.
    #[error("$2x$ hashes come from a broken bcrypt; create this user with a new password")]
    BrokenBcrypt,
    /// Django's `bcrypt_sha256$$2b$` and passlib's `$bcrypt-sha256$`.
    #[error("bcrypt of a SHA-256 of the password is not supported; create this user with a new password")]
    BcryptOfDigest,
    /// Too easy to guess, or too expensive for a sign-in.
    #[error(
        "hash cost is out of bounds (Argon2id: m from {MIN_MEMORY_KIB}, t from {PASSES}, m × t up to \
         {MAX_MEMORY_TIMES_PASSES}, p 1 to {MAX_LANES}; bcrypt: cost {} to {}); create this user with a new password",
        BCRYPT_COSTS.start(), BCRYPT_COSTS.end()
    )]
    CostOutOfBounds,
}

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, and the stored hash should be replaced by one with the current parameters.
    RightButOutdated,
}

/// The normalized form that is hashed (NIST SP 800-63B §5.1.1.2), because keyboards compose characters differently.
fn normalized(password: &SecretString) -> SecretString {
    password.expose_secret().nfkc().collect::<String>().into()
}

/// The forms that are verified: the password as typed, because older and imported hashes are of that, and its
/// normalized form if it differs.
fn spellings(password: &SecretString) -> Vec<SecretString> {
    let mut spellings = vec![password.clone(), normalized(password)];
    spellings.dedup_by(|one, other| one.expose_secret() == other.expose_secret());
    spellings
}

fn holds_nul(password: &SecretString) -> bool {
    password.expose_secret().contains('\0')
}

/// The longest time that a verification of this password takes: that of the most expensive hash, for each form of the
/// password.
pub fn longest_verification(password: &SecretString) -> Duration {
    let doublings = BCRYPT_COSTS.end() - BCRYPT_COSTS.start();
    spellings(password).iter().map(|_| LOWEST_BCRYPT * (1 << doublings)).sum()
}

/// The current parameters.
fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the constants are valid parameters")
}

impl PasswordHash {
    /// Checks and hashes a password that a user chose. It takes tens of milliseconds of CPU.
    pub fn new(username: &str, password: &SecretString) -> Result<Self, PasswordError> {
        if holds_nul(password) {
            return Err(PasswordError::Nul);
        }
        // The typed form too, because a single character can be normalized to eighteen.
        if spellings(password).iter().any(|text| text.expose_secret().chars().count() < MIN_CHARACTERS) {
            return Err(PasswordError::TooShort);
        }
        let folded = |text: &SecretString| normalized(text).expose_secret().to_lowercase();
        let password_folded = folded(password);
        if COMMON.lines().any(|common| common == password_folded)
            || password_folded == folded(&username.into())
        {
            return Err(PasswordError::TooCommon);
        }
        Ok(Self::compute(password))
    }

    /// Hashes a password with the current parameters. The caller has checked or verified it.
    pub fn compute(password: &SecretString) -> Self {
        let (params, salt, mut hash) = (params(), Salt::generate(), [0; Params::DEFAULT_OUTPUT_LEN]);
        let named = ParamsString::try_from(&params).expect("parameters have names");
        argon2id(params, normalized(password).expose_secret().as_bytes(), &salt, &mut hash)
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

    /// Imports a hash of another system, without the prefixes of Django and Spring Security.
    pub fn import(text: &str) -> Result<Self, PasswordError> {
        let hash = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        if hash.starts_with(BROKEN_BCRYPT) {
            return Err(PasswordError::BrokenBcrypt);
        }
        if BCRYPT_OF_DIGEST.iter().any(|prefix| hash.starts_with(prefix)) {
            return Err(PasswordError::BcryptOfDigest);
        }
        let within_bounds = match Scheme::of(hash).ok_or(PasswordError::UnknownHash)? {
            Scheme::Bcrypt { cost } => BCRYPT_COSTS.contains(&cost),
            Scheme::Argon2(params) => {
                params.m_cost() >= MIN_MEMORY_KIB
                    && params.t_cost() >= PASSES
                    && params.m_cost().saturating_mul(params.t_cost()) <= MAX_MEMORY_TIMES_PASSES
                    && (LANES..=MAX_LANES).contains(&params.p_cost())
            }
        };
        if within_bounds { Ok(Self(hash.to_owned())) } else { Err(PasswordError::CostOutOfBounds) }
    }

    /// Verifies a password against a stored hash, or against the dummy hash if there is none. It takes tens to hundreds
    /// of milliseconds of CPU, at most [`longest_verification`].
    pub fn verify(stored: Option<&Self>, password: &SecretString) -> Verification {
        let stored = stored.filter(|_| !holds_nul(password));
        let hash = stored.map_or(DUMMY_HASH, |hash| hash.0.as_str());
        let Some(scheme) = Scheme::of(hash) else { return Verification::Wrong };
        let right = spellings(password).into_iter().find(|text| scheme.is_of(hash, text));
        match right.filter(|_| stored.is_some()) {
            None => Verification::Wrong,
            Some(right) if !scheme.proves(&right) => Verification::Right,
            Some(right) => {
                let is_normalized = normalized(&right).expose_secret() == right.expose_secret();
                let is_current = scheme.is_current() && is_normalized;
                if is_current { Verification::Right } else { Verification::RightButOutdated }
            }
        }
    }
}

/// Computes a hash.
fn argon2id(params: Params, password: &[u8], salt: &[u8], hash: &mut [u8]) -> argon2::Result<()> {
    with_memory(params.block_count(), |memory| {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(password, salt, hash, memory)
    })
}

/// Memory for hashing, one buffer for each concurrent computation, which is reused. A new allocation for each hash
/// costs more than clearing the buffer, and the allocator keeps several times as much (measured once by hand).
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

fn with_memory<T>(blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
    let kept = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = kept().pop().unwrap_or_default();
    memory.resize(blocks.max(memory.len()), Block::new());
    let result = work(&mut memory);
    // All blocks are cleared. Otherwise the password could be guessed from the rest at a fraction of the hash's cost,
    // because the last pass can be undone down to a block that follows from the password by two BLAKE2b.
    memory.fill(Block::new());
    // Frees the additional memory of an imported hash.
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
    /// The scheme of a hash, or none if it is not supported.
    fn of(hash: &str) -> Option<Self> {
        if hash.starts_with("$argon2id$v=19$") {
            let hash = Phc::new(hash).ok()?;
            hash.hash?;
            hash.salt.filter(|salt| salt.len() >= MIN_SALT_LEN)?;
            return Params::try_from(&hash).ok().map(Self::Argon2);
        }
        if hash.starts_with(BROKEN_BCRYPT) {
            return None;
        }
        let cost = hash.parse::<bcrypt::HashParts>().ok()?.get_cost();
        Some(Self::Bcrypt { cost })
    }

    /// Whether a hash of this scheme matches the password.
    fn is_of(&self, hash: &str, password: &SecretString) -> bool {
        let password = password.expose_secret().as_bytes();
        match self {
            Self::Argon2(params) => {
                let Ok(Phc { salt: Some(salt), hash: Some(expected), .. }) = Phc::new(hash) else {
                    return false;
                };
                let mut found = vec![0; expected.len()];
                let computed = argon2id(params.clone(), password, &salt, &mut found);
                computed.is_ok() && verify_slices_are_equal(&found, expected.as_bytes()).is_ok()
            }
            // A password beyond bcrypt's length costs the same and is rejected, not truncated.
            Self::Bcrypt { .. } => {
                let right = bcrypt::verify(password, hash).unwrap_or(false);
                right && password.len() <= BCRYPT_LENGTH
            }
        }
    }

    /// Whether the hash proves the whole password. bcrypt ignores the end of a password that fills its 72 bytes, so the
    /// hash may be of a longer one.
    fn proves(&self, password: &SecretString) -> bool {
        match self {
            Self::Argon2(_) => true,
            Self::Bcrypt { .. } => password.expose_secret().len() < BCRYPT_LENGTH,
        }
    }

    /// Whether the hash has the current parameters.
    fn is_current(&self) -> bool {
        match self {
            Self::Argon2(params) => {
                (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
            }
            Self::Bcrypt { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;
    use nix::time::{ClockId, clock_gettime};

    use super::*;

    const WEAK_ARGON2: &str =
        "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
    const BCRYPT_13: &str = "$2b$13$abcdefghijklmnopqrstuuOcGvNgpRSKa7I8bIYwbgPnPO4dLyAaS";

    /// One word in decomposed, composed and full-width form.
    const DECOMPOSED: &str = "re\u{301}sume\u{301} 42";
    const COMPOSED: &str = "r\u{e9}sum\u{e9} 42";
    const FULL_WIDTH: &str = "r\u{e9}sum\u{e9}\u{3000}\u{ff14}\u{ff12}";

    fn verify(hash: &str, password: &str) -> Verification {
        PasswordHash::verify(Some(&PasswordHash(hash.to_owned())), &password.into())
    }

    /// A hash of the typed form with the current parameters.
    fn hash_as_typed(password: &str) -> String {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params());
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn a_hash_has_owasps_parameters_and_verifies_its_password() {
        let hash = PasswordHash::new("demo", &"correct horse".into()).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify(&hash.0, "correct horse"), Verification::Right);
        assert_eq!(verify(&hash.0, "correct horsf"), Verification::Wrong);
    }

    #[test]
    fn the_dummy_hash_uses_current_parameters() {
        let params = Params::try_from(&Phc::new(DUMMY_HASH).unwrap()).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(
            PasswordHash::verify(None, &"a password that was thrown away".into()),
            Verification::Wrong
        );
    }

    #[test]
    fn reused_hashing_memory_is_zeroed() {
        PasswordHash::verify(None, &"correct horse battery".into());
        let is_clear = |memory: &mut [Block]| memory.iter().flat_map(Block::as_ref).all(|word| *word == 0);
        assert!(with_memory(MEMORY_KIB as usize, is_clear));
    }

    #[test]
    fn long_passwords_are_not_truncated() {
        let (one, other) = ("x".repeat(64), "x".repeat(64) + "y");
        let hash = PasswordHash::new("demo", &other.clone().into()).unwrap();
        assert_eq!(verify(&hash.0, &other), Verification::Right);
        assert_eq!(verify(&hash.0, &one), Verification::Wrong);
        assert_eq!(verify(&hash.0, &("x".repeat(64) + "z")), Verification::Wrong);
        let bcrypt = bcrypt::hash("x".repeat(72), 4).unwrap();
        assert_ne!(verify(&bcrypt, &"x".repeat(72)), Verification::Wrong);
        assert_eq!(verify(&bcrypt, &"x".repeat(73)), Verification::Wrong);
    }

    #[test]
    fn a_bcrypt_hash_is_kept_when_its_password_may_be_truncated() {
        let bcrypt = |length| bcrypt::hash("x".repeat(length), 4).unwrap();
        assert_eq!(verify(&bcrypt(80), &"x".repeat(72)), Verification::Right);
        assert_eq!(verify(&bcrypt(72), &"x".repeat(72)), Verification::Right);
        assert_eq!(verify(&bcrypt(71), &"x".repeat(71)), Verification::RightButOutdated);
    }

    #[test]
    fn a_bcrypt_password_with_nul_is_rejected() {
        // bcrypt repeats its key, so it can't tell these passwords apart.
        for (password, others) in [
            (
                "correct horse",
                ["correct horse\0correct horse", "correct horse\0correct horse\0correct horse"],
            ),
            ("", ["\0", "\0\0"]),
        ] {
            let bcrypt = bcrypt::hash(password, 4).unwrap();
            for other in others {
                assert!(bcrypt::verify(other, &bcrypt).unwrap(), "{other:?} is no case");
                assert_eq!(verify(&bcrypt, other), Verification::Wrong, "{other:?}");
            }
            assert_eq!(verify(&bcrypt, password), Verification::RightButOutdated);
        }
    }

    #[test]
    fn a_password_with_nul_is_never_hashed_or_verified() {
        let of = |password: &str| PasswordHash::new("demo", &password.into()).map(drop);
        assert_eq!(of("correct\0horse"), Err(PasswordError::Nul));
        assert_eq!(of("\0"), Err(PasswordError::Nul));
        assert_eq!(verify(&hash_as_typed("correct\0horse"), "correct\0horse"), Verification::Wrong);
    }

    #[test]
    fn a_malformed_bcrypt_hash_is_neither_imported_nor_verified() {
        let broken = bcrypt::hash("correct horse", 10).unwrap().replace("$2b$", "$2x$");
        assert_eq!(PasswordHash::import(&broken).map(drop), Err(PasswordError::BrokenBcrypt));
        assert_eq!(verify(&broken, "correct horse"), Verification::Wrong);
    }

    #[test]
    fn bcrypt_hashes_and_other_costs_are_outdated() {
        let bcrypt = bcrypt::hash("correct horse", 4).unwrap();
        assert_eq!(verify(&bcrypt, "correct horse"), Verification::RightButOutdated);
        assert_eq!(verify(&bcrypt, "wrong horse"), Verification::Wrong);
        let dearer =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(20_000, 2, 1, None).unwrap());
        let dearer = dearer.hash_password(b"correct horse").unwrap().to_string();
        assert_eq!(verify(&dearer, "correct horse"), Verification::RightButOutdated);
        let ours = PasswordHash::new("demo", &"correct horse".into()).unwrap();
        for (password, found) in
            [("correct horse", Verification::Right), ("wrong horse", Verification::Wrong)]
        {
            assert_eq!(verify(&ours.0, password), found, "in the memory of a dearer one");
        }
    }

    #[test]
    fn a_password_matches_in_every_unicode_form() {
        for chosen in [DECOMPOSED, COMPOSED, FULL_WIDTH] {
            let hash = PasswordHash::new("demo", &chosen.into()).unwrap();
            for typed in [DECOMPOSED, COMPOSED, FULL_WIDTH] {
                assert_eq!(verify(&hash.0, typed), Verification::Right, "{chosen:?}, {typed:?}");
            }
            assert_eq!(verify(&hash.0, "resume 42"), Verification::Wrong);
        }
    }

    #[test]
    fn a_hash_of_an_unnormalized_password_is_outdated() {
        let bcrypt = bcrypt::hash(DECOMPOSED, 4).unwrap();
        for hash in [hash_as_typed(DECOMPOSED), bcrypt] {
            assert_eq!(verify(&hash, DECOMPOSED), Verification::RightButOutdated);
            assert_eq!(verify(&hash, COMPOSED), Verification::Wrong, "not what the hash is of");
        }
        assert_eq!(verify(&PasswordHash::compute(&DECOMPOSED.into()).0, COMPOSED), Verification::Right);
        assert_eq!(verify(&hash_as_typed(COMPOSED), DECOMPOSED), Verification::Right);
    }

    #[test]
    fn hash_formats_of_other_frameworks_are_imported() {
        let argon2 = |parameters: &str| DUMMY_HASH.replace("m=19456,t=2,p=1", parameters);
        let bcrypt = |start: &str| BCRYPT_13.replace("$2b$13$", start);
        for (prefix, hash) in [
            ("argon2", argon2("m=102400,t=2,p=8")),
            ("bcrypt$", bcrypt("$2b$12$")),
            ("{bcrypt}", bcrypt("$2a$10$")),
            ("{argon2}", argon2("m=16384,t=2,p=1")),
            ("{argon2@SpringSecurity_v5_8}", argon2("m=16384,t=2,p=1")),
            ("", bcrypt("$2y$13$")),
            ("", argon2("m=65536,t=3,p=4")),
        ] {
            let imported = PasswordHash::import(&format!("{prefix}{hash}"));
            assert_eq!(imported.map(|imported| imported.0), Ok(hash), "{prefix}");
        }
        for digest in [
            "bcrypt_sha256$$2b$12$9FlOcZes/teLD/G8ydpHUe5BJk5nMgOUJlYZgJEXv01QmMAAQQIlq",
            "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        ] {
            assert_eq!(PasswordHash::import(digest).map(drop), Err(PasswordError::BcryptOfDigest));
        }
        for text in ["{bcrypt}", "bcrypt$", "argon2", "{noop}correct horse", "{argon2}argon2$argon2id$v=19$"]
        {
            assert_eq!(PasswordHash::import(text).map(drop), Err(PasswordError::UnknownHash), "{text}");
        }
    }

    #[test]
    fn an_import_that_is_too_weak_or_too_slow_is_rejected() {
        let import = |text: &str| PasswordHash::import(text).map(drop);
        let bcrypt = |cost| BCRYPT_13.replace("$13$", &format!("${cost:02}$"));
        assert_eq!(import(DUMMY_HASH), Ok(()));
        assert_eq!(import(&bcrypt(10)), Ok(()));
        assert_eq!(import(&bcrypt(13)), Ok(()));
        assert_eq!(import(&bcrypt(9)), Err(PasswordError::CostOutOfBounds));
        assert_eq!(import(&bcrypt(14)), Err(PasswordError::CostOutOfBounds));
        assert_eq!(import(WEAK_ARGON2), Err(PasswordError::CostOutOfBounds));
        let argon2 = |parameters: &str| DUMMY_HASH.replace("m=19456,t=2,p=1", parameters);
        for within in ["m=16384,t=2,p=1", "m=102400,t=2,p=8", "m=65536,t=3,p=4"] {
            assert_eq!(import(&argon2(within)), Ok(()), "{within}");
        }
        for outside in [
            "m=16383,t=2,p=1",
            "m=19456,t=1,p=1",
            "m=102400,t=1,p=1",
            "m=102401,t=2,p=1",
            "m=65536,t=4,p=1",
            "m=19456,t=2,p=9",
            "m=19456,t=4294967295,p=1",
        ] {
            assert_eq!(import(&argon2(outside)), Err(PasswordError::CostOutOfBounds), "{outside}");
        }
        for text in [
            "",
            "secret",
            "$1$abc$def",
            "$argon2id$",
            "$argon2id$v=19$m=19456,t=2,p=1$bGF0Y2hrZXktbm9ib2R5IQ",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$KbjU2sszeVdkCCDD2zYlonLdBXbZ3rMl+F828Yjr2N0",
            &DUMMY_HASH.replace("$argon2id$", "$argon2i$"),
            &DUMMY_HASH.replace("$argon2id$", "$argon2d$"),
            &DUMMY_HASH.replace("$v=19$", "$v=16$"),
            &DUMMY_HASH.replace("$v=19$", "$"),
        ] {
            assert_eq!(import(text), Err(PasswordError::UnknownHash), "{text}");
        }
    }

    /// In the CPU time of the thread, so that the load of the machine does not count. The shortest of three, because
    /// another process on the same memory slows a verification down.
    #[test]
    fn longest_verification_exceeds_the_slowest_import() {
        let cpu_time = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
        let argon2 = DUMMY_HASH.replace("m=19456,t=2,p=1", "m=102400,t=2,p=8");
        for hash in [BCRYPT_13, &argon2] {
            let hash = PasswordHash::import(hash).unwrap();
            for password in ["correct horse", DECOMPOSED] {
                let password = password.into();
                let verification = |_| {
                    let started = cpu_time();
                    PasswordHash::verify(Some(&hash), &password);
                    cpu_time().checked_sub(started).unwrap()
                };
                let (took, longest) =
                    ((0..3).map(verification).min().unwrap(), longest_verification(&password));
                println!("{}: {took:?} of {longest:?}", hash.0);
                assert!(took < longest, "{}: {took:?}", hash.0);
            }
        }
    }

    #[test]
    fn short_and_common_passwords_are_rejected() {
        let of = |password: &str| PasswordHash::new("Demo-User", &password.into()).map(drop);
        assert_eq!(of("seven77"), Err(PasswordError::TooShort));
        assert_eq!(of("éééééé7"), Err(PasswordError::TooShort));
        assert_eq!(of("eight888"), Ok(()));
        assert_eq!(of("Password123"), Err(PasswordError::TooCommon));
        assert_eq!(of("demo-user"), Err(PasswordError::TooCommon));
    }

    #[test]
    fn password_rules_apply_to_the_normalized_form() {
        let of = |name: &str, password: &str| PasswordHash::new(name, &password.into()).map(drop);
        assert_eq!(of("demo", "e\u{301}e\u{301}e\u{301}e\u{301}777"), Err(PasswordError::TooShort));
        assert_eq!(of("demo", "\u{fdfa}"), Err(PasswordError::TooShort), "normalized, it is a sentence");
        assert_eq!(of("demo", "\u{ff50}assword123"), Err(PasswordError::TooCommon));
        assert_eq!(of("re\u{301}sume\u{301}-42", "r\u{e9}sum\u{e9}-42"), Err(PasswordError::TooCommon));
    }
}
