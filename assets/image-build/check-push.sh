#!/usr/bin/env bash
# Step 1: is this push to be built? Leaves `wanted`, or ends the build well.
# Reads GIT_REF, GIT_COMMIT, BUILD_REFS (patterns, one a line, `*` = any characters).
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh" push
need BUILD_REFS

# The pattern language of EventBridge, so that rule and build agree: `*` alone is special.
matches() {
  local string=$1 glob
  # shellcheck disable=SC2001 # what `&` means in a replacement depends on the version of bash
  glob=$(sed 's/[^*]/\\&/g' <<<"$2")
  # shellcheck disable=SC2053 # the right side is meant as a pattern
  [[ $string == $glob ]]
}

wanted() {
  local pattern
  while IFS= read -r pattern; do
    if [[ -n $pattern ]] && matches "$1" "$pattern"; then return 0; fi
  done <<<"$BUILD_REFS"
  return 1
}

ref=${GIT_REF-}
commit=${GIT_COMMIT-}

# A name that git accepts has no control characters: from here on it can be printed as it is.
if [[ $ref != refs/* ]] || ! git check-ref-format "$ref"; then
  finish "nothing to build (GIT_REF is not the full name of a ref: $(printf %q "$ref"))"
fi
[[ $ref == refs/heads/* ]] || finish "nothing to build ($ref is not a branch)"
[[ ! $commit =~ ^0{40}$ ]] || finish "nothing to build ($ref was deleted)"
[[ $commit =~ ^[0-9a-f]{40}$ ]] ||
  finish "nothing to build (GIT_COMMIT is not a full commit id: $(printf %q "$commit"))"
wanted "$ref" || finish "nothing to build ($ref is none of the branches to build)"

say "$ref at $commit"
: >"$WORK_DIR/wanted"
