//! Work on a file of 1 GiB that is there: create, verify, a resume that has everything.

use std::path::Path;
use std::process::Command;

use crate::Summary;
use crate::clients::{Client, Kind};
use crate::content::{Content, NAME, Torrent};
use crate::downloads::{fresh, in_turn};
use crate::options::Options;
use crate::table::Table;
use crate::tracker::Tracker;

pub const CREATE: &str = "create, 1 GiB";
pub const VERIFY: &str = "verify, 1 GiB";
pub const RESUME: &str = "resume with everything there, 1 GiB";

/// Runs those that are wanted.
pub fn run(options: &Options, clients: &[Client], folder: &Path, table: &mut Table) -> Summary<()> {
    if ![CREATE, VERIFY, RESUME].iter().any(|work| options.wants(work)) {
        return Ok(());
    }
    let (content, there, home) = (Content::new(), folder.join("there"), folder.join("home"));
    let tracker = Tracker::start()?;
    fresh(&there)?;
    fresh(&home)?;
    let file = there.join(NAME);
    content.write(&file, 1 << 30)?;
    let torrent =
        Torrent::make(&content, folder.join("there.torrent"), 1 << 30, 1 << 20, &tracker.url)?;
    let all =
        |command: &dyn Fn(&Client) -> Summary<Option<Command>>| -> Summary<Vec<(Kind, Command)>> {
            let commands = clients
                .iter()
                .map(|client| Ok(command(client)?.map(|command| (client.kind, command))));
            commands.filter_map(Summary::transpose).collect()
        };

    if options.wants(CREATE) {
        let made = folder.join("made.torrent");
        in_turn(
            CREATE,
            options,
            &all(&|client| client.create(&file, &made, &home))?,
            folder,
            Some(&made),
            table,
        )?;
    }
    if options.wants(VERIFY) {
        in_turn(
            VERIFY,
            options,
            &all(&|client| client.verify(&torrent, &there, &home))?,
            folder,
            None,
            table,
        )?;
    }
    if options.wants(RESUME) {
        in_turn(
            RESUME,
            options,
            &all(&|client| client.resume(&torrent, &there))?,
            folder,
            None,
            table,
        )?;
    }
    std::fs::remove_dir_all(&there)?;
    Ok(())
}
