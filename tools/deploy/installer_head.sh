#!/bin/sh
# Installs vallm @VERSION@ for @MACHINE@: FILE [--prefix DIR] [--list] [--help]
#
#   --prefix DIR    where to (default: /opt/vallm as root, else ~/.local/vallm); what is there of another
#                   version is replaced, lib/libvallm_vacc.so and other files are left alone
#   --list          show what is inside, install nothing
set -eu
prefix="" list=""
while [ $# -gt 0 ]; do
  case "$1" in
    --prefix) [ $# -ge 2 ] || { echo "--prefix needs a directory" >&2; exit 2; }; prefix=$2; shift 2 ;;
    --prefix=*) prefix=${1#--prefix=}; shift ;;
    --list) list=1; shift ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown option '$1'; --help lists them" >&2; exit 2 ;;
  esac
done
if [ "$(uname -m)" != "@MACHINE@" ]; then
  echo "this is vallm for @MACHINE@; this machine is $(uname -m)" >&2
  exit 1
fi
payload() { tail -c @SIZE@ "$0"; }
if command -v sha256sum >/dev/null 2>&1 && [ "$(payload | sha256sum | cut -d' ' -f1)" != "@SUM@" ]; then
  echo "the file is damaged: download it again" >&2
  exit 1
fi
if [ -n "$list" ]; then
  payload | gzip -dc | tar -t
  exit 0
fi
if [ -z "$prefix" ]; then
  if [ "$(id -u)" = 0 ]; then prefix=/opt/vallm; else prefix=$HOME/.local/vallm; fi
fi
mkdir -p "$prefix"
# Unpacked beside, so that an installer that is broken off leaves what was there.
fresh="$prefix/.new"
rm -rf "$fresh"
mkdir "$fresh"
payload | gzip -dc | tar -x -C "$fresh" -f -
mkdir -p "$prefix/bin" "$prefix/lib"
# Renamed one by one: a program that runs keeps its old file.
for file in "$fresh"/lib/* "$fresh"/bin/* "$fresh"/VERSION "$fresh"/LICENSE; do
  mv -f "$file" "$prefix/${file#"$fresh"/}"
done
rm -rf "$fresh"
if ! "$prefix/bin/vallm" --version; then
  echo "vallm does not start on this machine: it needs the C library of Debian 12 (glibc 2.36) or a newer one" >&2
  exit 1
fi
echo "installed in $prefix. Next:"
echo "  $prefix/bin/vallm doctor MODEL_PATH"
echo "  $prefix/bin/vallmdeploy Qwen3-TP2 MODEL_PATH"
exit 0
