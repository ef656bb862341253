//! The thread of a standby: it looks at the target every few seconds, fetches attachments in between, and says when the
//! data of the server has to change places with newer data.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::standby::{Look, Standby};
use crate::app::App;
use crate::base::{Clock, Error, ErrorKind, Result, background, limits};

/// Something that a server has to close its data for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A newer store lies in this folder and takes the place.
    Renewed(PathBuf),
    /// The epoch rose: the store is opened anew.
    Reopened,
}

/// The thread; dropping this ends it, after the step it is at.
pub struct Thread {
    _stop: Sender<()>,
    ended: Receiver<()>,
}

impl Thread {
    /// Starts to follow; `tell` hears of the one event after which the thread ends by itself.
    pub fn start(
        app: &Arc<App>,
        standby: &Arc<Standby>,
        clock: Arc<dyn Clock>,
        tell: impl Fn(Event) + Send + 'static,
    ) -> Result<Self> {
        let (app, standby) = (Arc::clone(app), Arc::clone(standby));
        let ((stop, stopped), (done, ended)) = (channel(), channel());
        background("standby", move || {
            let event = follow(&app, &standby, &clock, &stopped);
            drop((app, standby));
            event.into_iter().for_each(tell);
            // Whoever waited may have given up.
            let _gone = done.send(());
        })?;
        Ok(Self { _stop: stop, ended })
    }

    /// Ends it, and waits for that.
    pub fn end(self) {
        let Self { _stop, ended } = self;
        drop(_stop);
        let _ended = ended.recv_timeout(Duration::from_secs(limits::STANDBY_CHANGE_S));
    }
}

fn follow(app: &App, standby: &Standby, clock: &Arc<dyn Clock>, stopped: &Receiver<()>) -> Option<Event> {
    let mut said = None;
    let mut pause = Duration::from_secs(limits::STANDBY_LOOK_S);
    loop {
        // The engine panics on some damaged files; the thread outlives that.
        let step = catch_unwind(AssertUnwindSafe(|| step(app, standby, clock)));
        let error = match step.unwrap_or_else(|_| Err(Error::internal("the follower panicked"))) {
            Ok(Some(event)) => return Some(event),
            Ok(None) => None,
            Err(e) => Some(e),
        };
        let longer = (pause * 2).min(Duration::from_secs(limits::STANDBY_CHANGE_S));
        pause = if error.is_some() { longer } else { Duration::from_secs(limits::STANDBY_LOOK_S) };
        if error != said {
            error.iter().for_each(|e| tracing::error!(detail = e.detail(), "following: {e}"));
            said = error;
        }
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return None;
        }
    }
}

fn step(app: &App, standby: &Standby, clock: &Arc<dyn Clock>) -> Result<Option<Event>> {
    match standby.look(app) {
        Ok(Look::Current) if standby.epoch_rose(app)? => Ok(Some(Event::Reopened)),
        Ok(Look::Current) => standby.fetch_files(app).map(|_| None),
        // A target that does not answer now says nothing against what is here.
        Err(e) if e.kind() != ErrorKind::Damaged => Err(e),
        looked => {
            // Whatever is wrong with the log: a newer set may be beyond it.
            if let Some(next) = standby.renew(app, Arc::clone(clock))? {
                return Ok(Some(Event::Renewed(next)));
            }
            looked.map(|_| None)
        }
    }
}
