//! The server does what its OpenAPI document says, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::harness::server;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn every_documented_path_is_served_and_every_method_that_is_not_documented_is_refused() {
    let server = server();
    let (status, document) = server.ask("GET", "/openapi.json", "").await;
    assert_eq!(status, 200);
    let paths = document["paths"].as_object().unwrap();
    let mut served = 0;
    for (path, item) in paths {
        let documented: BTreeSet<&str> = item
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let filled = path
            .replace("{volume}", "v")
            .replace("{target}", "iqn.2024-01.com.example:t")
            .replace("{initiator}", "*")
            .replace("{lun}", "0")
            .replace("{group}", "1")
            .replace("{snapshot}", "s")
            .replace("{session}", "0")
            .replace("{job}", "0")
            .replace("{peer}", "p")
            .replace("{mirror}", "m")
            .replace("{token}", "t");
        assert!(!filled.contains('{'), "{filled}");
        for method in METHODS {
            if (method, path.as_str()) == ("get", "/v1/events") {
                continue; // It never ends; other tests listen to it.
            }
            let (status, answer) = server.ask(&method.to_uppercase(), &filled, "").await;
            if documented.contains(method) {
                served += 1;
                assert_ne!(status, 405, "{method} {path}");
                let nowhere = answer.to_string().contains("in this API");
                assert!(!nowhere, "{method} {path}: {answer}");
            } else {
                assert_eq!(status, 405, "{method} {path}: {answer}");
            }
            if status >= 400 {
                let error = &answer["error"];
                assert!(
                    error["code"].is_string() && error["message"].is_string(),
                    "{answer}"
                );
            }
        }
    }
    assert_eq!(served, 86);
}

#[tokio::test]
async fn the_document_is_the_one_that_the_client_has() {
    let server = server();
    let (_, served) = server.ask("GET", "/openapi.json", "").await;
    let known: Value = serde_json::from_str(&tidelock_admin::openapi::document()).unwrap();
    assert_eq!(served, known);
}
