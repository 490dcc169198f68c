//! `tidelock clone ...`.

use tidelock_admin::v1;

use crate::args::{CloneVerb, FullArgs};
use crate::exit::CliError;
use crate::run::{Context, job};
use crate::show;
use crate::size::format_size;

pub(super) async fn run(verb: CloneVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        CloneVerb::Create {
            source,
            name,
            linked,
            full: FullArgs { full, rate },
            wait,
        } => {
            let request = v1::CreateClone {
                source,
                name,
                linked,
                full,
                bytes_per_second: rate,
            };
            create(&request, wait, context).await
        }
        CloneVerb::List => {
            let list = context.client.clones().await?;
            context.print(&list, |list| show::clones(&list.clones))
        }
        CloneVerb::Show { name } => {
            let clone = context.client.clone_of(&name).await?;
            context.print(&clone, show::clone)
        }
        CloneVerb::Split { name, rate, wait } => {
            let request = v1::SplitClone {
                bytes_per_second: rate,
            };
            let clone = context.client.split_clone(&name, &request).await?;
            match clone.job.filter(|_| wait) {
                Some(id) => job::watch(id, context).await,
                None => context.print(&clone, show::hydrating),
            }
        }
        CloneVerb::Detach { name } => {
            let volume = context.client.detach_clone(&name).await?;
            context.print(&volume, |volume| {
                format!("volume {} is no clone any more\n", volume.name)
            })
        }
        CloneVerb::Promote { name } => {
            let volume = context.client.promote_clone(&name).await?;
            context.print(&volume, show::promoted)
        }
    }
}

async fn create(
    request: &v1::CreateClone,
    wait: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let volume = context.client.create_clone(request).await?;
    // A small one may be none any more.
    let clone = match request.full {
        true => context.client.clone_of(&volume.name).await.ok(),
        false => None,
    };
    let job = clone.as_ref().and_then(|clone| clone.job);
    if let Some(id) = job.filter(|_| wait) {
        return job::watch(id, context).await;
    }
    context.print(&volume, |volume| {
        let size = format_size(volume.size_bytes);
        let created = format!(
            "clone {} of {} created: {size}\n",
            volume.name, request.source
        );
        created + &clone.as_ref().map(show::hydrating).unwrap_or_default()
    })
}
