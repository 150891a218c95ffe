#!/usr/bin/env bash
# Step 2: fetches exactly GIT_COMMIT: bash fetch-commit.sh <private-key. Leaves its files in `source`.
# Reads what remote.sh and remote-git.sh name, and GIT_BEFORE.
# Submodules and LFS objects are not fetched: the key opens one repository, and a build should need no more.
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh" fetch
after wanted
# shellcheck source=remote.sh
. "$(dirname -- "$0")/remote.sh"

# Git's own files stay out of `source`: they differ from build to build, which would defeat the cache of `COPY . .`.
# The empty template: no hooks.
git init --quiet --bare --template= "$GIT_DIR"

# The branch's history, for servers that give out no commit by its id; options of fetch say how much of it.
fetch_branch() {
  ask_remote fetch --quiet --no-tags "$@" -- "$GIT_REMOTE" "$GIT_REF" &&
    git cat-file -e "$GIT_COMMIT^{commit}" 2>/dev/null
}

searched=
# One attempt. The hook may arrive before the new ref can be seen, so "not there" is no final answer.
fetch_commit() {
  local history=()
  tip=
  if ask_remote fetch --quiet --no-tags --depth=1 -- "$GIT_REMOTE" "$GIT_COMMIT"; then return 0; fi
  look_at_ref || return 1
  if [[ $tip == "$GIT_COMMIT" ]]; then
    fetch_branch --depth=1
  elif [[ ! $tip =~ ^0+$ && $tip != "${GIT_BEFORE-}" && $tip != "$searched" ]]; then
    searched=$tip
    [[ $(git rev-parse --is-shallow-repository) == false ]] || history=(--unshallow)
    fetch_branch "${history[@]}"
  else
    return 1
  fi
}

attempt=1
until fetch_commit; do
  if ((attempt >= FETCH_ATTEMPTS)); then
    [[ -n $tip ]] || fail "$GIT_REMOTE cannot be read, $attempt attempts: $(git_said)"
    if [[ $tip =~ ^0+$ || $tip == "${GIT_BEFORE-}" ]]; then
      fail "$GIT_REF does not show commit $GIT_COMMIT, $attempt attempts: was it taken back?"
    fi
    finish "superseded by ${tip:0:10} ($GIT_REF was moved, its commit ${GIT_COMMIT:0:10} cannot be fetched any more)"
  fi
  if [[ -n $tip ]]; then
    say "attempt $attempt: the commit is not there yet"
  else
    say "attempt $attempt: the server cannot be read: $(git_said)"
  fi
  pause "$attempt"
  attempt=$((attempt + 1))
done

if [[ $GIT_REMOTE != file://* && ${GIT_HOST_KEY_CHECK-} == accept-new ]]; then
  say "the host key was accepted unseen: $(ssh-keygen -l -f "$WORK_DIR/known_hosts" | tr '\n' ' ')"
  say "if this is your server, pin it by these lines in backlog.knownHosts:"
  grep . "$WORK_DIR/known_hosts"
fi

mkdir "$WORK_DIR/checkout"
git --work-tree="$WORK_DIR/checkout" checkout --quiet --force --detach "$GIT_COMMIT"
if [[ -e $WORK_DIR/checkout/.gitmodules ]]; then
  say "warning: submodules are not fetched"
fi
if grep -qs filter=lfs "$WORK_DIR/checkout/.gitattributes"; then
  say "warning: LFS objects are not fetched, their files hold only pointers"
fi
mv "$WORK_DIR/checkout" "$WORK_DIR/source"
say "checked out $GIT_COMMIT"
