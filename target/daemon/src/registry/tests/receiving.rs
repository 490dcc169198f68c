//! Streams from one registry into another: what fits and what doesn't, what is cut short at every place, and
//! crashes between the steps.

use bytes::Bytes;
use tidelock_catalog::ListChange;
use tidelock_catalog::snapshots::{Cause, Snapshot};
use tidelock_replication::stream::{Decoder, Event, HEADER_BYTES, StreamError};
use tidelock_replication::{Export, Family};
use tokio::sync::mpsc;

use super::*;
use crate::registry::changes::ChangeError;
use crate::registry::{ReceiveError, ReceiveRequest, Received};

const BLOCK: usize = 4_096;

fn into(name: &str) -> ReceiveRequest {
    ReceiveRequest {
        volume: volume(name),
        name: None,
        force: false,
        at_unix_ms: 1_000_000,
    }
}

fn forced(name: &str) -> ReceiveRequest {
    ReceiveRequest {
        force: true,
        ..into(name)
    }
}

/// Blocks full of a number, in the head of a volume that has a snapshot.
fn fill(house: &House, of: &str, first: usize, tags: &[u8]) {
    let (family, head) = house
        .registry()
        .volume(&volume(of))
        .unwrap()
        .place()
        .unwrap();
    let engine = Arc::clone(&family.open_family().unwrap().engine);
    for (place, tag) in tags.iter().enumerate() {
        let offset = ((first + place) * BLOCK) as u64;
        let event = match tag {
            0 => Event::Zeros {
                offset,
                length: BLOCK as u64,
            },
            tag => Event::Data {
                offset,
                data: vec![*tag; BLOCK].into(),
            },
        };
        engine.import(*head.0.as_bytes(), &event).unwrap();
    }
}

fn bytes_of(mut export: Export) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().unwrap() {
        bytes.extend(piece);
    }
    bytes
}

async fn stream(house: &House, of: &str, since: Option<&str>) -> Vec<u8> {
    let since = since.map(word);
    let export = house.registry().send(&snapshot(of), since.as_ref()).await;
    bytes_of(export.unwrap())
}

/// What a snapshot has: a number for each block.
async fn content(house: &House, of: &str) -> Vec<u8> {
    let mut decoder = Decoder::default();
    decoder.feed(&stream(house, of, None).await);
    let mut image = vec![0; usize::try_from(MIB).unwrap() / BLOCK];
    while let Some(event) = decoder.next().unwrap() {
        if let Event::Data { offset, data } = event {
            let first = usize::try_from(offset).unwrap() / BLOCK;
            for (place, block) in data.chunks(BLOCK).enumerate() {
                assert!(block.iter().all(|byte| *byte == block[0]), "a blend");
                image[first + place] = block[0];
            }
        }
    }
    image
}

/// What a volume has.
async fn now(house: &House, of: &str) -> Vec<u8> {
    let name = format!("{of}@look");
    house.take(&name, 9).await;
    let found = content(house, &name).await;
    house
        .registry()
        .delete_snapshot(snapshot(&name))
        .await
        .unwrap();
    found
}

async fn receive(
    house: &House,
    request: ReceiveRequest,
    bytes: &[u8],
) -> Result<Received, ChangeError> {
    let (sender, pieces) = mpsc::channel(1);
    let registry = Arc::clone(house.registry());
    let receiving = tokio::spawn(async move { registry.receive(request, pieces).await });
    for piece in bytes.chunks(100_000) {
        if sender.send(Bytes::copy_from_slice(piece)).await.is_err() {
            break;
        }
    }
    drop(sender);
    receiving.await.unwrap().1
}

fn refused(result: Result<Received, ChangeError>) -> ReceiveError {
    match result {
        Err(ChangeError::Receive(error)) => {
            assert!(!error.to_string().is_empty());
            error
        }
        other => panic!("{other:?}"),
    }
}

