//! `with-aws`: the same as `awsdir exec`.

fn main() -> std::process::ExitCode {
    awsdir::with_aws()
}
