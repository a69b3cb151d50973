//! The requests that AWS receives from us.

use shared::trust::store::TrustStore;
use test_support::Stack;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn the_only_user_agent_is_latchkey_and_its_version() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("{}")).mount(&server).await;
    let stack = Stack::start().await;
    TrustStore::new(stack.table_at(&server.uri())).snapshot(shared::runtime::clock::now()).await.unwrap();
    stack.secret_at(&server.uri()).next_rotation().await.unwrap();
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
