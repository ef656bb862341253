//! Threads for work that nobody waits for: imports, the index, backups. They get out of the way of pages and saves.

use std::io;
use std::thread::{Builder, JoinHandle};

use rustix::process::setpriority_process;

/// How far such a thread steps back, as `nice` counts it.
const NICE: i32 = 5;

/// Starts a thread that steps back for others; so do the threads that it starts.
///
/// # Errors
/// When the system has no thread left.
pub fn background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.into()).spawn(move || {
        // On Linux this is the calling thread alone. Where it is not allowed the work is done all the same.
        let _unheard = setpriority_process(None, NICE);
        work()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn background_work_steps_back_and_nobody_else_does() {
        let before = getpriority_process(None).unwrap();
        let inside = background("test", || getpriority_process(None).unwrap()).unwrap().join().unwrap();
        assert_eq!(inside, before.max(NICE));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
