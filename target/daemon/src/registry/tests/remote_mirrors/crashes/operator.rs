//! An operator who looks at what `mirror show` says at both daemons, and does what it names, until all is well.

use std::time::Instant;

use tidelock_admin::v1;

use super::super::*;

/// For so long nothing has to change before what needn't be done is done: much goes on by itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// What takes longer than that never comes.
const LIMIT: Duration = Duration::from_secs(45);

/// How a mirror that is left alone may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Both volumes are equal, and hosts use one of them.
    InStep,
    /// It may be none as well, at both.
    InStepOrNone,
}

/// What was done, in order.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) commands: Vec<String>,
    /// What was shown, and when.
    pub(super) shown: Vec<(Duration, Gist)>,
    /// Something was dropped that was acknowledged, as was said.
    pub(super) drops: bool,
}

impl Done {
    /// What was done afterwards.
    pub(super) fn add(&mut self, more: Self) {
        self.commands.extend(more.commands);
        self.shown.extend(more.shown);
        self.drops |= more.drops;
    }
}

/// State, detail and next command at each.
type Gist = Vec<(String, String, String)>;

/// What the two show.
type Views = [Option<v1::Mirror>; 2];

fn views(a: &Daemon, b: &Daemon) -> Views {
    [(a, "a"), (b, "copy")].map(|(daemon, name)| daemon.house.registry().mirror(name).ok())
}

/// Hosts see one disk in one place at most.
pub(super) fn check_one_serves(a: &Daemon, b: &Daemon) {
    let shown = [(a, "a"), (b, "copy")].map(|(daemon, name)| {
        let registry = daemon.house.registry();
        let identity = registry.shown_identity(&volume(name)).ok()?;
        (daemon.seen(name) == Shown::ActiveOptimized).then_some(identity)
    });
    if let [Some(one), Some(other)] = shown {
        assert_ne!(one, other, "hosts use one disk at both: {:#?}", views(a, b));
    }
}

/// Whether the end that shows this is the source.
fn is_source(view: Option<&v1::Mirror>) -> bool {
    let ends = view.into_iter().flat_map(|it| [&it.source, &it.target]);
    let mut own = ends.filter(|it| !it.volume.contains(':'));
    own.any(|it| it.role.as_deref() == Some("source"))
}

fn is_in_step(views: &Views) -> bool {
    let well = |it: &v1::Mirror| {
        let lags = it.asynchronous.as_ref();
        it.copy_state == "Synchronized" && (lags.is_some() || it.percent_synced == Some(100))
    };
    let [Some(one), Some(other)] = views else {
        return false;
    };
    well(one) && well(other) && one.mode == other.mode && one.next.is_none()
}

fn is_over(views: &Views, ends: Ends) -> bool {
    match views {
        [None, None] => ends == Ends::InStepOrNone,
        both => is_in_step(both),
    }
}

/// Nothing happens in these by itself.
fn rests(view: &v1::Mirror) -> bool {
    match view.copy_state.as_str() {
        "Fractured" | "Suspended" | "Split" => true,
        "Failedover" => view.percent_synced == Some(100),
        _ => false,
    }
}

/// What has to be otherwise before something has happened.
fn gist(views: &Views) -> Gist {
    let all = views.iter().flatten();
    all.map(|it| {
        let next = it.next.as_ref().map(|it| it.command.clone());
        let next = next.unwrap_or_default();
        (it.copy_state.clone(), it.detail.clone(), next)
    })
    .collect()
}

/// Does what is said until all is well, and nobody does anything any more.
pub(super) async fn lead(
    (a, b): (&Daemon, &Daemon),
    acts: impl Fn() -> bool,
    may_end: Ends,
) -> Done {
    let (begun, mut since) = (Instant::now(), Instant::now());
    let (mut done, mut known) = (Done::default(), Vec::new());
    loop {
        check_one_serves(a, b);
        // What is still being done may change it.
        let is_quiet = !acts();
        let views = views(a, b);
        if is_quiet && is_over(&views, may_end) {
            return done;
        }
        let now = gist(&views);
        if now != known {
            done.shown.push((begun.elapsed(), now.clone()));
            (known, since) = (now, Instant::now());
        }
        let ends = [(a, &views[0], &views[1]), (b, &views[1], &views[0])];
        let mut next = ends.into_iter().filter_map(|(daemon, view, other)| {
            let next = view.as_ref()?.next.as_ref()?;
            let is_wanted = match next.command.contains("detach") {
                // It says that this is for who wants to have two volumes.
                true => may_end == Ends::InStepOrNone,
                // It says that the other one must not be the source then.
                false => !next.command.contains("--force") || !is_source(other.as_ref()),
            };
            is_wanted.then_some((daemon, next))
        });
        let is_time = since.elapsed() > PATIENCE || views.iter().flatten().any(rests);
        if let Some((daemon, next)) = next.next().filter(|_| is_time) {
            let came = follow(daemon, &next.command).await;
            done.drops |= next.command.contains("--discard") || next.command.contains("failover");
            done.commands
                .push(format!("{}# {}: {came:?}", daemon.called, next.command));
            since = Instant::now();
        }
        assert!(
            begun.elapsed() < LIMIT,
            "it comes to no end: {done:#?}\n{:#?}",
            views
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Types a command.
async fn follow(daemon: &Daemon, command: &str) -> Result<(), String> {
    let words: Vec<_> = command.split(' ').collect();
    let ["tidelock", "mirror", what, mirror, options @ ..] = words.as_slice() else {
        panic!("nobody can do that here: {command}");
    };
    let force = options.contains(&"--force");
    let discard = options.iter().skip_while(|it| **it != "--discard").nth(1);
    let operation = match *what {
        "detach" => {
            let detached = daemon.detach(mirror, force).await;
            return detached.map_err(|error| error.to_string());
        }
        "failback" => Operation::Failback,
        "failover" => Operation::Failover,
        "fracture" => Operation::Fracture,
        "resume" => Operation::Resume,
        "resync" => Operation::ResyncReplica,
        _ => panic!("nobody can do that here: {command}"),
    };
    let change = MirrorChange {
        mirror: (*mirror).to_owned(),
        operation,
        force,
        discard: discard.map(|it| it.parse().unwrap()),
    };
    let changed = daemon.house.registry().modify_mirror(change).await;
    changed.map(drop).map_err(|error| error.to_string())
}
