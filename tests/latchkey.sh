# shellcheck shell=bash
# Sourced by test scripts: finds a `latchkey` binary, installs Python packages and runs a `latchkey dev` that stops with
# the script.
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

if [ -n "${LATCHKEY:-}" ]; then
  LATCHKEY=$(realpath "$LATCHKEY")
else
  (cd "$root" && cargo build --quiet --locked --bin latchkey)
  LATCHKEY=${CARGO_TARGET_DIR:-$root/target}/debug/latchkey
fi

work=$(mktemp -d)
latchkey=
finish() {
  status=$?
  if [ -n "$latchkey" ]; then
    kill "$latchkey" 2>/dev/null && wait "$latchkey" || true
  fi
  [ "$status" = 0 ] || tail -n 40 "$work/log" 2>/dev/null >&2 || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

# Installs a list of packages into a virtual environment, which later runs reuse.
install_python() { # folder list
  [ -x "$1/bin/python" ] || python3 -m venv "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$2"
}

# Starts a `latchkey dev` and loads its dev.env.
start_latchkey() {
  mkfifo "$work/out"
  env -u AWS_ENDPOINT_URL_DYNAMODB "$LATCHKEY" dev --ephemeral --port 0 --data "$work/data" >"$work/out" 2>"$work/log" &
  latchkey=$!
  exec 3<"$work/out"
  read -r -t 60 ready <&3 || { echo "latchkey dev did not start" >&2; exit 1; }
  [[ $ready == "listening on "* ]] || { echo "unexpected output of latchkey dev: $ready" >&2; exit 1; }
  # Drains the rest of its output.
  cat <&3 >/dev/null &
  set -a
  # shellcheck disable=SC1091
  source "$work/data/dev.env"
  set +a
}
