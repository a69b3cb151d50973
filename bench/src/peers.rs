//! Peers: functions in `bench/peers` with libraries from npm and PyPI. They get the same tokens and events in the same
//! emulator. Their keys and clients are built in, so they read no store.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::artifact::{Artifact, root, target};
use crate::case::{BATCH, BEARER, Case, Input, LONG_LIVED, body};
use crate::process::Process;
use crate::stack::Stack;

/// The tools that they need: a command that prints the version, and the minimum version.
const TOOLS: [(&str, &[&str], [u32; 2]); 4] = [
    ("node", &["--version"], [20, 0]),
    ("npm", &["--version"], [0, 0]),
    ("python3", &["--version"], [3, 11]),
    ("python3", &["-m", "venv", "--help"], [0, 0]),
];

/// Checks that the tools are installed. The error names the missing one.
pub fn check_tools() -> Result<(), String> {
    for (program, arguments, at_least) in TOOLS {
        let output = Command::new(program).args(arguments).output();
        let found = output.is_ok_and(|output| {
            output.status.success() && version(&String::from_utf8_lossy(&output.stdout)) >= at_least
        });
        if !found {
            let called = [&[program], arguments].concat().join(" ");
            return Err(format!(
                "`{called}` fails or is too old: --peers needs Node 20 or later, and Python 3.11 or later"
            ));
        }
    }
    Ok(())
}

/// The first two numbers in a text.
fn version(text: &str) -> [u32; 2] {
    let numbers = text.split(|character: char| !character.is_ascii_digit());
    let mut numbers = numbers.filter_map(|number| number.parse().ok());
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)]
}

/// The cases of all peers.
pub fn cases(discovery: &Artifact, stacks: &[(&'static str, Stack)]) -> anyhow::Result<Vec<Case>> {
    let peers = Peers::install()?;
    let mut cases = Vec::new();
    for (algorithm, stack) in stacks {
        cases.extend(peers.cases(algorithm, stack, &jwks(discovery, stack)?)?);
    }
    Ok(cases)
}

/// The JWKS of the stack, from a new process of `discovery`.
fn jwks(discovery: &Artifact, stack: &Stack) -> anyhow::Result<String> {
    let command = [discovery.path.display().to_string()];
    let mut process = Process::start(&command, &stack.environment(&[]), "keys")?;
    process.ready()?;
    let answers = process.answers(vec![stack.event("discovery/jwks", "")?])?;
    answers.first().and_then(|answer| body(&answer.body)).context("no keys")
}

/// The folders in which the peers are installed.
struct Peers {
    node: PathBuf,
    python: PathBuf,
}

impl Peers {
    /// Installs the pinned packages. Later runs reuse them.
    fn install() -> anyhow::Result<Self> {
        let folder = std::path::absolute(target().join("peers"))?;
        let (node, python) = (copy("node", &folder)?, copy("python", &folder)?);
        eprintln!("installing the peers");
        run(Command::new("npm").args(["ci", "--silent"]).current_dir(&node))?;
        if !python.join("venv/bin/python").exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(python.join("venv")))?;
        }
        let mut install = Command::new(python.join("venv/bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        run(install.arg(python.join("requirements.txt")))?;
        Ok(Self { node, python })
    }

    fn cases(&self, algorithm: &'static str, stack: &Stack, jwks: &str) -> anyhow::Result<Vec<Case>> {
        let signing_key = self.private_key(algorithm)?;
        let python_path = self.python.display().to_string();
        let settings = [
            LONG_LIVED,
            ("JWKS", jwks),
            ("SIGNING_KEY", signing_key.as_str()),
            ("PYTHONPATH", python_path.as_str()),
        ];
        let case = |name: &str, command, input, expected, compared_with: &str| Case {
            name: name.to_owned(),
            algorithm,
            command,
            environment: stack.environment(&settings),
            input,
            expected,
            batch: BATCH,
            compared_with: Some(compared_with.to_owned()),
        };
        let signing = |name: &str| format!("{name} {algorithm}");
        let (authorizer, token) = (signing("authorizer, new token"), signing("token"));
        let request = || Ok::<_, anyhow::Error>(Input::Same(stack.event("token/basic", "")?));
        let allowed = "\"isAuthorized\":true";
        let mut cases = vec![
            case(
                &signing("aws-jwt-verify"),
                self.node("aws-jwt-verify"),
                Input::NewToken,
                allowed,
                &authorizer,
            ),
            case(&signing("jose"), self.node("jose"), Input::NewToken, allowed, &authorizer),
            // Python's JSON has spaces.
            case(
                &signing("PyJWT"),
                self.python("authorizer"),
                Input::NewToken,
                "\"isAuthorized\": true",
                &authorizer,
            ),
            case(
                &signing("FastAPI + PyJWT"),
                self.python("token_endpoint"),
                request()?,
                "access_token",
                &token,
            ),
            case(&signing("oidc-provider"), self.node("oidc-provider"), request()?, "access_token", &token),
        ];
        if algorithm == "RS256" {
            let event = || Ok::<_, anyhow::Error>(Input::Same(stack.event(BEARER, "")?));
            cases.push(case("hello-world on Node", self.node("hello"), event()?, "\"2.0\"", "hello-world"));
            cases.push(case(
                "hello-world on Python",
                self.python("hello"),
                event()?,
                "\"2.0\"",
                "hello-world",
            ));
        }
        Ok(cases)
    }

    fn node(&self, module: &str) -> Vec<String> {
        vec!["node".to_owned(), self.node.join("runtime.js").display().to_string(), module.to_owned()]
    }

    fn python(&self, module: &str) -> Vec<String> {
        let python = self.python.join("venv/bin/python").display().to_string();
        vec![python, "-m".to_owned(), "awslambdaric".to_owned(), format!("{module}.handler")]
    }

    /// A private key as a JWK.
    fn private_key(&self, algorithm: &str) -> anyhow::Result<String> {
        let output = Command::new("node").arg(self.node.join("key.js")).arg(algorithm).output()?;
        ensure!(output.status.success(), "no key: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Copies the sources of a language to the folder of its packages.
fn copy(language: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let (from, to) = (root().join("bench/peers").join(language), folder.join(language));
    fs::create_dir_all(&to)?;
    for file in fs::read_dir(&from).with_context(|| from.display().to_string())? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(to)
}

/// Runs a command without its output.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
