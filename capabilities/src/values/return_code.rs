//! What a method returns. What each code means here is said in the crate's documentation.

use super::map::value_map;

value_map! {
    /// The return codes that the capability methods share.
    ReturnCode, "return code" {
        /// There is something to offer.
        Success = 0 "Success",
        /// Not possible for this element or pair, and waiting doesn't change that.
        NotSupported = 1 "Not Supported",
        /// The state can't be known at the moment.
        Unknown = 2 "Unknown",
        /// A peer that it hinges on has not answered in time.
        Timeout = 3 "Timeout",
        /// Something is broken.
        Failed = 4 "Failed",
        /// The request has to be put right.
        InvalidParameter = 5 "Invalid Parameter",
        /// Possible, but not now.
        InUse = 6 "In Use",
        /// The information isn't there. Of GetSupportedMaximum and the methods about settings only.
        NotAvailable = 7 "Not Available",
    }
}
