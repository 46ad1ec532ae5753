//! Certificates and their profiles: a root, and the kinds that it issues directly.

mod account;
mod device;
mod error;
mod host;
mod log;
mod reading;
mod root;
mod server;
#[cfg(test)]
pub(crate) mod tests;

pub use account::AccountCertificate;
pub use device::{DeviceCertificate, device_id};
pub use error::CertificateError;
pub use host::{Host, HostError};
pub use log::LogCertificate;
pub use reading::CERTIFICATE_BYTES;
pub use root::RootCertificate;
pub use server::ServerCertificate;
