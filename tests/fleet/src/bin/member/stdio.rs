//! The lines to and from the test.

use std::io::{self, BufRead, Write};

use fleet::{Command, Event};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tower_auth_refresh::session::{self, Events};

/// What the standard input tells. When it ends, whoever started this process is gone, and so is the process: read on a
/// thread of its own, so that this works whatever the runtime is at.
pub(crate) fn commands() -> UnboundedReceiver<Command> {
    let (sender, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            // The receiver is gone only when the process ends.
            let _ = sender.send(line.parse().expect("a command"));
        }
        std::process::exit(0);
    });
    commands
}

/// Says it. Where nobody listens, the process ends.
pub(crate) fn say(event: &Event) {
    if writeln!(io::stdout(), "{event}").is_err() {
        std::process::exit(0);
    }
}

/// Says which token sets come into place.
pub(crate) async fn follow(mut events: Events) {
    while let Some(event) = events.recv().await {
        if let session::Event::TokenChanged { generation } = event {
            say(&Event::Generation(generation.get()));
        }
    }
}
