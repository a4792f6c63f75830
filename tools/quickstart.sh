#!/usr/bin/env bash
# From a clean checkout to a chat: installs the distribution packages, builds, serves the demo
# model, sends one sample chat, prints examples and keeps serving until Ctrl-C.
#
#   tools/quickstart.sh [--port 8000] [--management-port 9000] [vallm serve options ...]
#
# VALLM_QUICKSTART_ONCE=1 stops after the sample chat (for tests).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

case "${1:-}" in
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
esac

port=8000
management_port=9000
args=()
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port="$2"; shift 2 ;;
    --port=*) port="${1#*=}"; shift ;;
    --management-port) management_port="$2"; shift 2 ;;
    --management-port=*) management_port="${1#*=}"; shift ;;
    *) args+=("$1"); shift ;;
  esac
done

echo "[1/4] distribution packages"
"$root/tools/install_deps.sh" build
echo "[2/4] build (a few minutes the first time, seconds afterwards)"
"$root/tools/build.sh" release vallm vallm-gateway vallm-tokenizer vallm-engine vallm-worker

bin="$root/build/release/bin"
model="$root/tools/demo_model/Qwen3-Demo-MoE-FP8"
url="http://127.0.0.1:$port/v1"

serve_pid=
stop() {
  trap - EXIT INT TERM HUP
  if [ -n "$serve_pid" ] && kill -0 "$serve_pid" 2>/dev/null; then
    kill -TERM "$serve_pid" 2>/dev/null || true
    wait "$serve_pid" 2>/dev/null || true
  fi
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo "[3/4] vallm serve on the demo model"
# In a session of its own: Ctrl-C reaches this script alone, which asks once for an orderly stop (a
# second signal would mean "kill everything").
setsid "$bin/vallm" serve "$model" --port "$port" --management-port "$management_port" \
  --served-model-name demo "${args[@]+"${args[@]}"}" &
serve_pid=$!
until curl -fs -o /dev/null "http://127.0.0.1:$management_port/health/ready"; do
  kill -0 "$serve_pid" 2>/dev/null || { wait "$serve_pid" || true; echo "quickstart: vallm serve ended before it was ready; see the message above" >&2; serve_pid=; exit 1; }
  sleep 0.2
done

sleep 0.5  # vallm serve prints its banner first
echo "[4/4] a sample chat"
"$bin/vallm" chat --url "$url" --once "What is 478 + 356?"

cat <<EXAMPLES

Serving until Ctrl-C. Try it:

  curl $url/chat/completions -H 'Content-Type: application/json' -d '{
    "model": "demo", "stream": true,
    "messages": [{"role": "user", "content": "Write a poem about the sea."}]}'

  python3 -c '
  from openai import OpenAI                       # pip install openai
  client = OpenAI(base_url="$url", api_key="none")
  reply = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "Hello!"}])
  print(reply.choices[0].message.content)'

  Open WebUI:   docker run --network=host -e PORT=18080 -e ENABLE_OLLAMA_API=False \\
                  -e OPENAI_API_BASE_URL=$url -e OPENAI_API_KEY=none ghcr.io/open-webui/open-webui:main
  terminal:     build/release/bin/vallm chat --url $url
  status page:  http://127.0.0.1:$management_port/
EXAMPLES
[ -n "${VALLM_QUICKSTART_ONCE:-}" ] && exit 0
wait "$serve_pid"
