//! Snapshots of the command line's texts. After a wanted change, review the difference and run
//! `INSTA_UPDATE=always cargo test -p latchkey --test texts`.

mod stack;

use std::fmt::Write;
use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use insta::assert_snapshot;
use latchkey::Cli;
use local::Running;
use serde_json::Value;
use tempfile::TempDir;

use self::stack::local_stack;

/// Help of a command and all its subcommands.
fn write_help(command: &mut clap::Command, path: &str, texts: &mut String) {
    writeln!(texts, "=== {path}\n{}", command.render_long_help()).unwrap();
    for subcommand in command.get_subcommands_mut().filter(|subcommand| subcommand.get_name() != "help") {
        let path = format!("{path} {}", subcommand.get_name());
        write_help(subcommand, &path, texts);
    }
}

#[test]
fn help_of_every_command() {
    let mut command = Cli::command();
    command.build();
    let mut texts = String::new();
    write_help(&mut command, "latchkey", &mut texts);
    assert_snapshot!(trimmed(&texts));
}

struct Stack {
    running: Running,
    _folder: TempDir,
}

impl Stack {
    async fn start() -> Self {
        let (running, folder) = local_stack().await;
        Self { running, _folder: folder }
    }

    /// Standard output and standard error of a command.
    fn run(&self, args: &str, input: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.args(args.split(' ')).env_clear().envs(&self.running.environment);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
        let output = child.wait_with_output().unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
    }

    fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{args} --output json"), "")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_reports_of_every_command() {
    let stack = Stack::start().await;
    let mut texts = String::new();
    for (args, input) in [
        // First, because the function discovery caches the keys for 15 s.
        ("doctor", ""),
        ("client create billing --scope todo:read todo:write --claim tenant=acme --quota 1000/1h", ""),
        ("client create job --scope todo:read --no-secret", ""),
        ("client list", ""),
        ("client show billing", ""),
        ("client show job", ""),
        ("client update billing --token-ttl 300", ""),
        ("client rotate-secret billing", ""),
        ("client rotate-secret billing --overlap 0s", ""),
        ("client disable billing", ""),
        ("client enable billing", ""),
        ("client delete billing", ""),
        ("client show billing", ""),
        ("user create ada --email ada@example.com --scope todo:read", "correct horse battery"),
        ("user list", ""),
        ("user show ada", ""),
        ("user update ada --no-email", ""),
        ("user set-password ada", "another good password"),
        ("user unlock ada", ""),
        ("user disable ada", ""),
        ("user enable ada", ""),
        ("user delete ada", ""),
        ("user delete ada", ""),
        ("user import -", "{}\n[]\n"),
        ("signing-key status", ""),
        ("signing-key rotate", ""),
        ("api-key list", ""),
        ("api-key create --owner demo --scope todo:read", ""),
        ("api-key revoke key_0", ""),
        ("token revoke 0123456789abcdefghijkl", ""),
    ] {
        writeln!(texts, "$ latchkey {args}\n{}", stack.run(args, input)).unwrap();
    }
    for key in stack.json("signing-key status")["keys"].as_array().unwrap() {
        texts = texts.replace(key["kid"].as_str().unwrap(), &"K".repeat(43));
    }
    assert_snapshot!(trimmed(&fixed(&texts.replace(&stack.running.url, "http://127.0.0.1:3000"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_errors() {
    let stack = Stack::start().await;
    let mut texts = String::new();
    for (args, input) in [
        ("client create demo-client --scope a", ""),
        ("client create latchkey --scope a", ""),
        ("client create é --scope a", ""),
        ("client create billing --scope a,b", ""),
        ("client create billing --scope a --audience a,b", ""),
        ("client create billing --scope a --audience é", ""),
        ("client create billing --scope a --token-ttl 59", ""),
        ("client create billing --scope a --token-ttl soon", ""),
        ("client create billing --scope a --claim sub=x", ""),
        ("client create billing --scope a --claim a=1 a=2", ""),
        ("client create billing --scope a --claim a", ""),
        ("client create billing --scope a --grant password", ""),
        ("client create billing --scope a --quota many", ""),
        ("client create billing --scope a --quota 1/32d", ""),
        ("client create billing --scope a --public-key /nowhere", ""),
        ("client create billing --scope a --jwks-url http://app.example.com/jwks", ""),
        ("client create billing --scope a --certificate-subject app", ""),
        ("client rotate-secret lk_cs_", ""),
        ("client rotate-secret demo-client --overlap soon", ""),
        ("user create demo", ""),
        ("user create usr_1", ""),
        ("user create ada --email ada", ""),
        ("user create ada", ""),
        ("user import /nowhere", ""),
        ("user import /", ""),
        ("api-key create --owner usr_1 --scope a", ""),
        ("api-key create --owner team --scope a --expires 0s", ""),
        ("api-key revoke lk_ak_", ""),
        ("client list --table other", ""),
        ("signing-key status --signing-secret other", ""),
        ("signing-key rotate --algorithm HS256", ""),
        ("token inspect canary", ""),
        ("token revoke canary", ""),
        ("google-token", ""),
    ] {
        writeln!(texts, "$ latchkey {args}\n{}", stack.run(args, input)).unwrap();
    }
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        texts = texts.replace(&stack.running.environment[name], &format!("${name}"));
    }
    assert_snapshot!(trimmed(&texts));
}

/// The texts without spaces at the ends of lines.
fn trimmed(texts: &str) -> String {
    texts.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The texts with fixed times and random ids, which keep their length.
fn fixed(texts: &str) -> String {
    let lines = texts.split('\n').map(|line| {
        let line = line.split_inclusive([' ', '=']).map(fixed_word).collect::<String>();
        let line = between(&line, "within ", " ms", "1");
        between(&line, "differs from the API's by ", " s", "0")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn fixed_word(word: &str) -> String {
    for prefix in ["usr_", "key_", "lk_cs_", "lk_ak_"] {
        let random = word.strip_prefix(prefix).map(|rest| rest.trim_end_matches([' ', '.']));
        if let Some(random) = random.filter(|random| random.len() > 8) {
            return word.replace(random, &"0".repeat(random.len()));
        }
    }
    let digits: String = word.chars().map(|c| if c.is_ascii_digit() { 'd' } else { c }).collect();
    if digits.starts_with("dddd-dd-dd") {
        digits.replace("dddd-dd-dd", "2026-01-01").replace("dd:dd:dd", "00:00:00")
    } else {
        word.to_owned()
    }
}

/// The line with a number that changes from run to run replaced.
fn between(line: &str, before: &str, after: &str, fixed: &str) -> String {
    let parts = line.split_once(before).and_then(|(start, rest)| {
        let (_, end) = rest.split_once(after)?;
        Some(format!("{start}{before}{fixed}{after}{end}"))
    });
    parts.unwrap_or_else(|| line.to_owned())
}
