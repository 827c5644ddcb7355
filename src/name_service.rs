//! Looking up hosts and users in binaries that are linked statically.
//!
//! musl reads `/etc/hosts`, `/etc/resolv.conf` and `/etc/passwd`, and so do we with it. glibc asks `/etc/nsswitch.conf` and
//! loads plugins from there, which were made for another glibc than the one inside a static binary as soon as the system
//! has been upgraded. Files and DNS are built in: those are used, and nothing is loaded.

/// To be called before the first lookup.
#[cfg(static_glibc)]
#[expect(unsafe_code, reason = "a function of the C library")]
pub(crate) fn use_built_in_sources() {
    use std::ffi::{CStr, c_char, c_int};
    unsafe extern "C" {
        /// `nss.h`: replaces what `nsswitch.conf` says of one database.
        fn __nss_configure_lookup(database: *const c_char, sources: *const c_char) -> c_int;
    }
    let sources: [(&CStr, &CStr); 2] = [(c"hosts", c"files dns"), (c"passwd", c"files")];
    for (database, sources) in sources {
        // SAFETY: both are NUL-terminated and live for ever; glibc copies what it keeps. Should it refuse, lookups are as
        // they were.
        unsafe { __nss_configure_lookup(database.as_ptr(), sources.as_ptr()) };
    }
}

/// A C library that is loaded brings its own plugins, and musl has none.
#[cfg(not(static_glibc))]
pub(crate) fn use_built_in_sources() {}
