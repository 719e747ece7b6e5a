//! What can go wrong with the simulation itself. Faults that it plays to its clients are in `fault.rs`.

/// Why the simulation did not start or an incident could not happen.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A socket or the thread could not be had.
    #[error("the simulated cluster cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The self-signed certificate could not be made.
    #[error("the simulated cluster's certificate: {0}")]
    Certificate(String),
    /// The configuration contradicts itself.
    #[error("the simulated cluster's configuration: {0}")]
    Config(String),
    /// An incident names something that is not there.
    #[error("no {kind} \"{name}\" in the simulated cluster; there is {known}")]
    Unknown {
        /// guest, node, storage, …
        kind: &'static str,
        /// What was named.
        name: String,
        /// Some of what there is.
        known: String,
    },
    /// An incident cannot happen to that object as it is now.
    #[error("{0}")]
    Impossible(String),
}
