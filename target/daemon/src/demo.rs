//! The demonstration: one target with one thin LUN, made at the first start and found again later,
//! and the lines to paste. Uses the same control as an operator does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The demonstration's target.
pub const TARGET: &str = "iqn.2026-11.io.tidelock:demo";
/// The demonstration's volume.
pub const VOLUME: &str = "demo";
/// Its size in bytes.
pub const SIZE: u64 = 1 << 30;

/// Prints how to reach the demonstration, ready to paste.
pub fn announce(portals: &[SocketAddr], admin_socket: &Path) {
    let Some(portal) = portals.first() else {
        return;
    };
    let text = announcement(*portal, admin_socket);
    // Nobody reads it, then: the daemon serves all the same.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn announcement(portal: SocketAddr, admin_socket: &Path) -> String {
    let mut text = String::new();
    let socket = admin_socket.display();
    // Writing to a string doesn't fail.
    let _ = write!(
        text,
        "\n\
         Tidelock serves a demonstration LUN of 1 GiB:\n\
         \n\
         \x20 target  {TARGET}, LUN 0\n\
         \x20 portal  {portal}\n\
         \x20 admin   {socket}\n\
         \n\
         Linux (open-iscsi):\n\
         \x20 iscsiadm -m discovery -t sendtargets -p {portal}\n\
         \x20 iscsiadm -m node -T {TARGET} -p {portal} --login\n\
         libiscsi:\n\
         \x20 iscsi-ls -s iscsi://{portal}/\n\
         QEMU:\n\
         \x20 qemu-img info iscsi://{portal}/{TARGET}/0\n\
         Command line:\n\
         \x20 cargo run --release --bin tidelock -- --socket {socket} status\n\
         \n\
         Stop it with Ctrl-C; the data stays in {folder}.\n",
        folder = admin_socket.parent().unwrap_or(admin_socket).display(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_has_a_line_to_paste_for_each_initiator() {
        let text = announcement("127.0.0.1:3261".parse().unwrap(), Path::new("d/admin.sock"));
        for line in [
            "  iscsiadm -m discovery -t sendtargets -p 127.0.0.1:3261\n",
            "  iscsiadm -m node -T iqn.2026-11.io.tidelock:demo -p 127.0.0.1:3261 --login\n",
            "  iscsi-ls -s iscsi://127.0.0.1:3261/\n",
            "  qemu-img info iscsi://127.0.0.1:3261/iqn.2026-11.io.tidelock:demo/0\n",
            "  admin   d/admin.sock\n",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}