/// A volume with something in it, and a snapshot of that.
async fn source() -> House {
    let house = House::new().await;
    house.add_volume("a").await;
    house.take("a@empty", 1).await;
    fill(&house, "a", 0, &[1, 2, 3, 0, 5]);
    fill(&house, "a", 255, &[9]);
    house.take("a@one", 2).await;
    house
}

#[tokio::test]
async fn a_chain_of_differences_is_the_same_at_each_step() {
    let from = source().await;
    let mut to = House::new().await;
    let received = receive(&to, into("b"), &stream(&from, "a@one", None).await).await;
    let received = received.unwrap();
    assert_eq!(
        (received.snapshot, received.safety),
        (snapshot("b@one"), None)
    );
    let mut before = "one".to_owned();
    for step in 0..10_u8 {
        let at = usize::from(step) * 7;
        fill(&from, "a", at, &[step + 10, 0, step + 20, step + 30]);
        let name = format!("s{step}");
        from.take(&format!("a@{name}"), u64::from(step) + 3).await;
        let bytes = stream(&from, &format!("a@{name}"), Some(&before)).await;
        assert!(bytes.len() < 8 * BLOCK, "{}", bytes.len());
        receive(&to, into("b"), &bytes).await.unwrap();
        assert_eq!(now(&to, "b").await, now(&from, "a").await, "{step}");
        if step == 5 {
            to.reopen().await;
        }
        before = name;
    }
    for name in from.names("a").iter().skip(1) {
        let [ours, theirs] = [format!("a@{name}"), format!("b@{name}")];
        assert_eq!(
            content(&from, &ours).await,
            content(&to, &theirs).await,
            "{name}"
        );
    }
    assert_eq!(to.names("b"), from.names("a")[1..]);
    // And on from there, as the same snapshots.
    let mut third = House::new().await;
    receive(&third, into("c"), &stream(&to, "b@one", None).await)
        .await
        .unwrap();
    receive(&third, into("c"), &stream(&from, "a@s9", Some("one")).await)
        .await
        .unwrap();
    assert_eq!(now(&third, "c").await, now(&from, "a").await);
    third.reopen().await;
    // The head, and what it is told of.
    assert_eq!(third.datasets("c"), 3);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    fill(&from, "a", 3, &[7]);
    from.take("a@two", 3).await;
    let difference = stream(&from, "a@two", Some("one")).await;
    let to = House::new().await;
    let error = refused(receive(&to, into("b"), &difference).await);
    assert!(matches!(error, ReceiveError::NoVolume { .. }), "{error}");
    to.add_volume("b").await;
    let error = refused(receive(&to, into("b"), &difference).await);
    assert!(matches!(error, ReceiveError::NoBase { .. }), "{error}");
    let error = refused(receive(&to, into("b"), &whole).await);
    assert!(matches!(error, ReceiveError::Replaces { .. }), "{error}");
    assert!(to.families().is_empty());
    assert!(to.registry().receive_status(&volume("b")).is_err());

    receive(&to, into("c"), &whole).await.unwrap();
    let error = refused(receive(&to, forced("c"), &difference[..HEADER_BYTES]).await);
    assert!(
        matches!(error, ReceiveError::CutShort { position: 0 }),
        "{error}"
    );
    to.registry().abort_receive(volume("c")).await.unwrap();
    let taken = receive(&to, forced("c"), &whole).await.unwrap_err();
    assert!(taken.to_string().contains("c@one"), "{taken}");
    fill(&to, "c", 8, &[8]);
    let before = now(&to, "c").await;
    let error = refused(receive(&to, into("c"), &difference).await);
    assert!(matches!(error, ReceiveError::Changed { .. }), "{error}");
    assert_eq!(now(&to, "c").await, before);
    // What is there is kept, if it is to be replaced all the same.
    let received = receive(&to, forced("c"), &difference).await.unwrap();
    let kept = received.safety.unwrap();
    assert_eq!(content(&to, &format!("c@{kept}")).await, before);
    assert_eq!(now(&to, "c").await, content(&from, "a@two").await);

    let grown = Command::ResizeVolume {
        volume: volume("c"),
        size_bytes: 2 * MIB,
    };
    to.registry().apply(grown).await.unwrap();
    from.take("a@three", 4).await;
    let next = stream(&from, "a@three", Some("two")).await;
    let error = refused(receive(&to, into("c"), &next).await);
    assert!(matches!(error, ReceiveError::Size { .. }), "{error}");
}

