#!/usr/bin/env bash
# One git command that speaks to GIT_REMOTE: bash remote-git.sh ARGUMENT... <private-key
# A fresh ssh-agent holds the key for just this command; no file and no child's environment ever does.
# Reads GIT_REMOTE, GIT_KNOWN_HOSTS, GIT_HOST_KEY_CHECK, WORK_DIR. Exits with 3 where only people can help.
set -euo pipefail

if [[ $GIT_REMOTE == file://* ]]; then
  cat >/dev/null
  exec git "$@"
fi

# Started this way an agent also ends by itself, should this shell be killed before its trap runs.
if [[ ${1-} != --in-agent ]]; then
  exec ssh-agent bash "$0" --in-agent "$@"
fi
shift
trap 'ssh-agent -k >/dev/null' EXIT

give_up() {
  printf '%s\n' "$*" >&2
  exit 3
}

# The substitution drops the trailing newlines and printf writes one: a key pasted without any works too.
key=$(cat)
# No askpass, else a key with a passphrase would ask whoever sits at the terminal.
if ! printf '%s\n' "$key" | SSH_ASKPASS=false SSH_ASKPASS_REQUIRE=force ssh-add -q - >/dev/null 2>&1; then
  case $key in
    '') why='it is empty' ;;
    *$'\r'*) why='it has Windows line ends (CRLF)' ;;
    *'BEGIN PRIVATE KEY'* | *'BEGIN ENCRYPTED PRIVATE KEY'*) why='it is in PKCS8 form' ;;
    *$'\n'*) why='it is damaged, or protected by a passphrase' ;;
    *) why='its line breaks were lost' ;;
  esac
  give_up "ssh_key in the secret cannot be used: $why; it must be the file that ssh-keygen writes" \
    "(-----BEGIN OPENSSH PRIVATE KEY-----), line by line, without a passphrase"
fi
unset key

# Kept between two uses: with accept-new the first one pins the key for the second.
known_hosts=$WORK_DIR/known_hosts
[[ -e $known_hosts ]] || printf '%s\n' "${GIT_KNOWN_HOSTS-}" >"$known_hosts"
strict=yes
[[ ${GIT_HOST_KEY_CHECK-} != accept-new ]] || strict=accept-new
cat >"$WORK_DIR/ssh_config" <<END
StrictHostKeyChecking $strict
UserKnownHostsFile "$known_hosts"
GlobalKnownHostsFile /dev/null
UpdateHostKeys no
IdentityFile none
PreferredAuthentications publickey
BatchMode yes
ConnectTimeout 15
ServerAliveInterval 15
END
export GIT_SSH_COMMAND="ssh -F '$WORK_DIR/ssh_config'" GIT_SSH_VARIANT=ssh

status=0
log=$WORK_DIR/remote-git.log
git -c protocol.version=2 "$@" 2>"$log" || status=$?
[[ $status != 0 ]] || exit 0
case $(<"$log") in
  *'IDENTIFICATION HAS CHANGED'*)
    give_up "the server shows another host key than the one in backlog.knownHosts;" \
      "find out why before you change the setting: $(grep -m 1 -o 'SHA256:[^ ]*' "$log" || true)"
    ;;
  *'Host key verification failed'*)
    give_up "backlog.knownHosts has no host key for $GIT_REMOTE: $(grep -m 1 'host key is known' "$log" || true)"
    ;;
  *'Permission denied'* | *'Too many authentication failures'*)
    give_up "$GIT_REMOTE refused the SSH key: register its public half with a user who may read the repository"
    ;;
esac
cat "$log" >&2
exit "$status"
