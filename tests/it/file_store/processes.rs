//! Other processes on the same file, and what they leave when they are killed.

use std::{
    env,
    io::{BufRead, BufReader, Lines},
    process::{self, ChildStderr, Command, Stdio},
};

use super::*;

/// Tells a test that it is the other process, and on which file.
const OTHER: &str = "FILE_STORE_OTHER_PROCESS";

/// One test of this binary in a process of its own. It says what it does on its standard error.
pub(super) struct Other {
    process: process::Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Other {
    pub(super) fn run(test: &str, folder: &Folder, command: Command) -> Self {
        let mut command = command;
        command.args(["--exact", &format!("file_store::{test}"), "--nocapture"]).env(OTHER, folder.path(FILE));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What it says next; none when it has ended.
    pub(super) fn says(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same program.
pub(super) fn this_program() -> Command {
    Command::new(env::current_exe().unwrap())
}

/// The store of the other process, in the other process.
pub(super) fn here() -> Option<FileStore> {
    env::var_os(OTHER).map(FileStore::new)
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn hold(store: &FileStore) -> ! {
    let lease = block_on(leased(store));
    eprintln!("held {}", lease.fence());
    loop {
        std::thread::park();
    }
}

/// The number of the lease that the other process holds.
fn held_by(other: &mut Other) -> FencingToken {
    let line = other.says().unwrap();
    FencingToken::from(line.strip_prefix("held ").expect(&line).parse::<u64>().unwrap())
}

#[test]
fn a_killed_holders_lease_is_gone_with_it() {
    if let Some(store) = here() {
        hold(&store);
    }
    let (folder, store) = scene();
    let mut other = Other::run("processes::a_killed_holders_lease_is_gone_with_it", &folder, this_program());
    let fence = held_by(&mut other);
    assert!(block_on(is_held(&store)));
    drop(other);
    assert!(block_on(leased(&store)).fence() > fence);
}

#[test]
fn a_stopped_holders_lease_is_not_gone() {
    if let Some(store) = here() {
        hold(&store);
    }
    let (folder, store) = scene();
    let mut other = Other::run("processes::a_stopped_holders_lease_is_not_gone", &folder, this_program());
    held_by(&mut other);
    other.signal("-STOP");
    assert!(block_on(is_held(&store)));
    other.signal("-CONT");
    assert!(block_on(is_held(&store)));
    drop(other);
    block_on(leased(&store));
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_set_or_the_new_one() {
    if let Some(store) = here() {
        block_on(write_for_ever(&store));
    }
    let (folder, store) = scene();
    for round in 1..=20 {
        let mut other =
            Other::run("processes::a_writer_that_is_killed_leaves_the_old_set_or_the_new_one", &folder, this_program());
        let mut last = 0;
        for _ in 0..round {
            last = other.says().unwrap().parse().unwrap();
        }
        drop(other.process.kill());
        // What it has said since.
        while let Some(line) = other.says() {
            last = line.parse().unwrap();
        }
        drop(other);
        let found = block_on(generation(&store)).unwrap();
        assert!(found == last || found == last + 1, "{found} after {last}");
        drop(block_on(leased(&store)));
        assert_eq!(folder.names(), [FILE, LOCK]);
    }
}

/// Says the number of each set when it is stored.
async fn write_for_ever(store: &FileStore) -> ! {
    loop {
        let next = generation(store).await.unwrap_or_default() + 1;
        save(store, next).await;
        eprintln!("{next}");
    }
}

#[test]
fn processes_that_compete_each_replace_what_they_have_read() {
    if let Some(store) = here() {
        return block_on(count_up(&store));
    }
    let (folder, store) = scene();
    let test = "processes::processes_that_compete_each_replace_what_they_have_read";
    let others: Vec<_> = (0..4).map(|_| Other::run(test, &folder, this_program())).collect();
    let mut fences = Vec::new();
    for mut other in others {
        while let Some(line) = other.says() {
            fences.push(line.parse::<u64>().unwrap());
        }
        assert!(other.process.wait().unwrap().success());
    }
    assert_eq!(block_on(generation(&store)), Some(100));
    assert_eq!(fences.len(), 100);
    fences.sort_unstable();
    fences.dedup();
    assert_eq!(fences.len(), 100, "a number was drawn twice");
}

/// Adds 25 to the number that is stored, and says under which numbers.
async fn count_up(store: &FileStore) {
    for _ in 0..25 {
        let lease = becomes_free(store).await;
        let expected = version(store).await;
        let next = stored(expected.map_or(0, |version| version.generation.get()) + 1, &*lease);
        assert_eq!(lease.save(expected, &next).await.unwrap(), Swap::Done);
        eprintln!("{}", lease.fence());
    }
}
