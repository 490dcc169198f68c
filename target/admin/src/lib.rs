//! Admin API: versioned types, OpenAPI, and a client over the Unix socket.
