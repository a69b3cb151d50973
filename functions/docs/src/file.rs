//! A static file as it is served: media type, ETag and compression.

use std::borrow::Cow;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};

/// How long a browser may cache a file, in seconds. It is short because a new version has the same name.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// A file.
pub(crate) struct File {
    content_type: &'static str,
    content: Content,
    etag: String,
}

enum Content {
    Text(Cow<'static, str>),
    /// Compressed content, without a plain alternative: every browser accepts gzip (RFC 9110 §8.4.1.3). The bundle is a
    /// quarter of its size in the package and on the wire, and below Lambda's limit of 6 MB for a response.
    Gzip(&'static [u8]),
}

impl File {
    /// A file that is served uncompressed.
    pub(crate) fn text(content_type: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { content_type, etag: etag(text.as_bytes()), content: Content::Text(text) }
    }

    /// A file that the build compressed.
    pub(crate) fn gzip(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { content_type, etag: etag(bytes), content: Content::Gzip(bytes) }
    }

    /// The file, or 304 if the browser's copy is current (RFC 9110 §13.1.2).
    pub(crate) fn answer(&self, request: &Request) -> Response<Body> {
        let known = request.headers().get_all(header::IF_NONE_MATCH).iter();
        let mut response = if known.filter_map(|value| value.to_str().ok()).any(|tags| self.is_among(tags)) {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            self.whole()
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, MAX_AGE);
        if let Ok(etag) = HeaderValue::try_from(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        response
    }

    fn whole(&self) -> Response<Body> {
        let mut response = Response::new(match &self.content {
            Content::Text(text) => Body::from(&**text),
            Content::Gzip(bytes) => Body::Binary(bytes.to_vec()),
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if matches!(self.content, Content::Gzip(_)) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// Compares weakly, because a proxy that compresses a text marks its tag as weak.
    fn is_among(&self, tags: &str) -> bool {
        tags.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag == self.etag)
    }
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, content)))
}

/// A file that `build.rs` extracted from Swagger UI.
macro_rules! embedded {
    ($content_type:expr, $name:literal) => {
        File::gzip($content_type, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")))
    };
}
pub(crate) use embedded;

#[cfg(test)]
mod tests {
    use super::*;

    fn status(file: &File, if_none_match: &str) -> u16 {
        let mut request = Request::new(Body::Empty);
        request.headers_mut().insert(header::IF_NONE_MATCH, if_none_match.parse().unwrap());
        file.answer(&request).status().as_u16()
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let file = File::text("text/plain", "text");
        let etag = file.etag.clone();
        for known in [&etag, &format!("W/{etag}"), &format!("\"other\", {etag}"), "*"] {
            assert_eq!(status(&file, known), 304, "{known}");
        }
        for other in ["", "\"other\"", etag.trim_matches('"')] {
            assert_eq!(status(&file, other), 200, "{other}");
        }
    }

    #[test]
    fn different_files_have_different_etags() {
        assert_ne!(File::text("text/plain", "a").etag, File::text("text/plain", "b").etag);
    }
}
