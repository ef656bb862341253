//! placeholder
use super::Emit;
use crate::base::Result;
pub(super) fn read(_bytes: &[u8], _emit: Emit<'_>) -> Result<()> { Ok(()) }
