//! A disk of its own, so small that it can be full, and so much its own that it can be made read-only.
//!
//! It is mounted in a namespace of its own, and is gone with the last process in it. Neither permissions nor quotas would
//! do: root is above both.

use std::{fs, process::Command};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout},
};

use super::{
    folder::Folder,
    process::{Process, patiently},
};

pub struct Disk {
    folder: Folder,
    way: Way,
    shell: Process,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// How a process comes to mounts of its own.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As root of a namespace of users, too: it takes no privilege where the system allows it.
    AsAnybody,
    /// By the privilege that root has even where such namespaces are off, as in many containers.
    AsRoot,
}

impl Way {
    const ALL: [Self; 2] = [Self::AsAnybody, Self::AsRoot];

    /// Those that this machine allows, the one that takes the least first.
    ///
    /// # Panics
    /// Where there is none.
    fn allowed() -> Vec<Self> {
        let is_allowed = |way: &Self| {
            let mut command = Command::new("unshare");
            command.args(way.namespaces()).arg("true").status().expect("the programs of util-linux").success()
        };
        let allowed: Vec<_> = Self::ALL.into_iter().filter(is_allowed).collect();
        assert!(!allowed.is_empty(), "a mount namespace is allowed, be it in one of users or to root");
        allowed
    }

    fn namespaces(self) -> &'static [&'static str] {
        match self {
            Self::AsAnybody => &["--map-root-user", "--mount"],
            Self::AsRoot => &["--mount"],
        }
    }

    /// The same to whoever enters them.
    fn entered(self) -> &'static [&'static str] {
        match self {
            Self::AsAnybody => &["--preserve-credentials", "--user", "--mount"],
            Self::AsRoot => &["--mount"],
        }
    }
}

impl Disk {
    /// An empty disk with room for some token sets.
    pub async fn new() -> Self {
        Self::by(Way::allowed()[0]).await
    }

    async fn by(way: Way) -> Self {
        let unshare = ["unshare"].iter().chain(way.namespaces()).chain(&["--propagation", "private", "--"]);
        let unshare: Vec<_> = unshare.copied().map(str::to_owned).collect();
        let mut shell = Process::start_by(&unshare, ["sh"]);
        let (stdin, stdout) = (shell.stdin(), BufReader::new(shell.stdout()).lines());
        let mut disk = Self { folder: Folder::new(), way, shell, stdin, stdout };
        disk.run("mount -t tmpfs -o size=64k,mode=0700 none {}").await;
        disk
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The path by which this process sees what is on it.
    pub fn seen_from_outside(&self, name: &str) -> String {
        format!("/proc/{}/root{}", self.shell.id(), self.folder.text(name))
    }

    /// How a program is started so that it sees this disk.
    pub fn way_in(&self) -> Vec<String> {
        let pid = self.shell.id().to_string();
        ["nsenter"]
            .iter()
            .chain(self.way.entered())
            .chain(&["--target", &pid, "--"])
            .copied()
            .map(str::to_owned)
            .collect()
    }

    /// Takes all room there is.
    pub async fn fill(&mut self) {
        self.run("! dd if=/dev/zero of={}/full bs=1k 2>/dev/null").await;
    }

    /// Gives it back.
    pub async fn free(&mut self) {
        self.run("rm {}/full").await;
    }

    pub async fn read_only(&mut self) {
        self.run("mount -o remount,ro {}").await;
    }

    pub async fn writable(&mut self) {
        self.run("mount -o remount,rw {}").await;
    }

    async fn run(&mut self, command: &str) {
        let status = self.ask(&format!("{command}; echo $?")).await;
        assert_eq!(status, "0", "the disk of this test: {command}");
    }

    async fn ask(&mut self, command: &str) -> String {
        let command = command.replace("{}", &self.folder.text("")) + "\n";
        self.stdin.write_all(command.as_bytes()).await.expect("the shell of the disk runs");
        let line = patiently(&command, self.stdout.next_line()).await.unwrap();
        line.expect("the shell of the disk runs")
    }
}

#[tokio::test]
async fn a_full_disk_takes_nothing_and_a_read_only_one_not_even_a_name() {
    for way in Way::allowed() {
        let mut disk = Disk::by(way).await;
        disk.fill().await;
        disk.run("! echo x > {}/more 2>/dev/null && rm {}/more").await;
        disk.free().await;
        disk.run("echo x > {}/more").await;
        disk.read_only().await;
        disk.run("! mv {}/more {}/other 2>/dev/null").await;
        disk.writable().await;
        disk.run("mv {}/more {}/other").await;
        // Whoever enters sees it, and so does whoever looks in from here; it lies on no other disk.
        let look = ["cat".to_owned(), disk.folder.text("other")];
        let mut inside = Process::start_by(&disk.way_in(), look);
        let seen = patiently("a look inside", BufReader::new(inside.stdout()).lines().next_line()).await;
        assert_eq!(seen.unwrap().as_deref(), Some("x"), "{way:?}");
        assert_eq!(fs::read_to_string(disk.seen_from_outside("other")).unwrap(), "x\n", "{way:?}");
        assert!(!fs::exists(disk.folder.text("other")).unwrap(), "{way:?}");
    }
}
