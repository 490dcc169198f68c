//! A holder by itself: what it asks for, and when hosts are served.

use super::*;
use crate::generation::Role;
use crate::id::NodeId;

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const LEASE: LeaseId = LeaseId(7);

fn settings() -> Settings {
    Settings::new(5_000)
}

fn place(required: bool, in_step: bool) -> Place {
    let peer = |there: bool| there.then_some(PEER).into_iter().collect();
    Place {
        role: Role::Source,
        required: peer(required),
        in_step: peer(in_step),
    }
}

fn standing(source: NodeId, eligible: &[NodeId]) -> Standing {
    Standing {
        source,
        eligible: eligible.iter().copied().collect(),
    }
}

fn seen(holder: Option<(NodeId, LeaseId)>, standing: Option<Standing>) -> Answer {
    Answer::Seen(Seen {
        holder,
        revision: Revision(i64::from(standing.is_some())),
        standing,
    })
}

/// The one request among these.
fn asked(actions: &[Action]) -> (RequestId, Request) {
    let mut asked = actions.iter().filter_map(|it| match it {
        Action::Ask(id, request) => Some((*id, request.clone())),
        _ => None,
    });
    let only = asked
        .next()
        .unwrap_or_else(|| panic!("no request in {actions:?}"));
    assert_eq!(asked.next(), None);
    only
}

/// Answers the request among these.
fn answer(holder: &mut Holder, actions: &[Action], answer: Answer, now_ms: u64) -> Vec<Action> {
    let (id, _) = asked(actions);
    holder.handle(Event::Answered(id, Ok(answer)), now_ms)
}

/// A source that holds the place since 1,000 ms, with this standing.
fn holding(place: Place, stands: &Standing) -> Holder {
    let mut holder = Holder::new(ME, place, settings(), 0);
    let look = holder.handle(Event::Tick, 1_000);
    let grant = answer(&mut holder, &look, seen(None, Some(stands.clone())), 1_000);
    assert_eq!(asked(&grant).1, Request::Grant { ttl_ms: 5_000 });
    let take = answer(&mut holder, &grant, Answer::Granted(LEASE, 5_000), 1_000);
    assert!(matches!(asked(&take).1, Request::Take { lease: LEASE, .. }));
    let open = answer(&mut holder, &take, Answer::Done(Revision(2)), 1_000);
    assert_eq!(open.first(), Some(&Action::Open { until_ms: 5_450 }));
    holder
}

#[test]
fn a_standing_is_text_that_people_can_read() {
    for standing in [
        standing(ME, &[]),
        standing(ME, &[PEER]),
        standing(PEER, &[ME, NodeId(u128::MAX)]),
    ] {
        assert_eq!(standing.to_string().parse(), Ok(standing));
    }
    let id = "0".repeat(32);
    for bad in [
        "",
        "source= eligible=",
        &format!("source={id}"),
        &format!("source={id} eligible={id},"),
        &format!("source=+{} eligible=", &id[1..]),
        &format!("source={id} eligible={}", vec![id.clone(); 65].join(",")),
    ] {
        assert_eq!(bad.parse::<Standing>(), Err(NotAStanding), "{bad}");
    }
}

#[test]
fn hosts_are_stopped_before_the_lease_can_be_over() {
    // 1% of drift and a tenth to spare.
    assert_eq!(settings().valid_for(5_000), 4_450);
    assert_eq!(settings().valid_for(0), 0);
    let mut holder = holding(place(false, false), &standing(ME, &[]));
    assert_eq!(holder.wake_at(), Some(1_000 + 5_000 / 3));
    let renewal = holder.handle(Event::Tick, 2_700);
    assert_eq!(asked(&renewal).1, Request::KeepAlive(LEASE));
    assert_eq!(holder.handle(Event::Tick, 5_449), []);
    let closed = holder.handle(Event::Tick, 5_450);
    assert_eq!(closed, [Action::Close, Action::Report(Report::Lost)]);
    // The store got the request in time after all: it counts from when it was sent.
    let again = answer(&mut holder, &renewal, Answer::Kept(5_000), 5_500);
    assert_eq!(
        again.first(),
        Some(&Action::Open {
            until_ms: 2_700 + 4_450
        })
    );
}

