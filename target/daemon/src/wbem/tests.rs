//! The door from outside: passwords, limits in size and time, TLS. What is answered has its tests in `tidelock-wbem`.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::service::{Answer, SupportedOperations};
use tidelock_capabilities::values::{ConnectionFeature, Operation, ReturnCode, ValueSet};
use tidelock_capabilities::{BuiltCapabilities, SynchronizationSupported};
use tidelock_wbem::model::{
    GroupChange, Inventory, Made, MadeGroup, Model, Modification, NewGroupReplica, NewReplica,
    Point, Question, Refused,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use super::http::{House, Limits};
use super::users::Users;

/// A password.
pub(super) const PASSWORD: &str = "a good one";
/// Its hash.
pub(super) const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$d95LgrWMe47JUep/vdPAcg$/cT2IGiYkdcEazLg0BwWAXbpLvqQJ2OaFE4T+shkSVM";

/// A daemon in which nothing is.
struct Nothing;

fn refused() -> Refused {
    Refused::new(ReturnCode::Failed, "nothing is done here")
}

impl Model for Nothing {
    fn inventory(&self) -> Inventory {
        Inventory::default()
    }

    fn built(&self) -> &BuiltCapabilities {
        static BUILT: OnceLock<BuiltCapabilities> = OnceLock::new();
        BUILT.get_or_init(BuiltCapabilities::default)
    }

    fn synchronization_supported(&self, _: &Question) -> SynchronizationSupported {
        panic!("nobody asks that here")
    }

    fn operations_for(&self, _: AssociationKey) -> Answer<SupportedOperations> {
        Err(ReturnCode::Failed)
    }

    fn admit_operation(&self, _: AssociationKey, _: Operation, _: bool) -> Result<(), Refused> {
        Err(refused())
    }

    fn create_element_replica(&self, _: &NewReplica) -> Result<Made, Refused> {
        Err(refused())
    }

    fn create_aspect(&self, _: &NewReplica) -> Result<Made, Refused> {
        Err(refused())
    }

    fn connection_features(&self, _: &Point) -> Answer<ValueSet<ConnectionFeature>> {
        Err(ReturnCode::Failed)
    }

    fn create_group_replica(&self, _: &NewGroupReplica) -> Result<MadeGroup, Refused> {
        Err(refused())
    }

    fn modify(&self, _: &Modification) -> Result<Option<u64>, Refused> {
        Err(refused())
    }

    fn modify_group(&self, _: &str, _: &str, _: Operation, _: bool) -> Result<(), Refused> {
        Err(refused())
    }

    fn change_group(&self, _: &GroupChange) -> Result<(), Refused> {
        Err(refused())
    }

    fn all_of(&self, _: &str, _: &[u64]) -> u64 {
        0
    }

    fn check_listener(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn keep_subscriptions(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn cancel_job(&self, _: u64) -> bool {
        false
    }

    fn note(&self, _: &str, _: &Refused) -> u64 {
        0
    }
}

/// A server in the test's own runtime; it ends with the sender.
fn serve(limits: Limits) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let users = BTreeMap::from([("admin".to_owned(), HASH.to_owned())]);
    let house = House {
        server: tidelock_wbem::Server::default(),
        model: Box::new(Nothing),
        users: Users::new(users).unwrap(),
        limits,
        workers: Semaphore::new(2),
        passwords: Semaphore::new(1),
        begun: Instant::now(),
        refusals: tokio::sync::Notify::new(),
    };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(super::accept::accept(
        listener,
        None,
        Arc::new(house),
        stopped,
    ));
    (address, stop)
}

fn limits() -> Limits {
    Limits {
        connections: 2,
        header_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_secs(5),
        body_bytes: 4096,
    }
}

const BODY: &str = "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\">\
    <SIMPLEREQ><IMETHODCALL NAME=\"EnumerateClassNames\"><LOCALNAMESPACEPATH><NAMESPACE NAME=\"interop\"/>\
    </LOCALNAMESPACEPATH></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>";

fn basic(name: &str, password: &str) -> String {
    let given = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {given}\r\n")
}

fn request(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /cimom HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/xml; charset=utf-8\r\n\
         CIMOperation: MethodCall\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// All that comes back until the server hangs up.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses may close with something unread in the socket.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn ask(address: SocketAddr, text: &str) -> String {
    exchange(TcpStream::connect(address).await.unwrap(), text).await
}

#[tokio::test]
async fn a_request_with_the_right_password_is_answered_and_no_other() {
    let (address, _stop) = serve(Limits::default());
    let answer = ask(address, &request(&basic("admin", PASSWORD), BODY)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.contains("\r\ncimoperation: MethodResponse\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("<CLASSNAME NAME=\"CIM_ManagedElement\"/>"),
        "{answer}"
    );
    for headers in [
        String::new(),
        basic("admin", "wrong"),
        basic("nobody", PASSWORD),
        "Authorization: Basic !!!\r\n".to_owned(),
        "Authorization: Bearer abc\r\n".to_owned(),
    ] {
        let answer = ask(address, &request(&headers, BODY)).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{headers}: {answer}");
        assert!(answer.contains("www-authenticate: Basic realm"), "{answer}");
        assert!(!answer.contains("CIM_ManagedElement"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_in_cim_xml_is_refused() {
    let (address, _stop) = serve(Limits {
        body_bytes: 4096,
        ..Limits::default()
    });
    let user = basic("admin", PASSWORD);
    let right = request(&user, BODY);
    for (text, status) in [
        (right.replace("POST", "GET"), "405"),
        (right.replace("POST", "M-POST"), "405"),
        (right.replace("/cimom", "/other"), "404"),
        (right.replace("application/xml", "application/json"), "415"),
        (right.replace("MethodCall", "Other"), "400"),
        (right.replace("<CIM ", "<CIN "), "400"),
        (request(&user, &"x".repeat(5000)), "413"),
        (right.clone(), "200"),
    ] {
        let answer = ask(address, &text).await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{status}: {answer}");
    }
    let answer = ask(address, &right.replace("<CIM ", "<CIN ")).await;
    assert!(
        answer.contains("\r\ncimerror: request-not-well-formed\r\n"),
        "{answer}"
    );
    let chunked = right.replace(
        &format!("Content-Length: {}", BODY.len()),
        "Transfer-Encoding: chunked",
    );
    let (head, _) = chunked.split_once("\r\n\r\n").unwrap();
    let endless = format!("{head}\r\n\r\n1400\r\n{}\r\n0\r\n\r\n", "x".repeat(0x1400));
    let answer = ask(address, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // One that a socket doesn't hold, from somebody who reads the answer afterwards; and from one who asks first.
    let large = request(&user, &"x".repeat(120_000));
    let answer = ask(address, &large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let (head, _) = large.split_once("\r\n\r\n").unwrap();
    let asking = format!("{head}\r\nExpect: 100-continue\r\n\r\n");
    let answer = ask(address, &asking).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn who_only_sits_there_keeps_nobody_out() {
    let (address, _stop) = serve(Limits {
        connections: 2,
        ..Limits::default()
    });
    let text = request(&basic("admin", PASSWORD), BODY);
    // Somebody who has given a password, and stays.
    let mut known = TcpStream::connect(address).await.unwrap();
    let stays = text.replace("Connection: close\r\n", "");
    known.write_all(stays.as_bytes()).await.unwrap();
    let mut begun = [0; 15];
    known.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    // Others, who give none: one after the other is ended, though their time isn't up.
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(TcpStream::connect(address).await.unwrap());
        let answer = ask(address, &text).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
    known.write_all(text.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    known.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8(rest).unwrap().contains("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn slow_senders_are_given_up() {
    let (address, _stop) = serve(Limits {
        connections: 8,
        ..limits()
    });
    let text = request(&basic("admin", PASSWORD), BODY);
    // A head that doesn't end, and a body that doesn't come.
    let head =
        tokio::spawn(async move { ask(address, "POST /cimom HTTP/1.1\r\nHost: h\r\n").await });
    let (start, _) = text.split_at(text.len() - 10);
    let start = start.to_owned();
    let body = tokio::spawn(async move { ask(address, &start).await });
    let answer = ask(address, &text).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!head.await.unwrap().contains("200"));
    assert!(body.await.unwrap().starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn everything_ends_when_the_server_stops() {
    let (address, stop) = serve(Limits::default());
    let idle = TcpStream::connect(address).await.unwrap();
    stop.send_replace(true);
    assert_eq!(exchange(idle, "").await, "");
}
