//! What a resync may copy and didn't isn't the next one's.

use tempfile::TempDir;

use super::in_step::{Pair, file};
use crate::engine::EngineKind;

#[test]
fn nothing_is_left_to_be_copied_when_a_resync_has_ended() {
    let folder = TempDir::new().unwrap();
    let volumes = ["one", "other"].map(|name| file(folder.path(), name, false).unwrap());
    let pair = Pair::new(EngineKind::ThreadPool, volumes);
    for _ in 0..10 {
        pair.meet();
        for house in &pair.houses {
            assert_eq!(house.end.copy_budget(), 0);
        }
        pair.link.cut();
    }
}
