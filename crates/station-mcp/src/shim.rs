//! The shim: our own program, re-executed as the parent of one tool server.
//!
//! `npx` starts `node`, servers start browsers, some of them daemonise; when Station goes away, by whatever death, all
//! of it must go too. The shim is a child subreaper, so that no descendant can leave its tree, and it holds one end of a
//! socket whose only other end is in Station: when that end closes, it kills every descendant and ends.
//!
//! Why a socket and not `PR_SET_PDEATHSIG`: that signal fires when the *thread* that spawned ends, never reaches
//! grandchildren, is lost when the parent dies before the call, and would need `unsafe` between fork and exec. The
//! socket has none of these faults, survives `kill -9` of Station, and lets any thread spawn.
//!
//! The socket is the shim's stdin, and what the program gets in its place comes over it (`SCM_RIGHTS`, unix(7)). Descriptors
//! that are put in their places between fork and exec make the system copy all of Station's memory map for each start
//! (posix_spawn(3) does not).
//!
//! The program it starts is kept from what it must not reach ([`crate::sandbox`]); the shim itself is not. It also counts
//! the processes below it where there is a limit: the kernel's own limit counts all that the user has.
//!
//! What it is not: it copies nothing (the server has the pipes themselves). One weakness remains where the kernel
//! knows no scopes, or a file says `sandbox: off`: whoever kills the shim itself with SIGKILL sets its descendants free;
//! they then only see their stdin close.

use crate::census::Census;
use crate::sandbox::{NONE, Order, Refusal};
use command_fds::{CommandFdExt as _, FdMapping};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, PipeReader, Write as _};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode};

/// The first argument that makes our program a shim.
pub const ARGUMENT: &str = "__shim";

/// Where Station's own server finds what it was handed ([`crate::Launch::handed`]).
pub const HANDED_FD: i32 = 4;

/// What the shim's own lines on stderr begin with, so that the client can tell them from the server's.
pub(crate) const VOICE: &str = "station: ";

/// The exit code of a program that was not found, as shells have it.
pub(crate) const NOT_FOUND: u8 = 127;

/// The exit code of a program that could not be started, as shells have it.
pub(crate) const NOT_STARTED: u8 = 126;

/// For a person who tries it.
const NOT_A_COMMAND: &str = "this is how Station starts its tool servers; it is not a command";

/// Acts as the shim if this process was started as one: `stn __shim PID:START ORDER -- program args…`. The first word
/// after the name says which Station it belongs to, and is read by [`crate::Process::shims`] alone; the next says how the
/// program is kept.
///
/// To be called first in `main`, before threads, tracing and a runtime: the shim must stay single-threaded and small.
#[must_use]
pub fn run_if_shim() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != ARGUMENT {
        return None;
    }
    Some(ExitCode::from(run(args)))
}

/// Whether a command line is that of a shim whose program is kept from something.
pub(crate) fn keeps(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == 0).skip(1);
    words.next() == Some(ARGUMENT.as_bytes()) && words.nth(1).is_some_and(|order| order != NONE.as_bytes())
}

