//! Capabilities as clients ask for them.

use super::harness::server;

#[tokio::test]
async fn a_question_arrives_as_it_was_asked() {
    let server = server();
    let client = server.client();
    let told = client
        .capabilities("v@a b&c", Some("w"), Some("x:y"), 4)
        .await
        .unwrap();
    assert_eq!(told.element, "v@a b&c");
    assert_eq!(
        (
            told.other_element.as_deref(),
            told.via.as_deref(),
            told.method_name
        ),
        (Some("w"), Some("x:y"), 4)
    );
    let told = client.capabilities("v", None, None, 2).await.unwrap();
    assert_eq!((told.element.as_str(), told.other_element), ("v", None));
    let (status, told) = server.ask("GET", "/v1/capabilities?element=v", "").await;
    assert_eq!((status, &told["method_name"]), (200, &2.into()));
    let long = format!("/v1/capabilities?element={}", "x".repeat(1_025));
    for wrong in [
        "/v1/capabilities",
        "/v1/capabilities?element=v&method=x",
        "/v1/capabilities?element=v&method=65536",
        "/v1/capabilities?element=v&by=w",
        &long,
        &long.replace("element=", "element=v&via="),
    ] {
        let (status, answer) = server.ask("GET", wrong, "").await;
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
}
