//! The shell that runs volume plans on block files.
