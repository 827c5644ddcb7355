//! `awsdir`.

fn main() -> std::process::ExitCode {
    awsdir::awsdir()
}
