//! What a save asks the disk for, and in which order: a killed process loses nothing that it has written, so that only the
//! calls themselves show what a machine that stops may lose.

use crate::support::{Call, Fleet, Login, Server, Store};

#[tokio::test]
async fn a_save_is_written_and_synced_before_it_is_renamed_and_its_folder_synced_after_that() {
    let (server, store) = (Server::start().await, Store::traced());
    let mut fleet = Fleet::start(1, &server, &store, Login::Can).await;
    fleet.expire(&server).await;
    fleet.leave(0).await;
    let file = store.path();
    let saves: Vec<_> = store.trace().threads().iter().flat_map(|calls| saves(calls, &file)).collect();
    let save = [
        "makes a file of 0600 that nobody else has made",
        "writes it",
        "syncs it",
        "renames it over the token file",
        "syncs the folder",
    ];
    // What the login has brought, the mark, and what the refresh has brought.
    assert_eq!(saves, [save; 3]);
    assert_eq!(store.generation().await, 2);
}

/// What a thread does with new token files and with their folder; each save begins with a file.
fn saves(calls: &[Call], file: &str) -> Vec<Vec<&'static str>> {
    let (folder, _) = file.rsplit_once('/').unwrap();
    let (mut saves, mut made) = (Vec::<Vec<_>>::new(), None);
    for call in calls {
        let args: Vec<_> = call.args.iter().map(String::as_str).collect();
        let step = match (&*call.name, &args[..]) {
            ("openat", [_, path, flags, mode]) if is_new(path, file) => {
                saves.push(Vec::new());
                made = Some((*path, &*call.result));
                let is_first = ["O_CREAT", "O_EXCL"].iter().all(|flag| flags.split('|').any(|word| word == *flag));
                let is_private = is_first && *mode == "0600" && !call.result.starts_with('-');
                if is_private { "makes a file of 0600 that nobody else has made" } else { "makes a file" }
            }
            ("write", [descriptor, _, length]) if is_made(made, descriptor) => {
                if call.result == *length {
                    "writes it"
                } else {
                    "writes a part of it"
                }
            }
            // The very descriptor that was written, and the folder that the file lies in.
            ("fsync" | "fdatasync", [descriptor]) if is_made(made, descriptor) => done(call, "syncs it"),
            ("fsync", [descriptor]) if leads_to(descriptor, folder) => done(call, "syncs the folder"),
            // Which of them it is depends on the processor.
            ("rename", [from, to]) | ("renameat", [_, from, _, to]) | ("renameat2", [_, from, _, to, _])
                if is_new(from, file) =>
            {
                let is_it = made.is_some_and(|(path, _)| path == *from) && unquoted(to) == file;
                if is_it { done(call, "renames it over the token file") } else { "renames something else" }
            }
            // Any other way to change the token file would have to be looked at first.
            (name, args)
                if name != "openat" && args.iter().any(|word| word.contains(file) && !word.contains(".lock")) =>
            {
                "does something else with it"
            }
            _ => continue,
        };
        // What comes before any file would be a step too many.
        if saves.is_empty() {
            saves.push(Vec::new());
        }
        saves.last_mut().unwrap().push(step);
    }
    saves
}

/// Whether this is the path of a file that is to take the token file's place.
fn is_new(path: &str, file: &str) -> bool {
    unquoted(path).strip_prefix(file).is_some_and(|rest| rest.ends_with(".new"))
}

fn is_made(made: Option<(&str, &str)>, descriptor: &str) -> bool {
    made.is_some_and(|(_, made)| made == descriptor)
}

fn leads_to(descriptor: &str, path: &str) -> bool {
    descriptor.split_once('<').is_some_and(|(_, rest)| rest.strip_suffix('>') == Some(path))
}

fn unquoted(path: &str) -> &str {
    path.trim_matches('"')
}

fn done(call: &Call, step: &'static str) -> &'static str {
    if call.result == "0" { step } else { "fails" }
}