#[test]
fn a_renewal_without_an_answer_stops_nobody_and_is_repeated() {
    let mut holder = holding(place(false, false), &standing(ME, &[]));
    let renewal = holder.handle(Event::Tick, 2_700);
    let (id, _) = asked(&renewal);
    let unanswered = holder.handle(Event::Answered(id, Err(Unanswered)), 3_700);
    assert_eq!(unanswered, [Action::Report(Report::Unanswered)]);
    assert_eq!(holder.open_until(), Some(5_450));
    assert_eq!(holder.wake_at(), Some(3_950));
    let again = holder.handle(Event::Tick, 3_950);
    assert_eq!(asked(&again).1, Request::KeepAlive(LEASE));
    // An answer to the first counts for nothing any more.
    assert_eq!(
        holder.handle(Event::Answered(id, Ok(Answer::Kept(5_000))), 3_950),
        []
    );
    assert_eq!(holder.open_until(), Some(5_450));
}

#[test]
fn a_source_goes_on_alone_when_its_target_cannot_take_over() {
    let mut holder = holding(place(true, false), &standing(ME, &[PEER]));
    assert!(holder.is_eligible(PEER));
    let wants = holder.handle(Event::WantsAlone(4), 1_500);
    // It is being taken out: handed over to now, nobody might be allowed to serve.
    assert!(!holder.is_eligible(PEER));
    let (_, change) = asked(&wants);
    assert_eq!(
        change,
        Request::Change {
            lease: LEASE,
            standing: standing(ME, &[]),
            from: Revision(2),
        }
    );
    assert!(!wants.contains(&Action::GoOnAlone(4)));
    let alone = answer(&mut holder, &wants, Answer::Done(Revision(3)), 1_600);
    assert_eq!(alone, [Action::GoOnAlone(4)]);
    // When it is in step again, it may.
    let joined = holder.handle(Event::Place(place(true, true)), 2_000);
    assert!(
        matches!(asked(&joined).1, Request::Change { standing, .. } if standing.eligible.contains(&PEER))
    );
    assert!(!holder.is_eligible(PEER));
    answer(&mut holder, &joined, Answer::Done(Revision(4)), 2_000);
    assert!(holder.is_eligible(PEER));
}

#[test]
fn a_change_that_may_still_come_is_overtaken_before_the_source_goes_on_alone() {
    let mut holder = holding(place(true, false), &standing(ME, &[]));
    let add = holder.handle(Event::Place(place(true, true)), 1_100);
    let (id, request) = asked(&add);
    assert!(matches!(request, Request::Change { .. }));
    holder.handle(Event::Answered(id, Err(Unanswered)), 1_200);
    holder.handle(Event::Place(place(true, false)), 1_300);
    holder.handle(Event::WantsAlone(1), 1_400);
    // As far as is known the target isn't in the standing; but it may get there at any time.
    let again = holder.handle(Event::Tick, 1_500);
    let (_, request) = asked(&again);
    let empty = standing(ME, &[]);
    assert!(matches!(request, Request::Change { standing, .. } if standing == empty));
    let alone = answer(&mut holder, &again, Answer::Done(Revision(3)), 1_510);
    assert!(alone.contains(&Action::GoOnAlone(1)), "{alone:?}");
}

#[test]
fn nobody_goes_on_alone_while_a_change_is_on_its_way_that_adds_the_target() {
    let mut holder = holding(place(true, false), &standing(ME, &[]));
    let add = holder.handle(Event::Place(place(true, true)), 1_100);
    holder.handle(Event::Place(place(true, false)), 1_200);
    let wants = holder.handle(Event::WantsAlone(1), 1_300);
    assert!(!wants.contains(&Action::GoOnAlone(1)), "{wants:?}");
    // It has got there: the target is taken out first.
    let added = answer(&mut holder, &add, Answer::Done(Revision(3)), 1_400);
    assert!(!added.contains(&Action::GoOnAlone(1)), "{added:?}");
    let alone = answer(&mut holder, &added, Answer::Done(Revision(4)), 1_500);
    assert!(alone.contains(&Action::GoOnAlone(1)), "{alone:?}");
}

