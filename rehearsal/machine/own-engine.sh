#!/bin/bash
# Runs a container engine so that killing one process ends it with all of its containers, mounts and network links.
# Is started in its own mount and pid namespace (see own-engine.ts); its arguments are the engine's.
set -euo pipefail

# The engine and its runtimes write below these folders whatever they are told. Here that ends in memory.
resolver=$(readlink -f /etc/resolv.conf)
upstream=/run/systemd/resolve/resolv.conf
keep=()
for file in "$resolver" "$upstream"; do
  if [[ $file == /run/* && -f $file ]]; then
    keep+=("$file" "$(<"$file")")
  fi
done
for folder in /run /etc/docker /opt/containerd; do
  if [[ -d $folder ]]; then
    mount -n -t tmpfs -o mode=755 rehearsal "$folder"
  fi
done
# Name servers of the machine, for containers.
for ((i = 0; i < ${#keep[@]}; i += 2)); do
  mkdir -p "$(dirname "${keep[i]}")"
  printf '%s\n' "${keep[i + 1]}" >"${keep[i]}"
done

# As the first process of its pid namespace this shell also collects what the engine's containers orphan.
dockerd "$@" &
engine=$!
trap 'kill -TERM "$engine"' TERM INT
wait "$engine" || wait "$engine"
