//! The disk as one submission sees it: everything read-only, but for a bounded `/tmp` in memory.
//! (Linux)
//!
//! The steps depend on their order. What is mounted stays reachable under its first name until
//! something covers it, and whatever is there when the disk becomes read-only stays so for good:
//! a world inside this one has no right to change it back.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change, mount_remount,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::copy::copy;

/// The room for a submission: its files, its home and what it writes, in memory.
const SIZE: &CStr = c"size=512m,nr_inodes=100k,mode=755";

/// The room in `/dev`, which is only for `/dev/shm`.
const DEV_SIZE: &CStr = c"size=64m,nr_inodes=1k,mode=755";

/// The devices that a program may need.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Folders in which sockets of services lie, or that are for everybody.
const COVERED: [&str; 4] = ["/run", "/var/run", "/var/tmp", "/mnt"];

/// Makes the world, copies the submission into it, and returns its folder there.
pub(super) fn enter(place: &Path, hide: &[PathBuf], home: Option<&Path>) -> io::Result<PathBuf> {
    loopback_up()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    everything_read_only()?;
    // The folder itself was made before the disk became read-only.
    let space = place.join("space");
    empty(&space, MountFlags::empty(), SIZE).map_err(about(&space))?;
    for name in ["home", "tmp", "dev", "kept"] {
        std::fs::create_dir(space.join(name))?;
    }
    copy(&place.join("work"), &space.join("work"))?;
    devices(&space.join("dev"))?;
    let world = PathBuf::from("/tmp");
    mount_bind_recursive(&space, &world).map_err(about(&world))?;
    if let Some(home) = home.filter(|home| home.is_dir() && home.parent().is_some()) {
        cover_home(home, &world.join("kept"))?;
    }
    for folder in COVERED.iter().map(Path::new).chain(hide.iter().map(PathBuf::as_path)) {
        // What a cover hides already is not there any more.
        if folder.is_dir() && !world.starts_with(folder) {
            empty(folder, MountFlags::RDONLY, c"size=4k,mode=755").map_err(about(folder))?;
        }
    }
    Ok(world.join("work"))
}

/// Says which place an error is about.
fn about<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error: io::Error = error.into();
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    }
}

/// Mounts an empty file system.
fn empty(at: &Path, flags: MountFlags, data: &CStr) -> rustix::io::Result<()> {
    mount("none", at, c"tmpfs", flags | MountFlags::NOSUID | MountFlags::NODEV, data)
}

/// Makes everything that is mounted read-only, but for devices and processes, which get another
/// file system each.
fn everything_read_only() -> io::Result<()> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(path), Some(options)) = (fields.get(4), fields.get(5)) else { continue };
        let path = unescaped(path);
        if path.starts_with("/dev") || path.starts_with("/proc") {
            continue;
        }
        let mut flags =
            MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        // Whoever mounted it may have forbidden to take these away.
        for option in options.split(',') {
            flags |= match option {
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                _ => MountFlags::empty(),
            };
        }
        let done = mount_remount(&path, flags, c"");
        let is_read_only = options.split(',').any(|option| option == "ro");
        // A mount that another one covers has no name any more, and nobody can reach it.
        let is_covered = done == Err(rustix::io::Errno::INVAL) && path != Path::new("/");
        if !is_read_only && !is_covered {
            done.map_err(about(&path))?;
        }
    }
    Ok(())
}

/// Returns a path of `mountinfo`, where a space is `\040`.
fn unescaped(path: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;

    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Makes a `/dev` with the harmless devices only: root's own include the disks.
fn devices(dev: &Path) -> io::Result<()> {
    empty(dev, MountFlags::empty(), DEV_SIZE).map_err(about(dev))?;
    for name in DEVICES {
        let file = dev.join(name);
        std::fs::write(&file, b"")?;
        mount_bind_recursive(Path::new("/dev").join(name), &file).map_err(about(&file))?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        std::os::unix::fs::symlink(format!("/proc/self/fd{target}"), dev.join(name))?;
    }
    std::fs::create_dir(dev.join("shm"))?;
    mount_bind_recursive(dev, "/dev").map_err(about(Path::new("/dev")))?;
    Ok(())
}

/// Covers the teacher's home, but for the folders in it that the search path names: languages are
/// often installed there.
fn cover_home(home: &Path, kept: &Path) -> io::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut names: Vec<PathBuf> = std::env::split_paths(&path)
        .filter_map(|folder| {
            let inside = folder.strip_prefix(home).ok()?;
            inside.components().next().map(|first| PathBuf::from(first.as_os_str()))
        })
        .collect();
    names.push(PathBuf::from(".rustup"));
    names.sort();
    names.dedup();
    names.retain(|name| home.join(name).is_dir());
    for name in &names {
        std::fs::create_dir(kept.join(name))?;
        mount_bind_recursive(home.join(name), kept.join(name)).map_err(about(&home.join(name)))?;
    }
    empty(home, MountFlags::empty(), c"size=64k,mode=755").map_err(about(home))?;
    for name in &names {
        std::fs::create_dir(home.join(name))?;
        mount_bind_recursive(kept.join(name), home.join(name)).map_err(about(&home.join(name)))?;
    }
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(home, flags, c"").map_err(about(home))
}

/// Switches on the loopback interface of a new network: it has no other one.
///
/// The message is that of `ip link set lo up`. An interface of a new network always has the number
/// 1 if it is the loopback.
fn loopback_up() -> io::Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST_AND_ANSWER: u16 = 1 | 4;
    const UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes()); // length of the whole
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_AND_ANSWER.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes()); // number of the message
    message.extend(0_u32.to_ne_bytes()); // to the system
    message.extend([0; 4]); // any family, any type
    message.extend(1_u32.to_ne_bytes()); // the interface
    message.extend(UP.to_ne_bytes()); // its flags
    message.extend(UP.to_ne_bytes()); // those that change
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 512];
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // A header of 16 bytes, and then the error: 0, or a negative number.
    match answer[..length.min(512)].get(16..20).and_then(|code| code.try_into().ok()) {
        Some(code) if i32::from_ne_bytes(code) == 0 => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(code))),
        None => Err(io::Error::other("the loopback interface gives no answer")),
    }
}
