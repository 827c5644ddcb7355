//! What takes the place of the user's own files in a command whose role credentials are not in its environment: copies in
//! which the default profile has no credentials that would come first.

use super::files;
use crate::context::{Context, ORIGINAL};
use crate::core::environment::Assignment;
use crate::core::shadow::with_default;
use crate::error::{Error, Result, pasteable};
use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Files for one command, which go when this is dropped.
pub(crate) struct StandIns {
    /// What points the command at them.
    pub(crate) assignments: Vec<Assignment>,
    folder: Option<Folder>,
}

/// Puts aside what would come before an endpoint. Where nothing would, nothing is written.
pub(crate) fn for_endpoint(context: &Context) -> Result<StandIns> {
    let assignments = vec![Assignment::set("AWS_EC2_METADATA_DISABLED", "true")];
    StandIns { assignments, folder: None }.with_default(context, "")
}

/// Puts aside what would come before a `credential_process` in the credentials file: that of `awsdir`, for `profile`.
pub(crate) fn for_process(context: &Context, awsdir: &Path, profile: &str) -> Result<StandIns> {
    let assignments = vec![
        Assignment::set("AWS_EC2_METADATA_DISABLED", "true"),
        // Without it the SDK for JavaScript 2 knows nothing of processes.
        Assignment::set("AWS_SDK_LOAD_CONFIG", "1"),
    ];
    let folder = Folder::create(context)?;
    let mut command = Cow::Borrowed(awsdir);
    if pasteable(awsdir) != awsdir.to_string_lossy() {
        // minio-go splits at blanks and knows no quotes.
        let link = folder.path.join("awsdir");
        symlink(awsdir, &link).map_err(|source| Error::File { verb: "create", path: link.clone(), source })?;
        command = Cow::Owned(link);
    }
    let words = [&command, Path::new("credential-process"), Path::new(profile)].map(pasteable);
    let own = format!("credential_process = {}\n", words.join(" "));
    StandIns { assignments, folder: Some(folder) }.with_default(context, &own)
}

impl StandIns {
    /// The rest of them, with `own` lines in the default profile of the credentials file.
    fn with_default(mut self, context: &Context, own: &str) -> Result<Self> {
        self.replace(context, "AWS_CONFIG_FILE", context.aws_config_file(), "")?;
        self.replace(context, "AWS_SHARED_CREDENTIALS_FILE", context.aws_credentials_file(), own)?;
        if boto_has_keys(context) {
            self.assignments.push(Assignment::set("BOTO_CONFIG", "/dev/null"));
        }
        // restic and its kin look at these before any file and any endpoint, and at the MinIO client's own keys.
        let keys = ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"];
        self.assignments.extend(keys.into_iter().filter(|name| context.var_os(name).is_some()).map(Assignment::unset));
        let minio = context.home().is_ok_and(|home| home.join(".mc/config.json").exists());
        if minio || context.var("MINIO_SHARED_CREDENTIALS_FILE").is_some() {
            self.assignments.push(Assignment::set("MINIO_SHARED_CREDENTIALS_FILE", "/dev/null"));
        }
        Ok(self)
    }

    fn replace(&mut self, context: &Context, name: &'static str, original: Result<&Path>, own: &str) -> Result<()> {
        let original = match original {
            Ok(path) => Some(path),
            // Nobody finds a file there, either.
            Err(Error::NoHome) => None,
            Err(error) => return Err(error),
        };
        let text = Zeroizing::new(original.map(files::read_or_empty).transpose()?.unwrap_or_default());
        let without_shadow = Zeroizing::new(with_default(&text, own.as_bytes()));
        if without_shadow == text {
            // In a command of another wrapper the variable names that one's stand-in.
            if let (Some(original), Some(named)) = (original, context.var_os(name))
                && Path::new(&named) != original
            {
                self.assignments.push(Assignment::set(name, original));
            }
            return Ok(());
        }
        let folder = match &mut self.folder {
            Some(folder) => folder,
            none => none.insert(Folder::create(context)?),
        };
        let path = folder.path.join(if name == "AWS_CONFIG_FILE" { "config" } else { "credentials" });
        files::replace_unsynced(&path, &without_shadow)?;
        if let Some(original) = original {
            let mut beside = path.clone().into_os_string();
            beside.push(ORIGINAL);
            let linked = std::path::absolute(original).and_then(|original| symlink(original, &beside));
            linked.map_err(|source| Error::File { verb: "create", path: beside.into(), source })?;
        }
        self.assignments.push(Assignment::set(name, path));
        Ok(())
    }
}

/// Whether the files that botocore looks at last, but before an endpoint, have keys in them.
fn boto_has_keys(context: &Context) -> bool {
    let files = context.var_os("BOTO_CONFIG").map_or_else(
        || {
            let home = context.home().ok().map(|home| home.join(".boto"));
            home.into_iter().chain([PathBuf::from("/etc/boto.cfg")]).collect()
        },
        |path| vec![PathBuf::from(path)],
    );
    let has_keys = |text: Vec<u8>| memchr::memmem::find(&Zeroizing::new(text), b"aws_access_key_id").is_some();
    files.iter().any(|path| fs::read(path).is_ok_and(has_keys))
}

/// A folder for one command (0700), locked for as long as we live, so that others can tell what a killed one has left.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn create(context: &Context) -> Result<Self> {
        let all = context.state_directory()?.join("commands");
        sweep(&all);
        let path = all.join(files::random_hex());
        files::create_private_directory(&path)?;
        let lock = lock_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock);
        let locked = file.and_then(|file| file.try_lock().map(|()| file).map_err(Into::into));
        match locked {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(source) => Err(Error::File { verb: "lock", path: lock, source }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn lock_file(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// Removes what commands have left whose awsdir was killed. One that is just being made has no lock yet.
fn sweep(all: &Path) {
    const BEING_MADE: Duration = Duration::from_mins(1);
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let made = entry.metadata().and_then(|found| found.modified()).ok();
        let is_old = made.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > BEING_MADE);
        let is_locked = || File::open(lock_file(&entry.path())).is_ok_and(|file| file.try_lock().is_err());
        if is_old && !is_locked() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
