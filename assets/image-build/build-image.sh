#!/usr/bin/env bash
# Step 3: the image of GIT_COMMIT, built once and for all. Leaves its name by digest in `image`.
# Reads GIT_COMMIT, ECR_REPOSITORY_URI, DOCKERFILE, DOCKER_CONTEXT, DOCKER_PLATFORM, BUILD_CACHE; for inline
# ARTIFACT_BUCKET and ARTIFACT_KEY, for registry CACHE_REPOSITORY_URI and BUILDKIT_IMAGE.
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh" image
after source
need GIT_COMMIT ECR_REPOSITORY_URI DOCKERFILE DOCKER_CONTEXT DOCKER_PLATFORM BUILD_CACHE

registry=${ECR_REPOSITORY_URI%%/*}
repository=${ECR_REPOSITORY_URI#*/}
# As many digits as Backlog shows.
tag=${GIT_COMMIT:0:10}
label=org.opencontainers.image.revision

log_in() {
  aws ecr get-login-password | docker login --username AWS --password-stdin "$registry"
}

# Sets `digest` to that of the image which carries the tag, or to nothing.
look_up_tag() {
  digest=$(aws ecr describe-images --repository-name "$repository" --image-ids imageTag="$tag" \
    --query 'imageDetails[0].imageDigest' --output text 2>"$WORK_DIR/aws.log") && return
  digest=
  grep -q ImageNotFoundException "$WORK_DIR/aws.log" || fail "$(<"$WORK_DIR/aws.log")"
}

keep() {
  printf '%s\n' "$ECR_REPOSITORY_URI@$1" >"$WORK_DIR/image"
}

# Tags are immutable: the same commit built again gives other bytes, which the registry would refuse.
reuse() {
  local image=$ECR_REPOSITORY_URI@$digest revision
  docker pull --quiet "$image" >/dev/null || fail "the image with the tag $tag cannot be pulled"
  revision=$(docker image inspect --format "{{ index .Config.Labels \"$label\" }}" "$image")
  [[ $revision == "$GIT_COMMIT" ]] ||
    fail "the tag $tag belongs to another commit, ${revision:-unknown (no label $label)}, not to $GIT_COMMIT"
  keep "$digest"
  say "$tag was built before: $digest"
}

# Without provenance, which would turn the image into an index of several things.
export DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 BUILDKIT_PROGRESS=plain
arguments=(
  --platform "$DOCKER_PLATFORM"
  --file "$WORK_DIR/source/$DOCKERFILE"
  --label "$label=$GIT_COMMIT"
  --tag "$ECR_REPOSITORY_URI:$tag"
)

build_plainly() {
  docker build "${arguments[@]}" "$@" "$WORK_DIR/source/$DOCKER_CONTEXT"
}

# The layers of the image that is live now, found through the artifact that made it live.
build_with_inline_cache() {
  local live options=(--build-arg BUILDKIT_INLINE_CACHE=1)
  live=$(aws s3api head-object --bucket "$ARTIFACT_BUCKET" --key "$ARTIFACT_KEY" \
    --query Metadata.image --output text 2>/dev/null) || live=None
  if [[ $live == "$ECR_REPOSITORY_URI@"* ]]; then
    options+=(--cache-from "$live")
  fi
  build_plainly "${options[@]}"
}

# Also caches the stages that do not end up in the image, but needs a builder of its own.
build_with_registry_cache() {
  local cache=type=registry,ref=$CACHE_REPOSITORY_URI:cache
  docker buildx create --name "image-build-$tag" --driver docker-container --driver-opt "image=$BUILDKIT_IMAGE" \
    --bootstrap >/dev/null &&
    docker buildx build --builder "image-build-$tag" --load --cache-from "$cache" \
      --cache-to "$cache,mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true" \
      "${arguments[@]}" "$WORK_DIR/source/$DOCKER_CONTEXT"
}

build() {
  case $BUILD_CACHE in
    inline) need ARTIFACT_BUCKET ARTIFACT_KEY && build_with_inline_cache && return ;;
    registry) need CACHE_REPOSITORY_URI BUILDKIT_IMAGE && build_with_registry_cache && return ;;
    off) ;;
    *) fail "BUILD_CACHE must be inline, registry or off, got: $BUILD_CACHE" ;;
  esac
  # Nothing tells for sure whether the cache was at fault; when not, the local layers make this quick.
  [[ $BUILD_CACHE == off ]] || say "the build with the $BUILD_CACHE cache failed, trying without"
  build_plainly || fail "docker build failed"
}

[[ -f $WORK_DIR/source/$DOCKERFILE ]] || fail "the commit has no file $DOCKERFILE (setting build.dockerfile)"
[[ -d $WORK_DIR/source/$DOCKER_CONTEXT ]] || fail "the commit has no folder $DOCKER_CONTEXT (setting build.context)"

log_in >"$WORK_DIR/login.log" 2>&1 || fail "no login at $registry: $(<"$WORK_DIR/login.log")"

look_up_tag
if [[ -n $digest ]]; then
  reuse
  exit
fi

say "building $tag from $DOCKERFILE"
build
say "pushing $tag"
if docker push "$ECR_REPOSITORY_URI:$tag"; then
  digest=$(docker image inspect --format '{{ range .RepoDigests }}{{ println . }}{{ end }}' "$ECR_REPOSITORY_URI:$tag" |
    sed -n "s|^$ECR_REPOSITORY_URI@||p" | head -n 1)
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "docker names no digest for the image it pushed"
  keep "$digest"
  say "pushed $tag: $digest"
else
  look_up_tag
  [[ -n $digest ]] || fail "the push to $ECR_REPOSITORY_URI failed"
  say "another build of this push was faster"
  reuse
fi
