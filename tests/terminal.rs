//! Programs on pseudo-terminals of their own, driven as a person would: type, wait for what appears.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take to appear. Generous: machines are busy, and nothing waits that long unless it is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A program and the terminal it believes to be on.
pub(crate) struct Terminal {
    keyboard: File,
    pub(crate) child: Child,
    output: Arc<(Mutex<Output>, Condvar)>,
    /// Where the next [`Terminal::wait_for`] begins to look.
    mark: usize,
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    closed: bool,
}

/// What a program did that has ended.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    /// What it wrote to the terminal.
    pub(crate) screen: Vec<u8>,
    /// What it wrote to stdout, where that was not the terminal.
    pub(crate) stdout: Vec<u8>,
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen).replace("\r\n", "\n")
    }
}

impl Terminal {
    /// Starts a program with all three streams on the terminal.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::start(command, true, 200)
    }

    /// [`Terminal::spawn`] where there is not much room.
    pub(crate) fn spawn_narrow(command: &mut Command, columns: u16) -> Self {
        Self::start(command, true, columns)
    }

    /// Starts a program with stdin and stderr on the terminal, and stdout left as the command has it.
    pub(crate) fn spawn_with_own_stdout(command: &mut Command) -> Self {
        Self::start(command, false, 200)
    }

    fn start(command: &mut Command, stdout_too: bool, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        set_size(&master, columns);
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        command.stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap());
        if stdout_too {
            command.stdout(slave);
        }
        take_terminal(command);
        let child = command.spawn().unwrap();
        // The command still holds the slave side; without this its end would never be seen.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let master = File::from(master);
        let output = Arc::new((Mutex::new(Output::default()), Condvar::new()));
        std::thread::spawn({
            let (mut screen, output) = (master.try_clone().unwrap(), Arc::clone(&output));
            move || {
                let mut buffer = [0; 4096];
                loop {
                    // EIO is how a terminal says that nobody is left on it.
                    let read = screen.read(&mut buffer).unwrap_or(0);
                    let mut now = output.0.lock().unwrap();
                    now.bytes.extend_from_slice(&buffer[..read]);
                    now.closed = read == 0;
                    output.1.notify_all();
                    if read == 0 {
                        return;
                    }
                }
            }
        });
        Self { keyboard: master, child, output, mark: 0 }
    }

    pub(crate) fn send(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).unwrap();
    }

    /// Waits until `text` appears after everything waited for before, and returns what was written up to its end.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        self.try_wait_for(text).unwrap_or_else(|missed| panic!("{missed}"))
    }

    /// The same; if it does not appear, the error says so and what was written instead.
    pub(crate) fn try_wait_for(&mut self, text: &str) -> Result<String, String> {
        let mark = self.mark;
        let end = self.wait_until(|bytes| {
            let found = bytes[mark..].windows(text.len()).position(|window| window == text.as_bytes());
            found.map(|at| mark + at + text.len())
        });
        let Some(end) = end else {
            return Err(format!("`{text}` did not appear; since then:\n{}", self.since(mark)));
        };
        self.mark = end;
        Ok(String::from_utf8_lossy(&self.output.0.lock().unwrap().bytes[mark..end]).into_owned())
    }

    /// Everything written so far.
    pub(crate) fn screen(&self) -> String {
        self.since(0)
    }

    fn since(&self, mark: usize) -> String {
        String::from_utf8_lossy(&self.output.0.lock().unwrap().bytes[mark..]).into_owned()
    }

    fn wait_until<T>(&self, found: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + LIMIT;
        let mut output = self.output.0.lock().unwrap();
        loop {
            if let Some(found) = found(&output.bytes) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if output.closed || left.is_zero() {
                return None;
            }
            output = self.output.1.wait_timeout(output, left).unwrap().0;
        }
    }

    pub(crate) fn resize(&self, columns: u16) {
        set_size(&self.keyboard, columns);
    }

    /// Closes the terminal, as when its window is closed, and waits for the program's end.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        // The reader has the terminal open as well, and waits: what the kernel sends then is sent by us.
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process_group(pid, rustix::process::Signal::HUP).unwrap();
        self.child.wait().unwrap()
    }

    /// Waits for the program's end.
    pub(crate) fn wait(mut self) -> Ran {
        let stdout = self.child.stdout.take().map(|mut pipe| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let status = self.child.wait().unwrap();
        let screen = {
            // What it wrote last may still be on its way; a background child may keep the terminal open, though.
            let deadline = Instant::now() + Duration::from_secs(2);
            let mut output = self.output.0.lock().unwrap();
            while !output.closed && Instant::now() < deadline {
                output = self.output.1.wait_timeout(output, deadline - Instant::now()).unwrap().0;
            }
            std::mem::take(&mut output.bytes)
        };
        Ran { status, screen, stdout: stdout.unwrap_or_default() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program with all three streams on a terminal.
pub(crate) fn run(command: &mut Command) -> Ran {
    Terminal::spawn(command).wait()
}

/// Runs a program with stdin and stderr on a terminal and stdout caught, as in `$(…)`.
pub(crate) fn run_with_piped_stdout(command: &mut Command) -> Ran {
    command.stdout(Stdio::piped());
    Terminal::spawn_with_own_stdout(command).wait()
}

fn set_size(master: &impl std::os::fd::AsFd, columns: u16) {
    tcsetwinsize(master, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

/// Gives the program the terminal, and Ctrl-C its meaning: whoever started the tests in the background ignores it.
#[expect(unsafe_code, reason = "`pre_exec` is; what runs in it are system calls")]
fn take_terminal(command: &mut Command) {
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        });
    }
}
