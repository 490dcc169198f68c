//! The command line of peers.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

/// What can be done with peers.
#[derive(Clone, Debug, Subcommand)]
pub enum PeerVerb {
    /// Exchange identities with another daemon and trust it.
    ///
    /// The other daemon has to trust this one as well: by `peer accept` there, or by a `peer add` of its own. Compare the
    /// fingerprints that both sides show, or give the other daemon's with --fingerprint: then nobody can be in
    /// between.
    Add {
        /// What to call it: letters, digits, '.', '_' and '-', at most 64.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Where it listens for peers (its --peer-portal): an address or a domain name [port: 3261].
        #[arg(value_name = "ADDRESS[:PORT]", value_parser = NonEmptyStringValueParser::new())]
        address: String,
        /// The fingerprint that it must have, as `tidelock status` shows it there.
        #[arg(long, value_name = "SHA256:...", value_parser = NonEmptyStringValueParser::new())]
        fingerprint: Option<String>,
    },
    /// Trust a daemon that asks to be a peer, as `peer list` shows it.
    Accept {
        /// What it calls itself, or its fingerprint.
        #[arg(value_name = "NAME|FINGERPRINT", value_parser = NonEmptyStringValueParser::new())]
        request: String,
        /// What to call it [default: what it calls itself].
        #[arg(long = "as", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        /// Where it is [default: where it says that it is].
        #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = NonEmptyStringValueParser::new())]
        address: Option<String>,
    },
    /// List all peers, and who asks to be one.
    List,
    /// Show one peer; without a name, who this daemon is to its peers.
    Show {
        /// The peer's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
    },
    /// Look for a peer elsewhere.
    Set {
        /// The peer's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Where it listens for peers [port: 3261].
        #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = NonEmptyStringValueParser::new())]
        address: String,
    },
    /// Trust a peer no longer; its connections end. Refused while mirrors depend on it.
    Remove {
        /// The peer's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}
