//! The grammar of both command lines. No behaviour.

pub(crate) mod frequent;

use crate::shell::{Format, Shell};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 not possible here, 2 wrong command line, 3 configuration, \
4 sign-in needed or refused, 5 service, 130 interrupted; exec and with-aws: 125 our own failure, \
126 not executable, 127 not found, else the command's own.";

/// cd into a project and have its AWS role; sign in once, for every shell
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(name = "awsdir", version, after_help = EXIT_CODES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Run one command as another role, signing in first if need be
///
/// The command gets role credentials and regions in its environment and no other AWS credential or profile
/// variables. The process becomes the command: signals, job control and the exit status are its own. With
/// `--renew` it stays beside the command, and hands it fresh role credentials for as long as it runs.
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(
    name = "with-aws",
    version,
    after_help = "Examples: with-aws read-only -- aws s3 ls\n          with-aws --renew backup -- restic backup ~/work\n\n\
Exit codes: 125 awsdir's own failure, 126 not executable, 127 not found, else the command's own.",
    max_term_width = 100
)]
pub(crate) struct WithAws {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) exec: Exec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub(crate) struct Global {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say each step on stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colour messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Print the hook for a shell's startup file
    #[command(
        after_help = "bash:  eval \"$(awsdir init bash)\"   in ~/.bashrc\nzsh:   eval \"$(awsdir init zsh)\"    in ~/.zshrc\nfish:  awsdir init fish | source      in ~/.config/fish/config.fish"
    )]
    Init(Init),
    #[command(hide = true)]
    Hook(Hook),
    #[command(hide = true)]
    Refresh(Refresh),
    /// Write a `.awsprofile` here and allow it
    Pin(Pin),
    /// Allow a `.awsprofile` as it stands: this content at this path
    Allow(Trust),
    /// Take back what `allow` gave
    Deny(Trust),
    /// Sign in, if that is needed
    Login(Login),
    /// End a session at AWS and remove its token and role credentials
    Logout(Logout),
    /// Say what is in force here and why, and what will happen next
    Status(Status),
    /// List the profiles: account, role, region, session and state
    List(List),
    /// Run one command as another role (the same as with-aws)
    #[command(after_help = "Example: awsdir exec read-only -- aws s3 ls")]
    Exec(Exec),
    /// Print role credentials, as `aws configure export-credentials` does
    #[command(after_help = "Example: eval \"$(awsdir export read-only --format env)\"")]
    Export(Export),
    /// Serve role credentials to another tool's `credential_process`; never asks, never opens a browser
    #[command(after_help = "In a config file: credential_process = awsdir credential-process read-only")]
    CredentialProcess(CredentialProcess),
    /// Print the prompt segment
    Prompt(Prompt),
    /// Print the completion script of a shell, for both awsdir and with-aws
    #[command(
        after_help = "bash:  source <(awsdir completions bash)       in ~/.bashrc\nzsh:   source <(awsdir completions zsh)        in ~/.zshrc, after compinit\nfish:  awsdir completions fish | source        in ~/.config/fish/config.fish"
    )]
    Completions(Completions),
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Init {
    pub(crate) shell: Shell,
    /// bash: leave `cd`, `pushd` and `popd` alone, and look only when a prompt is drawn
    #[arg(long)]
    pub(crate) no_cd: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Hook {
    pub(crate) shell: Shell,
    /// What was said last, so that nothing is said twice
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) said: String,
    /// A refresh has just run, and has said what there was to say
    #[arg(long)]
    pub(crate) refreshed: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Refresh {
    /// Renew only, without a terminal
    #[arg(long)]
    pub(crate) detached: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Pin {
    /// A profile of ~/.aws/config; or ACCOUNT/PERMISSION-SET, for everybody whatever they call it
    pub(crate) profile: String,
    /// A region that wins over the profile's own
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The directory to pin instead of this one
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Trust {
    /// The file, or its directory; without it, the one in force here
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Login {
    /// A profile whose session to sign in to; without it, the one in force here
    pub(crate) profile: Option<String>,
    /// The sso-session itself
    #[arg(long, value_name = "NAME", conflicts_with = "profile")]
    pub(crate) session: Option<String>,
    /// Sign in although the session is fresh
    #[arg(long)]
    pub(crate) force: bool,
    /// Confirm a code in any browser, also on another device
    #[arg(long)]
    pub(crate) device_code: bool,
    /// Print the page's address and leave opening it to you
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Port of the loopback listener, for `ssh -L`
    #[arg(long, value_name = "N", conflicts_with = "device_code")]
    pub(crate) port: Option<u16>,
    /// How long to wait for you, in seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Logout {
    /// The sso-session; without it, the one in force here
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
    /// Every session
    #[arg(long, conflicts_with = "session")]
    pub(crate) all: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Status {
    /// A profile; without it, the one in force here
    pub(crate) profile: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct List {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Exec {
    /// A region that wins over the profile's own
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Renew first if the role credentials have less time left than this (`30m`, `1h`)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) min_ttl: Option<Duration>,
    /// Whether to sign in if that is needed
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub(crate) login: ExecLogin,
    /// Renew the role credentials for as long as the command runs
    #[arg(long)]
    pub(crate) renew: bool,
    /// How the command gets them; without `--renew` in its environment, with it from an endpoint
    #[arg(long, value_name = "HOW")]
    pub(crate) credentials: Option<Delivery>,
    /// A profile of ~/.aws/config, or ACCOUNT/PERMISSION-SET
    pub(crate) profile: String,
    /// The command and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecLogin {
    /// If somebody is at the terminal
    Auto,
    Never,
}

/// How a command gets its role credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Delivery {
    /// Environment variables, for programs of every age; they cannot be renewed
    Env,
    /// A container-credentials endpoint on 127.0.0.1, which SDKs ask again; implies --renew
    Endpoint,
    /// A credentials file with a `credential_process`, for programs that read only files; implies --renew
    Process,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Export {
    /// A profile; without it, the one in force here
    pub(crate) profile: Option<String>,
    #[arg(long, value_name = "F", default_value = "process")]
    pub(crate) format: Format,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct CredentialProcess {
    /// A profile of ~/.aws/config
    pub(crate) profile: String,
    /// Renew first if the role credentials have less time left than this (`30m`, `1h`)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) min_ttl: Option<Duration>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Prompt {
    /// Escape what is special in this shell's prompt
    pub(crate) shell: Option<Shell>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Completions {
    pub(crate) shell: Shell,
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write `30m` or `1h`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn both_grammars_are_sound() {
        Cli::command().debug_assert();
        WithAws::command().debug_assert();
    }

    #[test]
    fn the_command_keeps_its_own_flags() {
        for line in ["with-aws ro -- ls -l --all", "with-aws ro ls -l --all"] {
            let parsed = WithAws::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(parsed.exec.profile, "ro");
            assert_eq!(parsed.exec.command, ["ls", "-l", "--all"]);
        }
    }
}
