//! Other programs that hand out credentials or MFA codes. Started without a shell, as the AWS CLI does (`protocol.md` 6.1).

use super::aws::printable;
use crate::context::{Context, clock};
use crate::core::credentials::Credentials;
use crate::core::environment::{Mark, ROLE_SECRETS};
use crate::core::profile::Profile;
use crate::error::{Error, Result};
use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a program may take: some have a person touch a key.
const LIMIT: Duration = Duration::from_mins(1);
/// Bytes that it may print.
const MOST: u64 = 64 * 1024;
/// The profiles whose `credential_process` we run under, and those that wait for it, comma separated.
const RUNNING: &str = "AWSDIR_CREDENTIAL_PROCESS";

/// Refuses what comes back to itself: a profile for which a process is running that has asked us in turn. It would wait for
/// itself.
pub(super) fn is_no_round(context: &Context, asked: &Profile) -> Result<()> {
    let above = context.var(RUNNING).unwrap_or_default();
    let mut running: Vec<&str> = above.split(',').collect();
    let Some(link) = asked.chain().find(|link| running.contains(&link.name())) else { return Ok(()) };
    let mut round = running.split_off(running.iter().position(|name| *name == link.name()).unwrap_or_default());
    round.extend(asked.chain().map(Profile::name).take_while(|name| *name != link.name()));
    round.push(link.name());
    let problem = format!("comes back to itself: {}", round.join(" → "));
    let process = asked.chain().last().unwrap_or(asked).name().to_owned();
    Err(Error::CredentialProcess { profile: process, problem, said: String::new() })
}

/// Credentials by the `credential_process` of `profile`, which the profiles `above` take them from.
pub(super) async fn credentials(context: &Context, above: Vec<&str>, profile: &str, line: &str) -> Result<Credentials> {
    let failed =
        |problem: String, said: String| Error::CredentialProcess { profile: profile.to_owned(), problem, said };
    let running = context.var(RUNNING).into_iter().chain(above.into_iter().map(str::to_owned));
    let running = running.chain([profile.to_owned()]).collect::<Vec<_>>().join(",");
    let ran = run(context, line, (RUNNING, running)).await;
    let Ran { status, stdout, said } = ran.map_err(|problem| failed(problem, String::new()))?;
    if !status.success() {
        return Err(failed(format!("failed ({status})"), said));
    }
    let credentials =
        Credentials::from_process(&stdout).map_err(|problem| failed(format!("is wrong: {problem}"), said))?;
    match credentials.expires_at {
        Some(end) if end <= clock() => {
            Err(failed(format!("has handed out credentials that ended at {end}"), String::new()))
        }
        _ => Ok(credentials),
    }
}

/// An MFA code by the person's own command.
///
/// # Errors
/// What went wrong, in words.
pub(super) async fn mfa_code(context: &Context, line: &str, serial: &str) -> Result<Zeroizing<String>, String> {
    let Ran { status, stdout, said } = run(context, line, ("AWSDIR_MFA_SERIAL", serial.to_owned())).await?;
    if !status.success() {
        return Err(if said.is_empty() { format!("failed ({status})") } else { format!("failed ({status}): {said}") });
    }
    Ok(Zeroizing::new(String::from_utf8_lossy(&stdout).trim().to_owned()))
}

/// What a program has left.
struct Ran {
    status: ExitStatus,
    stdout: Zeroizing<Vec<u8>>,
    /// What it said on stderr, in one line.
    said: String,
}

/// Runs a command line with one more variable. On a thread of its own: Ctrl-C is heard meanwhile, by the program too.
async fn run(context: &Context, line: &str, (name, value): (&str, String)) -> Result<Ran, String> {
    let words = shlex::split(line).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| "is no command: a quote is not closed, or there is nothing".to_owned())?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(name, value);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What a hook has put there is what is asked for; it asks nobody else for anything.
    if Mark::in_force(context.uid, |name| context.var_os(name)).is_some() {
        for name in ROLE_SECRETS {
            command.env_remove(name);
        }
    }
    let ran = tokio::task::spawn_blocking(move || wait(command)).await;
    ran.map_err(|error| error.to_string())?
}

fn wait(mut command: Command) -> Result<Ran, String> {
    let mut child = command.spawn().map_err(|error| format!("could not be started: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    let printed = child.stdout.take().map(|pipe| read_in_a_thread(pipe, sender.clone()));
    let said = child.stderr.take().map(|pipe| read_in_a_thread(pipe, sender));
    // Both of them have come to their end, or the time has.
    let deadline = Instant::now() + LIMIT;
    let ended = (0..2).all(|_| receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok());
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("took longer than {} s", LIMIT.as_secs()));
    }
    let status = child.wait().map_err(|error| format!("was lost: {error}"))?;
    let all = |reader: Option<Reader>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let (stdout, said) = (all(printed), all(said));
    if stdout.len() as u64 > MOST {
        return Err(format!("printed more than {} KiB", MOST / 1024));
    }
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = printable(&lines.collect::<Vec<_>>().join("; "));
    Ok(Ran { status, stdout, said })
}

type Reader = std::thread::JoinHandle<Zeroizing<Vec<u8>>>;

/// Reads a pipe to its end, keeps what may be printed, and says when it has.
fn read_in_a_thread(mut pipe: impl Read + Send + 'static, done: mpsc::Sender<()>) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let _ = pipe.by_ref().take(MOST + 1).read_to_end(&mut bytes);
        let _ = io::copy(&mut pipe, &mut io::sink());
        let _ = done.send(());
        bytes
    })
}
