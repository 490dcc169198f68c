//! Block files and the engines that do I/O on them.
