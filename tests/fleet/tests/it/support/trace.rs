//! What a process asks the kernel to do with files, as `strace` writes it down: for each thread by itself, so that the order
//! of what one thread does is plain.

use std::{fs, process::Command};

use super::folder::Folder;

pub struct Trace(Folder);

/// One call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    /// Descriptors with their paths, such as `9</tmp/file>`, strings in quotes, and of what is written only the length.
    pub args: Vec<String>,
    /// A number, a descriptor with its path, or `-1` and an error.
    pub result: String,
}

/// Whatever makes, writes, syncs or renames a file.
const CALLS: &str = "trace=creat,open,openat,openat2,write,writev,pwrite64,fsync,fdatasync,sync_file_range,syncfs,sync,\
                     rename,renameat,renameat2,link,linkat";

impl Trace {
    /// # Panics
    /// Where a process may not look at another.
    pub fn new() -> Self {
        let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
        let probe = probe.expect("strace is installed");
        let said = String::from_utf8_lossy(&probe.stderr);
        assert!(probe.status.success(), "strace works, and ptrace is not refused, as some containers do: {said}");
        Self(Folder::new())
    }

    /// How a program is started so that this holds what it does.
    pub fn way_in(&self) -> Vec<String> {
        let out = self.0.text("thread");
        ["strace", "-ff", "-y", "-a", "1", "-s", "0", "-e", CALLS, "-e", "signal=none", "-o", &out, "--"]
            .map(str::to_owned)
            .into()
    }

    /// What each thread has done, once the program has ended.
    pub fn threads(&self) -> Vec<Vec<Call>> {
        let files = fs::read_dir(self.0.text("")).unwrap();
        let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| text.lines().filter_map(Call::read).collect()).collect()
    }
}

impl Call {
    /// `None` for lines that say something else, such as how a thread has ended.
    fn read(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        let (args, result) = rest.rsplit_once(") = ")?;
        let args = args.split(", ").map(str::to_owned).collect();
        Some(Self { name: name.to_owned(), args, result: result.to_owned() })
    }
}

#[test]
fn a_line_is_read_as_a_call() {
    let line = r#"openat(AT_FDCWD</tmp>, "/tmp/a.new", O_WRONLY|O_CREAT, 0600) = 9</tmp/a.new>"#;
    let args = ["AT_FDCWD</tmp>", r#""/tmp/a.new""#, "O_WRONLY|O_CREAT", "0600"].map(str::to_owned);
    let call = Call { name: "openat".to_owned(), args: args.into(), result: "9</tmp/a.new>".to_owned() };
    assert_eq!(Call::read(line), Some(call));
    assert_eq!(Call::read("+++ exited with 0 +++"), None);
}
