//! A disk of its own, so small that it can be full, and so much its own that it can be made read-only.
//!
//! It is mounted in a namespace of this user's own, which takes no privilege where the system allows such namespaces, and
//! is gone with the last process in it. Neither permissions nor quotas would do: root is above both.

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
    shell: Process,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Disk {
    /// An empty disk with room for some token sets.
    pub async fn new() -> Self {
        let unshare = ["unshare", "--map-root-user", "--mount", "--propagation", "private", "--"].map(str::to_owned);
        let mut shell = Process::start_by(&unshare, ["sh"]);
        let (stdin, stdout) = (shell.stdin(), BufReader::new(shell.stdout()).lines());
        let mut disk = Self { folder: Folder::new(), shell, stdin, stdout };
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
        ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &pid, "--"].map(str::to_owned).into()
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
        self.stdin.write_all(command.as_bytes()).await.expect("namespaces of one's own are allowed");
        let line = patiently(&command, self.stdout.next_line()).await.unwrap();
        line.expect("namespaces of one's own are allowed")
    }
}

#[tokio::test]
async fn a_full_disk_takes_nothing_and_a_read_only_one_not_even_a_name() {
    let mut disk = Disk::new().await;
    disk.fill().await;
    disk.run("! echo x > {}/more 2>/dev/null && rm {}/more").await;
    disk.free().await;
    disk.run("echo x > {}/more").await;
    disk.read_only().await;
    disk.run("! mv {}/more {}/other 2>/dev/null").await;
    disk.writable().await;
    disk.run("mv {}/more {}/other").await;
}
