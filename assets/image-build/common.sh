# shellcheck shell=bash
# What all steps share. A step sources it with its own name: . common.sh NAME
#
# The steps are processes of their own and meet in the folder WORK_DIR: each leaves one product there, which the
# next one asks for, and whoever comes to an end for good leaves the file `outcome`.
set -euo pipefail
step=$1
: "${WORK_DIR:?must name the folder that the steps share}"

# One stream, so that what a step says and what its tools say stay in order in every log.
exec 2>&1

# Whatever the caller exported: nothing that a step starts inherits the key.
unset GIT_SSH_KEY

# English messages, bytes stay bytes; no pager; git reads no configuration but what stands here.
export LC_ALL=C AWS_PAGER='' GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null

say() {
  printf '[%s] %s\n' "$step" "$*" >&2
}

fail() {
  say "error: $*"
  exit 1
}

# Ends the whole build well: the steps after this one have nothing to do.
finish() {
  printf '%s\n' "$*" >"$WORK_DIR/outcome"
  printf 'outcome: %s\n' "$*" >&2
  exit 0
}

# The environment's part of the contract.
need() {
  local name
  for name in "$@"; do
    [[ -n ${!name-} ]] || fail "the environment variable $name must not be empty"
  done
}

# The earlier steps' part: CodeBuild runs post_build even when build failed.
after() {
  [[ -e $WORK_DIR/$1 ]] || fail "not run: an earlier step has not left \"$1\""
}

ended() {
  if [[ $1 != 0 && ! -e $WORK_DIR/outcome ]]; then
    echo failed >"$WORK_DIR/outcome"
    echo "outcome: failed ([$step] above says why)" >&2
  fi
}

if [[ -e $WORK_DIR/outcome ]]; then
  [[ $(<"$WORK_DIR/outcome") != failed ]]
  exit
fi
trap 'ended $?' EXIT