#[tokio::test]
async fn a_whole_snapshot_takes_the_place_of_all_that_is_there_if_that_is_said() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    let to = House::new().await;
    to.add_volume("b").await;
    to.take("b@old", 1).await;
    fill(&to, "b", 0, &[40; 256]);
    let received = receive(&to, forced("b"), &whole).await.unwrap();
    assert_eq!(now(&to, "b").await, content(&from, "a@one").await);
    let kept = received.safety.unwrap();
    assert_eq!(content(&to, &format!("b@{kept}")).await, vec![40; 256]);
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_gone_on_with() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    let wanted = content(&from, "a@one").await;
    let mut to = House::new().await;
    for cut in (0..whole.len()).step_by(2_500).chain([whole.len() - 1]) {
        let error = refused(receive(&to, into("b"), &whole[..cut]).await);
        let ReceiveError::CutShort { position } = error else {
            panic!("{cut}: {error}");
        };
        if cut < 160 {
            assert!(to.registry().catalog().volume(&volume("b")).is_err());
            continue;
        }
        if cut % 3 == 0 {
            to.reopen().await;
        }
        assert_eq!(now(&to, "b").await, vec![0; 256], "a part is seen");
        let status = to.registry().receive_status(&volume("b")).unwrap();
        assert_eq!((status.position_bytes, status.active), (position, false));
        let token = status.token.parse().unwrap();
        let rest = bytes_of(from.registry().send_rest(&token).await.unwrap());
        // The rest of something else doesn't fit.
        let error = refused(receive(&to, into("b"), &stream(&from, "a@empty", None).await).await);
        assert!(matches!(error, ReceiveError::Other { .. }), "{error}");
        receive(&to, into("b"), &rest).await.unwrap();
        assert_eq!(content(&to, "b@one").await, wanted, "{cut}");
        assert_eq!(now(&to, "b").await, wanted, "{cut}");
        assert!(to.registry().receive_status(&volume("b")).is_err());
        to.registry()
            .delete_volume(volume("b"), true)
            .await
            .unwrap();
    }
    assert!(to.families().is_empty());
}

#[tokio::test]
async fn what_has_come_is_there_after_a_crash_at_any_step() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    fill(&from, "a", 2, &[30, 0, 32]);
    from.take("a@two", 3).await;
    let difference = stream(&from, "a@two", Some("one")).await;
    let wanted = content(&from, "a@two").await;
    for steps in 0..4 {
        let mut to = House::new().await;
        receive(&to, into("b"), &whole).await.unwrap();
        let registry = to.registry();
        let request = into("b");
        let [staging, new, safety] = registry
            .receive_all_but_the_end(&request, &difference)
            .await;
        let (family, head) = registry.volume(&volume("b")).unwrap().place().unwrap();
        let open = family.open_family().unwrap();
        let [head, from_head, to_id, kept] =
            [head, staging, new, safety].map(|id| *id.0.as_bytes());
        let entry = Snapshot {
            id: safety,
            volume: registry.volume(&volume("b")).unwrap().id(),
            name: word("kept"),
            at_unix_ms: 7,
            size_bytes: MIB,
            cause: Cause::Restore { to: new },
            set: None,
            pending: true,
            quiesced: false,
        };
        if steps > 0 {
            Family::snapshot(&[(Arc::clone(&open.engine), from_head, to_id)]).unwrap();
        }
        if steps > 1 {
            open.add(&[ListChange::Add(entry)]).unwrap();
        }
        if steps > 2 {
            open.engine.restore(head, to_id, kept).unwrap();
        }
        drop((open, family));
        to.reopen().await;
        assert_eq!(now(&to, "b").await, wanted, "{steps}");
        assert_eq!(content(&to, "b@two").await, wanted, "{steps}");
        assert_eq!(to.names("b"), ["one", "two"], "{steps}");
        assert!(to.registry().receive_status(&volume("b")).is_err());
        to.reopen().await;
        assert_eq!(to.datasets("b"), 3, "{steps}: something is left behind");
    }
}

