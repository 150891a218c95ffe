#!/bin/sh
# Answers 200 on $PORT for $HEALTH_CHECK_PATH until the first deployment. Runs on busybox.
set -eu
site=$PWD/site
case $HEALTH_CHECK_PATH in
  */) page=$site$HEALTH_CHECK_PATH'index.html' ;;
  *) page=$site$HEALTH_CHECK_PATH ;;
esac
mkdir -p "$(dirname "$page")"
echo 'Waiting for the first deployment.' >"$page"
[ -e "$site/index.html" ] || cp "$page" "$site/index.html"
exec httpd -f -p "$PORT" -h "$site"