fn run(mut args: impl Iterator<Item = OsString>) -> u8 {
    let words = (args.next(), args.next(), args.next(), args.next());
    let (Some(_), Some(order), Some(separator), Some(program)) = words else {
        return refuse(NOT_A_COMMAND);
    };
    let Ok(order) = read_order(&order) else { return refuse(NOT_A_COMMAND) };
    if separator != "--" {
        return refuse(NOT_A_COMMAND);
    }
    let (control, stdin, handed) = match take_given() {
        Ok(given) => given,
        // Nothing of the sort is there.
        Err(Errno::ENOTSOCK | Errno::EAGAIN | Errno::EBADF | Errno::EINVAL) => return refuse(NOT_A_COMMAND),
        Err(error) => return refuse(&format!("cannot take what Station gives the server: {error}")),
    };
    // Station's own mask is none of the program's.
    SigSet::empty().thread_set_mask().unwrap_or_default();
    // Its own session: a Ctrl-C in the terminal is for Station, which stops its servers politely. It fails only for
    // a process that leads a group already, and then the terminal does not reach us either.
    let _session = nix::unistd::setsid();
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        return refuse(&format!("cannot watch over the server's children: {error}"));
    }
    let mut command = Command::new(&program);
    command.args(args).stdin(stdin);
    if let Some(handed) = handed {
        let mapping = FdMapping { parent_fd: handed.into(), child_fd: HANDED_FD };
        command.fd_mappings(vec![mapping]).expect("one mapping collides with no other");
    }
    let started = match &order {
        Some(order) => order.spawn(command),
        None => spawn(command).map_err(Refusal::NotStarted),
    };
    let child = match started {
        Ok(child) => Pid::from_raw(i32::try_from(child.id()).expect("a pid fits in 31 bits")),
        Err(Refusal::NotStarted(error)) => return explain(&program.to_string_lossy(), &error),
        Err(Refusal::Unkept(why)) => return refuse(&format!("the sandbox could not be set up: {why}")),
    };
    let census = order.and_then(|order| order.processes_max()).map(Census::new);
    let code = watch(child, &control, census).unwrap_or_else(|error| {
        say(&format!("cannot watch the server: {error}"));
        NOT_STARTED
    });
    kill_descendants();
    code
}

/// Starts the program and keeps nothing of what it was given: the command has its stdin, and a server that closes that, or
/// ends, must be seen to have done so.
fn spawn(mut command: Command) -> io::Result<Child> {
    command.spawn()
}

/// How the program is kept: not at all, or by an order. `Err` where the word is neither.
fn read_order(word: &OsStr) -> Result<Option<Order>, ()> {
    if word == NONE {
        return Ok(None);
    }
    word.to_str().and_then(Order::from_word).map(Some).ok_or(())
}

/// Gives a shim that will have the other end of `socket` as its stdin what its program reads: its stdin, and what it is
/// handed where it is Station's own server. To be called before the shim is started, which does not wait for it.
///
/// # Errors
/// The system's.
pub(crate) fn give(socket: &UnixStream, stdin: &PipeReader, handed: Option<&PipeReader>) -> io::Result<()> {
    let pipes: Vec<RawFd> = [Some(stdin), handed].into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
    // A message of descriptors alone would not be one (unix(7)): a byte goes with them.
    let word = [IoSlice::new(b".")];
    sendmsg::<()>(socket.as_raw_fd(), &word, &[ControlMessage::ScmRights(&pipes)], MsgFlags::empty(), None)?;
    Ok(())
}

/// What [`give`] sent: the socket itself, the program's stdin, and what it is handed.
fn take_given() -> nix::Result<(OwnedFd, File, Option<File>)> {
    let errno = |error: io::Error| Errno::try_from(error).unwrap_or(Errno::EINVAL);
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(errno)?;
    let mut byte = [0];
    let mut word = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut word, Some(&mut space), flags)?;
    // Descriptors for which there is no room are left out of it (recvmsg(2)).
    if message.flags.contains(MsgFlags::MSG_CTRUNC) {
        return Err(Errno::EMFILE);
    }
    let mut pipes = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            pipes.extend(numbers);
        }
    }
    let mut pipes = pipes.into_iter().map(|number| take_pipe(number).map_err(errno));
    let stdin = pipes.next().ok_or(Errno::EINVAL)??;
    let handed = pipes.next().transpose()?;
    Ok((socket, stdin, handed))
}

/// The read end of the pipe that this process has as `number`, close-on-exec, so that no child inherits it from us.
///
/// # Errors
/// The system's, and `InvalidInput` where it is no pipe.
pub fn take_pipe(number: i32) -> io::Result<File> {
    // Opened anew through /proc because a bare number cannot safely be made an owned descriptor.
    let pipe = File::open(format!("/proc/self/fd/{number}"))?;
    if !pipe.metadata()?.file_type().is_fifo() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    nix::unistd::close(number)?;
    Ok(pipe)
}

