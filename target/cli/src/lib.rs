//! The command line over the admin client.