#[test]
fn a_target_takes_the_place_only_if_it_is_free_and_it_has_everything() {
    let watches = |answers: Answer| {
        let mut holder = Holder::new(ME, Place::target(), settings(), 0);
        let look = holder.handle(Event::MayPromote(true), 10);
        let next = answer(&mut holder, &look, answers, 20);
        (holder, next)
    };
    let (holder, next) = watches(seen(Some((PEER, LEASE)), Some(standing(PEER, &[ME]))));
    assert_eq!(next, []);
    assert_eq!(holder.wake_at(), Some(520), "it looks again");
    assert_eq!(watches(seen(None, Some(standing(PEER, &[])))).1, []);
    assert_eq!(watches(seen(None, None)).1, []);
    let (mut holder, grant) = watches(seen(None, Some(standing(PEER, &[ME]))));
    let take = answer(&mut holder, &grant, Answer::Granted(LEASE, 5_000), 30);
    let Request::Take {
        standing: taken, ..
    } = asked(&take).1
    else {
        panic!("{take:?}");
    };
    // Until it is the source, the other one has everything as well.
    assert_eq!(taken, standing(ME, &[PEER]));
    let strip = answer(&mut holder, &take, Answer::Done(Revision(2)), 40);
    let empty = standing(ME, &[]);
    assert!(matches!(asked(&strip).1, Request::Change { standing, .. } if standing == empty));
    let promote = answer(&mut holder, &strip, Answer::Done(Revision(3)), 50);
    assert_eq!(promote, [Action::Promote]);
    let serves = holder.handle(Event::Place(place(false, false)), 60);
    assert!(
        matches!(serves.first(), Some(Action::Open { .. })),
        "{serves:?}"
    );
}

#[test]
fn a_target_that_is_not_promoted_lets_the_place_go() {
    let mut holder = Holder::new(ME, Place::target(), settings(), 0);
    let look = holder.handle(Event::MayPromote(true), 10);
    let grant = answer(
        &mut holder,
        &look,
        seen(None, Some(standing(PEER, &[ME]))),
        10,
    );
    let take = answer(&mut holder, &grant, Answer::Granted(LEASE, 5_000), 10);
    let strip = answer(&mut holder, &take, Answer::Done(Revision(2)), 10);
    answer(&mut holder, &strip, Answer::Done(Revision(3)), 10);
    let back = holder.handle(Event::NotPromoted, 20);
    let both = standing(ME, &[PEER]);
    assert!(matches!(asked(&back).1, Request::Change { standing, .. } if standing == both));
    let revoke = answer(&mut holder, &back, Answer::Done(Revision(4)), 30);
    assert_eq!(asked(&revoke).1, Request::Revoke(LEASE));
}

#[test]
fn a_source_that_was_overtaken_says_so_and_serves_nobody_unless_it_is_forced_to() {
    let mut holder = Holder::new(ME, place(false, false), settings(), 0);
    let look = holder.handle(Event::Tick, 10);
    let told = answer(
        &mut holder,
        &look,
        seen(None, Some(standing(PEER, &[]))),
        20,
    );
    assert_eq!(told, [Action::Report(Report::NotEligible(PEER))]);
    let look = holder.handle(Event::Forced, 600);
    let grant = answer(
        &mut holder,
        &look,
        seen(None, Some(standing(PEER, &[]))),
        610,
    );
    assert!(matches!(asked(&grant).1, Request::Grant { .. }));
    let mut other = Holder::new(ME, place(false, false), settings(), 0);
    let look = other.handle(Event::Forced, 10);
    let held = seen(Some((PEER, LEASE)), Some(standing(PEER, &[])));
    let told = answer(&mut other, &look, held, 20);
    assert_eq!(
        told,
        [Action::Report(Report::HeldBy(PEER))],
        "not even then"
    );
}

#[test]
fn who_hands_over_lets_the_place_go_at_once() {
    let mut holder = holding(place(true, true), &standing(ME, &[PEER]));
    assert!(holder.is_eligible(PEER));
    let resigned = holder.handle(Event::Place(Place::target()), 2_000);
    assert_eq!(resigned.first(), Some(&Action::Close));
    let look = asked(&resigned);
    assert_eq!(look.1, Request::Look);
    let revoke = answer(
        &mut holder,
        &resigned,
        seen(Some((ME, LEASE)), Some(standing(ME, &[PEER]))),
        2_010,
    );
    assert_eq!(asked(&revoke).1, Request::Revoke(LEASE));
}
