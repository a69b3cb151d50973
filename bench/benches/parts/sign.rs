//! From claims to a token's text; and how a key comes about.

use criterion::Criterion;
use shared::wire::jose::Algorithm;

use shared::token::private_key::PrivateKey;

use crate::token::{claims, keys};

pub fn measure(criterion: &mut Criterion) {
    let claims = claims();
    for algorithm in Algorithm::ALL {
        let (private, _) = keys(algorithm);
        criterion.bench_function(&format!("sign {}", algorithm.name()), |bencher| {
            bencher.iter(|| private.sign("at+jwt", &claims.to_json()));
        });
    }
    criterion.bench_function("make a key, RS256", |bencher| {
        bencher.iter(|| PrivateKey::generate(Algorithm::Rs256));
    });
}
