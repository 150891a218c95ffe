# shellcheck shell=bash
# Questions to the git server, for the steps that read the private key from standard input. Sourced after common.sh.
# Reads GIT_REMOTE, GIT_REF, FETCH_ATTEMPTS, FETCH_PAUSE_SECONDS.
need GIT_REMOTE GIT_REF GIT_COMMIT
: "${FETCH_ATTEMPTS:=8}" "${FETCH_PAUSE_SECONDS:=1}"
key=$(cat)

# Never the repository that the caller happens to stand in.
export GIT_DIR=$WORK_DIR/repository

# Runs a git command that speaks to the server; ends the build where another attempt cannot help.
ask_remote() {
  local status=0
  printf '%s\n' "$key" | bash "$(dirname -- "$0")/remote-git.sh" "$@" 2>"$WORK_DIR/git-said" || status=$?
  [[ $status != 3 ]] || fail "$(git_said)"
  return "$status"
}

# What git said last, on one line; parts of it are the server's words.
git_said() {
  tr -s '\n' ' ' <"$WORK_DIR/git-said" | tr -d '\000-\037\177'
}

# Sets `tip` to the commit at GIT_REF, 40 zeros when there is no such ref.
# shellcheck disable=SC2034 # the steps use it
look_at_ref() {
  local id name
  tip=
  ask_remote ls-remote --quiet -- "$GIT_REMOTE" "$GIT_REF" >"$WORK_DIR/refs" || return
  tip=0000000000000000000000000000000000000000
  while read -r id name; do
    # A pattern of ls-remote also matches refs that merely end in it.
    [[ $name != "$GIT_REF" ]] || tip=$id
  done <"$WORK_DIR/refs"
}

# Sleeps 1, 2, 4, 8, 16, 16, ... units after the first, second, ... attempt: with the defaults about a minute in all.
pause() {
  local units=$((1 << ($1 < 5 ? $1 - 1 : 4)))
  sleep "$((units * FETCH_PAUSE_SECONDS))"
}
