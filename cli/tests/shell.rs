//! The program in a shell: colours, completions and help.

use std::process::{Command, Output, Stdio};

fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.args(args).env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn colours_are_off_in_pipes_unless_forced() {
    let error = |variables: &[(&str, &str)]| {
        let output = run(&["client", "list"], variables);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let plain = error(&[]);
    assert!(plain.starts_with("latchkey: TABLE_NAME is not set. "), "{plain}");
    assert!(error(&[("CLICOLOR_FORCE", "1")]).starts_with("\u{1b}[31mlatchkey:\u{1b}[0m "));
    assert_eq!(error(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), plain);

    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.";
    let inspect = |more: &[&str], forced| {
        let variables = [("CLICOLOR_FORCE", "1")];
        let args = [&["token", "inspect", token], more].concat();
        let output = run(&args, if forced { &variables } else { &[] });
        String::from_utf8(output.stdout).unwrap()
    };
    let escape = '\u{1b}';
    assert!(inspect(&[], true).contains(escape) && !inspect(&[], false).contains(escape));
    assert!(!inspect(&["--output", "json"], true).contains(escape), "JSON has no colours");
}

#[test]
fn completions_contain_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell], &[("CLICOLOR_FORCE", "1")]);
        let script = String::from_utf8(output.stdout).unwrap();
        for command in ["signing-key", "doctor", "rotate-secret", "completions"] {
            assert!(script.contains(command), "{shell} {command}");
        }
        let document = run(&["completions", shell, "--output", "json"], &[]).stdout;
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!((&document["shell"], &document["script"]), (&shell.into(), &script.into()));
        let help = String::from_utf8(run(&["completions", "--help"], &[]).stdout).unwrap();
        assert!(help.contains(&format!("latchkey completions {shell} > ~/")), "{help}");
    }
    assert_eq!(run(&["completions", "csh"], &[]).status.code(), Some(2));
}
