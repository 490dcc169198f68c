//! `tidelock mirror ...`.

mod group;
mod looks;

use serde_json::json;
use tidelock_admin::v1::{self, MirrorOperation};

use crate::args::{
    Compression, Failover, MirrorCreate, MirrorName, MirrorOrGroup, MirrorVerb, Mode, OnFailure,
    Rate,
};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::{Context, job};
use crate::show;
use group::About;
use looks::Looks;

pub(super) async fn run(verb: MirrorVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        MirrorVerb::Create(wanted) => create(wanted, context).await,
        MirrorVerb::List => {
            let list = context.client.mirrors().await?;
            context.print(&list, |list| show::mirrors(&list.mirrors))
        }
        MirrorVerb::Show(about) => match group::about(about, context).await? {
            About::One(name) => {
                let mirror = context.client.mirror(&name).await?;
                context.print(&mirror, show::mirror)
            }
            About::Group(group) => group::show(&group, context).await,
        },
        MirrorVerb::Watch(MirrorName { name }) => watch(&name, context).await,
        MirrorVerb::Fracture { mirror, force, yes } => {
            let about = group::about(mirror, context).await?;
            fracture(&about, force, yes, context).await
        }
        MirrorVerb::Split(mirror) => modify(mirror, MirrorOperation::Split, context).await,
        MirrorVerb::Suspend(mirror) => modify(mirror, MirrorOperation::Suspend, context).await,
        MirrorVerb::Resume(mirror) => modify(mirror, MirrorOperation::Resume, context).await,
        MirrorVerb::Failback(mirror) => modify(mirror, MirrorOperation::Failback, context).await,
        MirrorVerb::ResetToSync(MirrorName { name }) => {
            operate(&About::One(name), MirrorOperation::ResetToSync, context).await
        }
        MirrorVerb::ResetToAsync(MirrorName { name }) => {
            operate(&About::One(name), MirrorOperation::ResetToAsync, context).await
        }
        MirrorVerb::SetFailover {
            mirror: MirrorName { name },
            failover,
            force,
            yes,
        } => set_failover(&name, failover, force, yes, context).await,
        MirrorVerb::Set {
            mirror: MirrorName { name },
            rpo,
            resync_limit,
            compression,
        } => set(&name, (rpo, resync_limit, compression), context).await,
        MirrorVerb::Reverse(mirror) => modify(mirror, MirrorOperation::Reverse, context).await,
        MirrorVerb::Resync {
            mirror,
            discard,
            yes,
        } => {
            let about = group::about(mirror, context).await?;
            resync(&about, discard, yes, context).await
        }
        MirrorVerb::Restore {
            mirror: MirrorName { name },
            force,
            yes,
        } => restore(&name, force, yes, context).await,
        MirrorVerb::Failover { mirror, force, yes } => match group::about(mirror, context).await? {
            About::One(name) => failover(&name, force, yes, context).await,
            About::Group(name) => group::failover(&name, force, yes, context).await,
        },
        MirrorVerb::Detach { mirror, force, yes } => match group::about(mirror, context).await? {
            About::One(name) => detach(&name, force, yes, context).await,
            About::Group(name) => group::detach(&name, force, yes, context).await,
        },
        MirrorVerb::Verify {
            mirror: MirrorName { name },
            background,
        } => verify(&name, background, context).await,
    }
}

async fn verify(name: &str, background: bool, context: &mut Context<'_>) -> Result<(), CliError> {
    let begun = context.client.verify_mirror(name).await?;
    if background {
        return context.print(&begun, show::job_line_begun);
    }
    job::watch(begun.id, context).await
}

async fn create(wanted: MirrorCreate, context: &mut Context<'_>) -> Result<(), CliError> {
    let named = MirrorOrGroup {
        name: wanted.source.clone(),
        group: wanted.group,
    };
    if let About::Group(group) = group::about(named, context).await? {
        return group::create(&group, wanted, context).await;
    }
    // A peer makes a new one.
    if !wanted.target.contains(':') {
        let what = format!("What volume {} has now is lost.", wanted.target);
        confirm(&what, wanted.yes, context.terminal)?;
    }
    let request = v1::CreateMirror {
        source: wanted.source,
        target: wanted.target,
        mode: mode(wanted.mode),
        rpo_ms: wanted.rpo.map(|seconds| seconds.saturating_mul(1_000)),
        on_failure: on_failure(wanted.on_failure),
        failover: who(wanted.failover),
        resync_limit: wanted.resync_limit.map(|rate| rate.0),
        compression: wanted.compression.map(how),
    };
    let mirror = context.client.create_mirror(&request).await?;
    if wanted.wait {
        return watch(&mirror.id, context).await;
    }
    context.print(&mirror, show::mirror_line)
}

async fn modify(
    named: MirrorOrGroup,
    operation: MirrorOperation,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let about = group::about(named, context).await?;
    operate(&about, operation, context).await
}

async fn operate(
    about: &About,
    operation: MirrorOperation,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let request = v1::ModifyMirror {
        operation,
        force: false,
        discard: None,
    };
    ask(about, &request, context).await
}

const fn how(compression: Compression) -> v1::MirrorCompression {
    match compression {
        Compression::None => v1::MirrorCompression::None,
        Compression::Zstd => v1::MirrorCompression::Zstd,
    }
}

async fn set(
    name: &str,
    (rpo, limit, compression): (Option<u64>, Option<Rate>, Option<Compression>),
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let request = v1::SetMirror {
        rpo_ms: rpo.map(|seconds| seconds.saturating_mul(1_000)),
        resync_limit: limit.map(|rate| rate.0),
        compression: compression.map(how),
    };
    let mirror = context.client.set_mirror(name, &request).await?;
    context.print(&mirror, show::mirror)
}

