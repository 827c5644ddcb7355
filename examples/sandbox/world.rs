//! The sandbox itself: an Identity Center, and a HOME with a config, two projects and the startup files of the shells.

use crate::Result;
use crate::identity_center::{Consent, IdentityCenter};
use crate::programs::Programs;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const CONFIG: &str = "\
[sso-session corp]
sso_start_url = https://awsdir-sandbox.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile read-only]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = ReadOnly
region = eu-west-1

[profile prod-admin]
sso_session = corp
sso_account_id = 222222222222
sso_role_name = Admin
region = us-east-1
";

const DOTFILE_OF_PROD: &str = "\
profile = prod-admin
# wins over the profile's own region
region  = us-west-2
";

const BASHRC: &str = r#"eval "$(awsdir init bash)"
PS1='\w $(awsdir_prompt)> '
"#;

const ZSHRC: &str = r#"eval "$(awsdir init zsh)"
setopt prompt_subst
PROMPT='%~ $(awsdir_prompt)> '
"#;

const CONFIG_FISH: &str = r"awsdir init fish | source
set -g fish_greeting
set -g fish_prompt_pwd_dir_length 0
function fish_prompt
    printf '%s %s> ' (prompt_pwd) (awsdir_prompt)
end
";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub(crate) const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        which::which(self.name()).is_ok()
    }
}

pub(crate) struct World {
    pub(crate) identity_center: IdentityCenter,
    home: PathBuf,
    stand_in_browser: PathBuf,
    /// Removes everything when dropped.
    _root: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(programs: &Programs) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("awsdir-sandbox-").tempdir()?;
        let identity_center = IdentityCenter::start();
        // Seconds to spare, so that the time left is the same on a slow machine.
        identity_center.settings(|settings| settings.role_lifetime = Duration::from_secs(42 * 60 + 50));
        let home = root.path().canonicalize()?.join("home");
        let stand_in_browser = identity_center.browser_script(root.path());

        let bin = home.join("bin");
        fs::create_dir_all(&bin)?;
        symlink(&programs.awsdir, bin.join("awsdir"))?;
        symlink(&programs.with_aws, bin.join("with-aws"))?;
        let whoami = bin.join("whoami-aws");
        let sandbox = programs.sandbox.to_str().ok_or("the path of this program is not UTF-8")?;
        fs::write(&whoami, format!("#!/bin/sh\nexec {} --whoami\n", shlex::try_quote(sandbox)?))?;
        fs::set_permissions(&whoami, fs::Permissions::from_mode(0o755))?;

        let files = [
            (".aws/config", CONFIG),
            (".config/awsdir/config", "[prompt]\ndanger = *prod*\n"),
            ("work/app/.awsprofile", "read-only\n"),
            ("work/prod/.awsprofile", DOTFILE_OF_PROD),
            (".bashrc", BASHRC),
            (".zshrc", ZSHRC),
            (".config/fish/config.fish", CONFIG_FISH),
        ];
        for (path, content) in files {
            let path = home.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&home))?;
            fs::write(path, content)?;
        }
        Ok(Self { identity_center, home, stand_in_browser, _root: root })
    }

    /// From now on sign-ins wait for a click.
    pub(crate) fn ask_for_consent(&self) {
        self.identity_center.settings(|settings| settings.consent = Consent::Page);
    }

    /// An interactive shell in the HOME, with the stand-in browser. Of the environment outside it knows the PATH.
    pub(crate) fn command(&self, shell: Shell) -> Command {
        let mut command = Command::new(shell.name());
        let endpoint = self.identity_center.endpoint();
        let mut path = self.home.join("bin").into_os_string();
        if let Some(outside) = std::env::var_os("PATH") {
            path.push(":");
            path.push(outside);
        }
        command
            .arg("-i")
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", path)
            .env("BROWSER", &self.stand_in_browser)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("AWS_ENDPOINT_URL_SSO", &endpoint)
            .env("AWS_ENDPOINT_URL_SSO_OIDC", &endpoint)
            .env("AWS_ENDPOINT_URL_STS", &endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .current_dir(&self.home);
        command
    }
}

/// What a person's terminal and browser need of the environment outside.
pub(crate) fn is_of_terminal(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "COLORTERM",
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "NO_COLOR",
        "SHELL",
        "TERM",
        "TZ",
        "USER",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "XDG_RUNTIME_DIR",
    ];
    NAMES.contains(&name) || ["LC_", "VSCODE_IPC_", "WSL"].iter().any(|prefix| name.starts_with(prefix))
}

/// The person's own browser as a value of `BROWSER`, with the person's own HOME: it should open where the person's
/// pages are. `None` where nothing could show a page.
pub(crate) fn browser_of_person() -> Option<String> {
    let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let displays = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"];
    let templates = if let Some(list) = var("BROWSER") {
        list.split(':').map(str::to_owned).collect()
    } else if cfg!(target_os = "macos") || displays.iter().any(|name| var(name).is_some()) {
        open::commands("%s").iter().filter_map(template).collect()
    } else {
        Vec::new()
    };
    let home = std::env::home_dir()?;
    let home = shlex::try_quote(home.to_str()?).ok()?.into_owned();
    let can_run = |template: &String| shlex::split(template).is_some_and(|words| which::which(&words[0]).is_ok());
    templates.into_iter().find(can_run).map(|template| format!("env HOME={home} {template}"))
}

fn template(command: &Command) -> Option<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Option<Vec<&str>> = words.map(|word| word.to_str()).collect();
    shlex::try_join(words?).ok()
}
