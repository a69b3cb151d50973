//! `latchkey completions`: completion scripts for shells.

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde::Serialize;

use crate::Cli;
use crate::admin::output::{Format, Report};

/// Print the completion script of a shell
#[derive(Args)]
#[command(after_help = "Installation, for new shells:\n  \
    bash  latchkey completions bash > ~/.local/share/bash-completion/completions/latchkey\n        \
    (needs the package bash-completion)\n  \
    zsh   latchkey completions zsh > ~/.zfunc/_latchkey\n        \
    (with `fpath+=~/.zfunc` before `autoload -Uz compinit && compinit` in ~/.zshrc)\n  \
    fish  latchkey completions fish > ~/.config/fish/completions/latchkey.fish")]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// A completion script.
#[derive(Serialize)]
struct CompletionScript {
    shell: String,
    script: String,
}

impl Report for CompletionScript {
    fn render_text(&self) -> String {
        self.script.clone()
    }
}

impl CompletionsArgs {
    /// Prints the script.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn run(self, format: Format) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "latchkey", &mut script);
        let script = String::from_utf8(script).context("the script is not UTF-8")?;
        format.print(&CompletionScript { shell: self.shell.to_string(), script })
    }
}