#[tokio::test]
async fn what_a_host_writes_while_a_stream_comes_is_kept() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    fill(&from, "a", 2, &[30]);
    from.take("a@two", 3).await;
    let difference = stream(&from, "a@two", Some("one")).await;
    let mut to = House::new().await;
    receive(&to, into("b"), &whole).await.unwrap();
    let request = into("b");
    to.registry()
        .receive_all_but_the_end(&request, &difference)
        .await;
    fill(&to, "b", 100, &[77]);
    to.reopen().await;
    assert_eq!(now(&to, "b").await, content(&from, "a@two").await);
    let names = to.names("b");
    let kept = names
        .iter()
        .find(|name| !["one", "two"].contains(&name.as_str()));
    let kept = content(&to, &format!("b@{}", kept.unwrap())).await;
    assert_eq!((kept[100], kept[2]), (77, 3));
}

#[tokio::test]
async fn a_record_that_is_damaged_is_as_if_nothing_had_come() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    let mut to = House::new().await;
    refused(receive(&to, into("b"), &whole[..9_000]).await);
    assert!(to.registry().receive_status(&volume("b")).is_ok());
    to.close().await;
    let folder = to.path().join("receives");
    let file = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let record = std::fs::read(&file).unwrap();
    for at in (0..record.len()).step_by(31) {
        let mut damaged = record.clone();
        damaged[at] ^= 1;
        std::fs::write(&file, &damaged).unwrap();
        let state = StateDir::open(to.path()).unwrap();
        let registry = Registry::open(&state, Directory::new(8)).unwrap();
        assert!(registry.receives.records().is_empty(), "{at}");
    }
    to.open().await;
    assert!(to.registry().receive_status(&volume("b")).is_err());
    // What had come of it is gone, and the volume can be had by force.
    let place = to.registry().volume(&volume("b")).unwrap().place();
    assert!(place.is_none() || to.datasets("b") == 1);
    receive(&to, forced("b"), &whole).await.unwrap();
    assert_eq!(now(&to, "b").await, content(&from, "a@one").await);
}

#[tokio::test]
async fn damage_is_refused_where_it_is_and_what_came_before_is_kept() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    let to = House::new().await;
    for at in (0..whole.len()).step_by(1_913) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let error = refused(receive(&to, into("b"), &bytes).await);
        assert!(matches!(error, ReceiveError::Stream(_)), "{at}: {error}");
        if at < 160 {
            continue;
        }
        assert!(
            matches!(error, ReceiveError::Stream(StreamError::Damaged { .. })),
            "{at}: {error}"
        );
        assert_eq!(now(&to, "b").await, vec![0; 256], "damage is seen");
        to.registry().abort_receive(volume("b")).await.unwrap();
        assert!(
            to.registry().catalog().volume(&volume("b")).is_err(),
            "{at}"
        );
    }
    assert!(to.families().is_empty());
    let longer = [&whole[..], b"x"].concat();
    let error = refused(receive(&to, into("b"), &longer).await);
    assert!(error.to_string().contains("behind its end"), "{error}");
}

#[tokio::test]
async fn a_volume_that_was_made_for_a_stream_stays_if_somebody_has_written_to_it() {
    let from = source().await;
    let whole = stream(&from, "a@one", None).await;
    let to = House::new().await;
    refused(receive(&to, into("b"), &whole[..whole.len() / 2]).await);
    fill(&to, "b", 8, &[8]);
    let before = now(&to, "b").await;
    to.registry().abort_receive(volume("b")).await.unwrap();
    assert_eq!(now(&to, "b").await, before);
    assert_eq!(to.datasets("b"), 1);
}
