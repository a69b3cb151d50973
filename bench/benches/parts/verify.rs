//! From a token's text to claims that were judged.

use criterion::Criterion;
use shared::token::claims::{Expected, VerifiedAccessToken};
use shared::token::jwt::UnverifiedJwt;
use shared::wire::jose::Algorithm;

use crate::token::{AUDIENCE, ISSUER, NOW, keys, signed};

pub fn measure(criterion: &mut Criterion) {
    let audiences = [AUDIENCE.to_owned()];
    let expected = Expected { issuer: Some(ISSUER), audiences: Some(&audiences) };
    for algorithm in Algorithm::ALL {
        let (private, public) = keys(algorithm);
        let text = signed(&private);
        criterion.bench_function(&format!("verify {}", algorithm.name()), |bencher| {
            bencher.iter(|| {
                let jwt = UnverifiedJwt::parse(&text, 8192)?.verify(&public)?;
                VerifiedAccessToken::judge(&jwt, &expected, NOW)
            });
        });
    }
}
