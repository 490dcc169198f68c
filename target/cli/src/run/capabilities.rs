//! `tidelock capabilities ...`.

use std::time::Duration;

use tidelock_admin::v1::Capabilities;

use crate::args::{CapabilitiesArgs, CapabilitiesVerb};
use crate::exit::CliError;
use crate::run::Context;
use crate::show;

/// "Invalid Parameter".
const INVALID_PARAMETER: u16 = 5;
/// From one question to the next.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(verb: CapabilitiesVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    let CapabilitiesVerb::Show(args) = verb;
    let mut last = None;
    loop {
        let told = ask(&args, context).await?;
        // The number of the state alone is no news.
        let news = Capabilities {
            generation: 0,
            ..told.clone()
        };
        // What is wrong is said once: as JSON, or by the error.
        let is_told = context.json || args.watch || told.return_code != INVALID_PARAMETER;
        if last.as_ref() != Some(&news) && is_told {
            context.print(&told, |told| show::capabilities(told, args.explain))?;
            last = Some(news);
        }
        if !args.watch {
            return check(told);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A script must notice that it has asked about nothing.
fn check(told: Capabilities) -> Result<(), CliError> {
    if told.return_code != INVALID_PARAMETER {
        return Ok(());
    }
    Err(CliError::NoElement {
        element: told.element,
        problem: told.problem,
    })
}

async fn ask(args: &CapabilitiesArgs, context: &Context<'_>) -> Result<Capabilities, CliError> {
    let (other, via) = (args.other.as_deref(), args.via.as_deref());
    let method = args.method.number();
    let asked = context
        .client
        .capabilities(&args.element, other, via, method);
    Ok(asked.await?)
}
