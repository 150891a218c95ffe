#!/usr/bin/env bash
# Step 4, for the branch that goes live: what CodePipeline hands to CodeDeploy. Leaves `artifact`; ends the build well
# for other branches.
# Reads GIT_REF, LIVE_REF, DEPLOY_FILES and the variables that stand for the placeholders.
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh" render
after image
need GIT_REF GIT_COMMIT LIVE_REF DEPLOY_FILES

placeholders=(
  TASK_FAMILY TASK_EXECUTION_ROLE_ARN TASK_ROLE_ARN CONTAINER_NAME CONTAINER_PORT CPU MEMORY CPU_ARCHITECTURE
  LOG_GROUP_NAME LOG_STREAM_PREFIX AWS_DEFAULT_REGION
)
# CodePipeline fills these in itself.
later='<(IMAGE1_NAME|TASK_DEFINITION)>'

[[ $GIT_REF == "$LIVE_REF" ]] || finish "image only, tag ${GIT_COMMIT:0:10} ($GIT_REF does not go live)"

# Prints the template $1 with its placeholders filled in.
render() {
  local text name value left
  text=$(<"$1")
  for name in "${placeholders[@]}"; do
    [[ $text == *"<$name>"* ]] || continue
    value=${!name-}
    [[ -n $value ]] || fail "${1##*/} wants <$name>, which has no value"
    # What would end a JSON string early could turn one value into several.
    [[ $value != *[\"[:cntrl:]]* ]] || fail "the value of $name has a quote or a control character"
    text=${text//"<$name>"/"$value"}
  done
  left=$(grep -oE '<[A-Z0-9_]+>' <<<"$text" | grep -vxE "$later" | sort -u | tr '\n' ' ') || true
  [[ -z $left ]] || fail "${1##*/} has unknown placeholders: $left"
  printf '%s\n' "$text"
}

# Reads standard input; the first of the parsers that is there decides.
check_json() {
  if ruby -rjson -e '' 2>/dev/null; then
    ruby -EUTF-8 -rjson -e 'JSON.parse(STDIN.read)'
  elif perl -MJSON::PP -e '' 2>/dev/null; then
    perl -MJSON::PP -0777 -ne 'JSON::PP->new->utf8->decode($_)'
  elif python3 -c 'import json' 2>/dev/null; then
    python3 -c 'import json, sys; json.load(sys.stdin.buffer)'
  else
    fail "this machine has no parser for JSON: ruby, perl with JSON::PP, or python3"
  fi
}

check_yaml() {
  if ruby -ryaml -e '' 2>/dev/null; then
    ruby -EUTF-8 -ryaml -e 'Psych.parse(STDIN.read)'
  elif perl -MYAML::XS -e '' 2>/dev/null; then
    perl -MYAML::XS -0777 -ne 'YAML::XS::Load($_)'
  elif python3 -c 'import yaml' 2>/dev/null; then
    python3 -c 'import sys, yaml; yaml.compose(sys.stdin.buffer)'
  else
    fail "this machine has no parser for YAML: ruby, perl with YAML::XS, or python3 with PyYAML"
  fi
}

unfinished=$WORK_DIR/artifact.unfinished
rm -rf "$unfinished"
mkdir "$unfinished"
for name in taskdef.json appspec.yaml; do
  template=$WORK_DIR/source/$DEPLOY_FILES/$name
  [[ -f $template ]] || fail "the commit has no file $DEPLOY_FILES/$name (setting build.deployFiles)"
  render "$template" >"$unfinished/$name"
done
complaint=$(check_json <"$unfinished/taskdef.json" 2>&1) || fail "taskdef.json is not JSON: $complaint"
complaint=$(check_yaml <"$unfinished/appspec.yaml" 2>&1) || fail "appspec.yaml is not YAML: $complaint"
printf '{"ImageURI":"%s"}\n' "$(<"$WORK_DIR/image")" >"$unfinished/imageDetail.json"
mv "$unfinished" "$WORK_DIR/artifact"
say "rendered imageDetail.json, taskdef.json and appspec.yaml"
