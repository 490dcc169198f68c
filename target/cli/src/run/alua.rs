//! `tidelock alua ...`.

use tidelock_admin::v1;

use crate::args::{AccessState, AluaVerb};
use crate::exit::CliError;
use crate::run::Context;
use crate::show;

pub(super) async fn run(verb: AluaVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        AluaVerb::Show { volume } => {
            let access = context.client.asymmetric_access(&volume).await?;
            context.print(&access, show::asymmetric_access)
        }
        AluaVerb::Set {
            volume,
            group,
            state,
            preferred,
        } => {
            let request = v1::SetGroupAccess {
                state: state.map(in_api),
                preferred,
            };
            let client = &context.client;
            let access = client
                .set_asymmetric_access(&volume, group, &request)
                .await?;
            context.print(&access, show::asymmetric_access)
        }
    }
}

fn in_api(state: AccessState) -> v1::AccessState {
    match state {
        AccessState::ActiveOptimized => v1::AccessState::ActiveOptimized,
        AccessState::ActiveNonOptimized => v1::AccessState::ActiveNonOptimized,
        AccessState::Standby => v1::AccessState::Standby,
        AccessState::Unavailable => v1::AccessState::Unavailable,
    }
}
