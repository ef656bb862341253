//! The ground floor: what every other floor may use. Nothing here knows of records, files or HTTP.

pub mod background;
pub mod clock;
pub mod config;
pub mod date;
pub mod error;
pub mod id;
pub mod limits;
pub mod text;

pub use background::{Unhurried, background, not_kept};
pub use clock::{Clock, Moment};
pub use date::Day;
pub use error::{Error, Kind as ErrorKind, Result};
pub use id::{RecordId, Seq};