/// Waits until the program ends, Station closes the socket, somebody asks the shim to end, or there are more processes than
/// there may be; the exit code to end with.
fn watch(child: Pid, control: &OwnedFd, mut census: Option<Census>) -> io::Result<u8> {
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    // Blocked only now: a program inherits the mask it is started with.
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    // The server's streams are the server's: if we held them open, neither side would see the other close.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    loop {
        // After the mask is set and before each wait, so that no death is missed.
        if let Some(code) = reap(child) {
            return Ok(code);
        }
        let mut waits = [
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        let wait = census.as_ref().map_or(PollTimeout::NONE, Census::wait);
        match poll(&mut waits, wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Station writes nothing more: whatever happens on the socket is its end.
        if waits[0].any() == Some(true) {
            return Ok(signalled(Signal::SIGKILL));
        }
        if let Some(census) = &mut census
            && census.is_over()
        {
            let most = census.most();
            say(&format!(
                "it had more than {most} processes at a time (`sandbox.processes_max` of its file)"
            ));
            return Ok(signalled(Signal::SIGKILL));
        }
        while let Some(signal) = signals.read_signal()? {
            if let Some(end) = asked_to_end(signal.ssi_signo) {
                return Ok(end);
            }
        }
    }
}

fn asked_to_end(number: u32) -> Option<u8> {
    let signal = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok())?;
    (signal != Signal::SIGCHLD).then(|| signalled(signal))
}

/// Reaps whatever has died; the exit code if the program itself is among it.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                code = Some(u8::try_from(status & 0xff).expect("eight bits fit in a byte"));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => code = Some(signalled(signal)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return code,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return code,
        }
    }
}

/// What shells make of a death by signal.
fn signalled(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}

/// Kills until nobody is left. Orphans come to us, the subreaper, so the last `ECHILD` means the tree is empty.
///
/// A descendant that may not be killed, such as one of another user, is waited for.
fn kill_descendants() {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return,
            Ok(WaitStatus::StillAlive) => {
                for pid in crate::process::descendants() {
                    // It may have died meanwhile, and what forked meanwhile is found in the next round.
                    let _gone = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                }
                let _reaped = waitpid(None, None);
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn explain(program: &str, error: &io::Error) -> u8 {
    let missing = error.kind() == io::ErrorKind::NotFound;
    let sentence = match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') && std::path::Path::new(program).exists() => {
            format!("the interpreter that `{program}` names in its first line was not found")
        }
        io::ErrorKind::NotFound if program.contains('/') => format!("the command `{program}` was not found"),
        io::ErrorKind::NotFound => format!("the command `{program}` was not found in PATH"),
        io::ErrorKind::PermissionDenied => format!("the command `{program}` may not be executed"),
        _ => format!("the command `{program}` could not be started: {error}"),
    };
    say(&sentence);
    if missing { NOT_FOUND } else { NOT_STARTED }
}

fn refuse(sentence: &str) -> u8 {
    say(sentence);
    NOT_STARTED
}

fn say(sentence: &str) {
    // If stderr is gone there is nobody to tell.
    let _told = writeln!(io::stderr(), "{VOICE}{sentence}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_start_is_told_like_a_shell_does() {
        let check = |kind: io::ErrorKind, code: u8| assert_eq!(explain("x", &io::Error::from(kind)), code);
        check(io::ErrorKind::NotFound, 127);
        check(io::ErrorKind::PermissionDenied, 126);
        check(io::ErrorKind::OutOfMemory, 126);
    }

    #[test]
    fn a_shim_that_keeps_its_program_is_known_by_its_words() {
        for (line, expected) in [
            (&b"stn\0__shim\x001:2\0{}\0--\0node\0"[..], true),
            (b"stn\0__shim\x001:2\0-\0--\0stn\0stdio\0", false),
            (b"stn\0serve\0", false),
            (b"", false),
        ] {
            assert_eq!(keeps(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_request_to_end_is_told_from_a_death() {
        assert_eq!(asked_to_end(Signal::SIGTERM as u32), Some(143));
        assert_eq!(asked_to_end(Signal::SIGCHLD as u32), None);
    }
}
