#!/usr/bin/env bash
# Step 5: puts the artifact where CodePipeline takes it from: bash publish-artifact.sh <private-key
# Builds run side by side and end in any order; the newest push wins by compare-and-swap: the object is replaced only
# if it is still the one seen before the branch was seen to end in this commit.
# Reads what remote.sh and remote-git.sh name, GIT_BEFORE, ECR_REPOSITORY_URI, ARTIFACT_BUCKET, ARTIFACT_KEY.
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh" publish
after artifact
need ECR_REPOSITORY_URI ARTIFACT_BUCKET ARTIFACT_KEY
# shellcheck source=remote.sh
. "$(dirname -- "$0")/remote.sh"
: "${PUBLISH_ATTEMPTS:=10}"

image=$(<"$WORK_DIR/image")
digest=${image#*@}
repository=${ECR_REPOSITORY_URI#*/}
short=${GIT_COMMIT:0:10}
zip=$WORK_DIR/artifact.zip
object=(--bucket "$ARTIFACT_BUCKET" --key "$ARTIFACT_KEY")

# Git packs, since it is there anyway, and the same files give the same bytes when author and date are fixed.
pack() {
  local git=(git --git-dir="$WORK_DIR/artifact.git" --work-tree="$WORK_DIR/artifact")
  git init --quiet --bare --template= "$WORK_DIR/artifact.git"
  "${git[@]}" add --all .
  GIT_AUTHOR_NAME=image-build GIT_AUTHOR_EMAIL='' GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' \
    GIT_COMMITTER_NAME=image-build GIT_COMMITTER_EMAIL='' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z' \
    "${git[@]}" commit --quiet --message artifact
  TZ=UTC "${git[@]}" archive --format=zip --output="$zip" HEAD
}

# Sets `etag` and `published` (content hash) of the current artifact, both empty when there is none.
look_at_artifact() {
  local answer
  if answer=$(aws s3api head-object "${object[@]}" --query '[ETag, Metadata."content-sha256"]' --output text \
    2>"$WORK_DIR/aws.log"); then
    read -r etag published <<<"$answer"
  elif grep -qF '(404)' "$WORK_DIR/aws.log"; then
    etag='' published=''
  else
    fail "the current artifact cannot be read (a 403 may mean that s3:ListBucket is missing): $(<"$WORK_DIR/aws.log")"
  fi
}

# Ends the build well unless the branch still ends in this commit.
check_branch() {
  local attempt=1
  # Another replica of the server may not show the push yet: then it shows what was there before.
  until look_at_ref && [[ $tip != "${GIT_BEFORE-}" || $tip == "$GIT_COMMIT" ]]; do
    if ((attempt >= FETCH_ATTEMPTS)); then
      [[ -n $tip ]] || fail "$GIT_REMOTE cannot be read, $attempt attempts: $(git_said)"
      break
    fi
    pause "$attempt"
    attempt=$((attempt + 1))
  done
  [[ ! $tip =~ ^0+$ ]] || finish "superseded ($GIT_REF was deleted)"
  [[ $tip == "$GIT_COMMIT" ]] || finish "superseded by ${tip:0:10} ($GIT_REF has moved on from $short)"
}

# A second tag, which the registry's lifecycle rule keeps: an image in use must not expire.
keep_image() {
  local manifest
  manifest=$(aws ecr batch-get-image --repository-name "$repository" --image-ids imageDigest="$digest" \
    --query 'images[0].imageManifest' --output text 2>"$WORK_DIR/aws.log") ||
    fail "the manifest of $digest cannot be read: $(<"$WORK_DIR/aws.log")"
  aws ecr put-image --repository-name "$repository" --image-tag "live-$short" --image-digest "$digest" \
    --image-manifest "$manifest" >/dev/null 2>"$WORK_DIR/aws.log" ||
    grep -q ImageAlreadyExistsException "$WORK_DIR/aws.log" ||
    fail "the image cannot be tagged live-$short: $(<"$WORK_DIR/aws.log")"
}

# Returns 1 when somebody else was faster.
replace_artifact() {
  local condition=(--if-none-match '*')
  [[ -z $etag ]] || condition=(--if-match "$etag")
  if aws s3api put-object "${object[@]}" "${condition[@]}" --body "$zip" --content-type application/zip \
    --metadata "{\"image\":\"$image\",\"commit\":\"$GIT_COMMIT\",\"content-sha256\":\"$content\"}" \
    >/dev/null 2>"$WORK_DIR/aws.log"; then
    return 0
  fi
  grep -qE '\((PreconditionFailed|ConditionalRequestConflict|NoSuchKey|412|409)\)' "$WORK_DIR/aws.log" ||
    fail "the artifact cannot be written: $(<"$WORK_DIR/aws.log")"
  return 1
}

pack
# Of the files, not of the zip: another version of git may compress otherwise.
content=$(cd "$WORK_DIR/artifact" && sha256sum appspec.yaml imageDetail.json taskdef.json | sha256sum)
content=${content%% *}

for ((attempt = 1; attempt <= PUBLISH_ATTEMPTS; attempt++)); do
  look_at_artifact
  check_branch
  [[ $published != "$content" ]] || finish "nothing changed, $short was published before"
  keep_image
  if replace_artifact; then
    finish "published $short"
  fi
  say "another build published meanwhile, looking again"
  sleep 1
done
fail "the artifact changed $PUBLISH_ATTEMPTS times while this build tried to publish"
