//! `awsdir init SHELL`: the hook for a shell's startup file.

use super::print;
use crate::cli::Init;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::shell::{Script, Shell};
use crate::store::generation;

pub(super) fn run(context: &Context, arguments: &Init) -> Result<()> {
    let program =
        std::env::current_exe().map_err(|source| Error::System { doing: "find the path of this program", source })?;
    // What varies stands before the script, which is the same file for everybody.
    let mut preamble = Script::new(arguments.shell);
    preamble.variable("__awsdir_bin", program);
    preamble.variable("__awsdir_generation_file", generation::path(context)?);
    match arguments.shell {
        Shell::Bash if arguments.no_cd => preamble.variable("__awsdir_no_cd", "1"),
        Shell::Fish => {
            // Without it fish cannot tell the time, and looks only when the directory changes.
            let _ = generation::ensure_clock(context);
            preamble.variable("__awsdir_clock_file", generation::clock_path(context)?);
        }
        Shell::Bash | Shell::Zsh => {}
    }
    print([&preamble.into_text(), arguments.shell.script().as_bytes()].concat())
}
