//! `latchkey completions`: what a shell needs to finish what somebody begins to type.

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde::Serialize;

use crate::Cli;
use crate::admin::output::{Format, Report};

/// Print the completions of a shell
#[derive(Args)]
#[command(after_help = "Where they go; a new shell has them:\n  \
    bash  latchkey completions bash > ~/.local/share/bash-completion/completions/latchkey\n        \
    (needs the package bash-completion)\n  \
    zsh   latchkey completions zsh > ~/.zfunc/_latchkey\n        \
    (with `fpath+=~/.zfunc` before `autoload -Uz compinit && compinit` in ~/.zshrc)\n  \
    fish  latchkey completions fish > ~/.config/fish/completions/latchkey.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// A script for a shell.
#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

impl Report for Script {
    fn for_people(&self) -> String {
        self.script.clone()
    }
}

impl CompletionsArgs {
    /// Prints the script.
    ///
    /// # Errors
    /// A standard output that takes no more.
    pub fn run(self, format: Format) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "latchkey", &mut script);
        let script = String::from_utf8(script).context("the script is not UTF-8")?;
        format.print(&Script { shell: self.shell.to_string(), script })
    }
}
