#!/usr/bin/env bash
# Runs the mapping templates of the unit tests on Apache Velocity 1.7, which is what API Gateway uses, and compares
# with what the rehearsal's engine makes of them. Needs a JDK; takes Velocity and a JSON parser from Debian's
# packages (installed when this runs as root) or, elsewhere, from Maven Central.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Velocity, Jackson, and what they need at run time.
debian_jars=(velocity commons-collections3 commons-lang jackson-databind jackson-core
  jackson-annotations)

have_debian_jars() {
  local jar
  for jar in "${debian_jars[@]}"; do
    [[ -e /usr/share/java/$jar.jar ]] || return 1
  done
}

install_packages() {
  apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
    velocity libjackson2-databind-java >/dev/null
}

if ! have_debian_jars && [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  echo "installing Debian's velocity and libjackson2-databind-java"
  if ! install_packages; then
    apt-get -qq update
    install_packages
  fi
fi
command -v javac >/dev/null || {
  echo "javac is needed: install a JDK (Debian: default-jdk-headless)" >&2
  exit 1
}

if have_debian_jars; then
  classpath=$(printf ':/usr/share/java/%s.jar' "${debian_jars[@]}")
  classpath=${classpath#:}
elif command -v mvn >/dev/null; then
  mvn -q -f __tests__/velocity17/pom.xml dependency:copy-dependencies \
    -DoutputDirectory="$work/jars" -DbuildDirectory="$work/target"
  classpath="$work/jars/*"
else
  echo "Apache Velocity 1.7 is needed: install the Debian packages velocity and libjackson2-databind-java, or Maven" >&2
  exit 1
fi

node --import tsx __tests__/velocity17/print-corpus.ts >"$work/corpus.jsonl"
javac -d "$work/classes" -cp "$classpath" __tests__/velocity17/Velocity17.java
java -Dfile.encoding=UTF-8 -cp "$work/classes:$classpath" Velocity17 "$work/corpus.jsonl"
