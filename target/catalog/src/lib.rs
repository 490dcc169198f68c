//! What the daemon was told to keep: volumes, targets, LUN maps, access lists. Pure document and rules; knows no files.
