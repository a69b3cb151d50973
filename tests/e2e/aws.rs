//! What AWS sees of our requests.

use shared::aws::Aws;
use shared::config::Settings;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn requests_name_latchkey_and_its_version_as_their_only_user_agent() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("{}")).mount(&server).await;
    let settings = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &server.uri()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &server.uri()),
    ];
    let settings: Settings =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let aws = Aws::from_settings(&settings).unwrap();
    aws.dynamodb().list_tables().send().await.unwrap();
    aws.secrets_manager().list_secrets().send().await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let headers = &request.headers;
        let agents: Vec<_> = headers.get_all("user-agent").iter().collect();
        assert_eq!(agents, [concat!("latchkey/", env!("CARGO_PKG_VERSION"))]);
        assert!(!headers.contains_key("x-amz-user-agent"));
        // SigV4 leaves the user agent unsigned, because proxies change it.
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 ") && !authorization.contains("user-agent"));
    }
}