/// Asks for an operation, and shows what has come of it.
async fn ask(
    about: &About,
    request: &v1::ModifyMirror,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    match about {
        About::One(name) => {
            let mirror = context.client.modify_mirror(name, request).await?;
            context.print(&mirror, show::mirror_line)
        }
        About::Group(name) => group::operate(name, request, context).await,
    }
}

const fn mode(mode: Mode) -> v1::MirrorMode {
    match mode {
        Mode::Sync => v1::MirrorMode::Synchronous,
        Mode::Async => v1::MirrorMode::Asynchronous,
    }
}

const fn on_failure(on_failure: OnFailure) -> v1::OnFailure {
    match on_failure {
        OnFailure::Continue => v1::OnFailure::Continue,
        OnFailure::Halt => v1::OnFailure::Halt,
    }
}

const fn who(failover: Failover) -> v1::MirrorFailover {
    match failover {
        Failover::Manual => v1::MirrorFailover::Manual,
        Failover::Automatic => v1::MirrorFailover::Automatic,
    }
}

async fn set_failover(
    name: &str,
    failover: Failover,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if force && failover == Failover::Manual {
        let what = "If the other end can't be told it may still take over by itself. If hosts use both ends then, the changes of \
                    one of the two are lost.";
        confirm(what, yes, context.terminal)?;
    }
    let request = v1::SetMirrorFailover {
        failover: who(failover),
        force,
    };
    let set = context.client.set_mirror_failover(name, &request).await?;
    context.print(&set, show::mirror_failover)
}

async fn fracture(
    about: &About,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if force {
        let what = "Hosts go on with the source. If they use the other end as well, because that has taken over, the changes \
                    of one of the two are lost.";
        confirm(what, yes, context.terminal)?;
    }
    let request = v1::ModifyMirror {
        operation: MirrorOperation::Fracture,
        force,
        discard: None,
    };
    ask(about, &request, context).await
}

async fn resync(
    about: &About,
    discard: Option<String>,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if let Some(volume) = &discard {
        let what = format!(
            "What was changed in volume {volume} since the two volumes were equal is lost."
        );
        confirm(&what, yes, context.terminal)?;
    }
    let request = v1::ModifyMirror {
        operation: MirrorOperation::Resync,
        force: false,
        discard,
    };
    ask(about, &request, context).await
}

async fn restore(
    name: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let mirror = context.client.mirror(name).await?;
    let (source, target) = (&mirror.source.volume, &mirror.target.volume);
    let what = format!(
        "Volume {source} gets what {target} has. What {source} has now is kept as a snapshot of it."
    );
    confirm(&what, yes, context.terminal)?;
    let request = v1::ModifyMirror {
        operation: MirrorOperation::Restore,
        force,
        discard: None,
    };
    let mirror = context.client.modify_mirror(name, &request).await?;
    context.print(&mirror, show::mirror_line)
}

async fn failover(
    name: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let mirror = context.client.mirror(name).await?;
    let (source, target) = (&mirror.source.volume, &mirror.target.volume);
    let mut what =
        format!("Hosts can't write volume {source} any more, and can write volume {target}.");
    if let Some(lag) = &mirror.asynchronous {
        what.push_str(&lost(lag, source));
    } else if mirror.percent_synced != Some(100) {
        what.push_str(&format!(
            " They aren't equal at the moment: hosts don't see what {source} alone has."
        ));
    }
    confirm(&what, yes, context.terminal)?;
    let request = v1::ModifyMirror {
        operation: MirrorOperation::Failover,
        force,
        discard: None,
    };
    let mirror = context.client.modify_mirror(name, &request).await?;
    context.print(&mirror, show::mirror_line)
}

/// What a failover of an asynchronous mirror loses.
fn lost(lag: &v1::MirrorLag, source: &str) -> String {
    let since = lag.cut_at.as_ref().map_or_else(
        || "nobody knows what it has alone".to_owned(),
        |at| format!("at most what it has alone since {at}"),
    );
    format!(
        " While the two are connected the other one gets all first, and nothing is lost; if {source} is gone, that is {since}."
    )
}

async fn detach(
    name: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let mirror = context.client.mirror(name).await?;
    let (source, target) = (&mirror.source.volume, &mirror.target.volume);
    let what =
        format!("Volumes {source} and {target} aren't kept equal any more; hosts can write both.");
    confirm(&what, yes, context.terminal)?;
    context.client.detach_mirror(name, force).await?;
    let detached = json!({"detached": [source, target]});
    context.print(&detached, |_| {
        format!("volumes {source} and {target} are independent\n")
    })
}

/// Shows each change, until both volumes are equal.
async fn watch(name: &str, context: &mut Context<'_>) -> Result<(), CliError> {
    let mut shown = None;
    let mut looks = Looks::default();
    loop {
        let mirror = context.client.mirror(name).await?;
        let is_following = matches!(&*mirror.copy_state, "Synchronized" | "Failedover");
        // An asynchronous target is never equal for long: it has got a cut.
        let has_cut = mirror.asynchronous.as_ref();
        let has_cut = has_cut.is_some_and(|it| it.cut_at.is_some());
        let is_equal = mirror.behind_seconds == 0 && mirror.percent_synced == Some(100);
        // What a person sees changes with the seconds; only what has happened is worth another line.
        let seen = v1::Mirror {
            behind_seconds: 0,
            asynchronous: None,
            ..mirror
        };
        if shown.as_ref() != Some(&seen) {
            context.print(&seen, show::mirror_line)?;
        }
        if is_following && (is_equal || has_cut) {
            return Ok(());
        }
        let pause = looks.next(seen.left_bytes);
        shown = Some(seen);
        tokio::time::sleep(pause).await;
    }
}
