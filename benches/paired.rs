//! Runs commands in turn, so that whatever else the machine does meets all of them alike, and compares them round by
//! round. Absolute times on shared machines mean little; the median of the ratios of neighbours does.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command to measure, made anew for each run.
pub(crate) struct Candidate<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: Box<dyn FnMut() -> Command + 'a>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(name: &'a str, command: impl FnMut() -> Command + 'a) -> Self {
        Self { name, command: Box::new(command) }
    }
}

/// What the kernel says of one finished process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Page faults that needed no disk.
    pub(crate) faults: i64,
}

/// All runs of one candidate, in the order of the rounds.
pub(crate) struct Runs {
    pub(crate) name: String,
    pub(crate) runs: Vec<Run>,
}

impl Runs {
    /// The median of this candidate's wall time over that of `other` in the same round.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        median(self.runs.iter().zip(&other.runs).map(|(a, b)| a.wall.as_secs_f64() / b.wall.as_secs_f64()))
    }

    /// Milliseconds.
    pub(crate) fn cpu(&self) -> f64 {
        median(self.runs.iter().map(|run| run.cpu.as_secs_f64() * 1e3))
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of faults")]
    pub(crate) fn faults(&self) -> f64 {
        median(self.runs.iter().map(|run| run.faults as f64))
    }
}

/// Runs every candidate once a round, in an order drawn anew each time, after a tenth as many rounds that do not count.
pub(crate) fn paired(rounds: usize, mut candidates: Vec<Candidate<'_>>) -> Vec<Runs> {
    let mut all: Vec<Runs> =
        candidates.iter().map(|one| Runs { name: one.name.to_owned(), runs: Vec::new() }).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds + rounds.div_ceil(10) {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        for last in (1..order.len()).rev() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            order.swap(last, usize::try_from(random % (last as u64 + 1)).unwrap());
        }
        for index in order {
            let run = run(&mut (candidates[index].command)());
            if round >= rounds.div_ceil(10) {
                all[index].runs.push(run);
            }
        }
    }
    all
}

/// Runs a command to its end, its output thrown away. It must succeed: a fast failure is no result.
fn run(command: &mut Command) -> Run {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    #[expect(clippy::zombie_processes, reason = "it is waited for, by a call that also tells its usage")]
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (status, usage) = wait(child.id());
    let wall = begin.elapsed();
    assert!(status == 0, "{command:?} ended with status {status:#x}");
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Run { wall, cpu: time(usage.ru_utime) + time(usage.ru_stime), faults: usage.ru_minflt }
}

/// `wait4`, which alone tells what one child has used.
#[expect(unsafe_code, reason = "no safe binding gives a child's usage")]
fn wait(pid: u32) -> (i32, libc::rusage) {
    let mut status = 0;
    // SAFETY: both pointers are to places of our own; `rusage` is plain numbers, for which zero is a value.
    let (waited, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(pid.cast_signed(), &raw mut status, 0, &raw mut usage), usage)
    };
    assert_eq!(waited, pid.cast_signed(), "wait4: {}", std::io::Error::last_os_error());
    (status, usage)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
