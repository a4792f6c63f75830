#!/usr/bin/env bash
# curl against a running vallm (see stack.py): each endpoint once, and the README's own example.
set -uo pipefail
command -v curl >/dev/null || { echo "skipped: curl not found"; exit 77; }
readme="$(dirname "${BASH_SOURCE[0]}")/../../README.md"
url=${VALLM_TEST_BASE_URL%/v1}
auth="Authorization: Bearer $VALLM_TEST_API_KEY"
failures=0

# expect STATUS TEXT CURL-ARGUMENT ...: the answer has that status and that text in it.
expect() {
  local status=$1 text=$2 answer
  shift 2
  answer=$(curl -sS --max-time 60 -w '\n%{http_code}' -H "$auth" "$@")
  if [ "${answer##*$'\n'}" != "$status" ] || [[ "$answer" != *"$text"* ]]; then
    echo "FAILED: curl $*"
    echo "  expected $status with $text, got: ${answer:0:1000}"
    failures=$((failures + 1))
  fi
  last=$answer
}

# The command of the README, pointed at this server.
command=$(sed -n '/^curl http:\/\/127.0.0.1:8000\/v1\/chat\/completions/,/^[^ ]*```$\|[^\\]$/p' "$readme")
[ -n "$command" ] || { echo "FAILED: the README has no curl command"; failures=1; }
command=${command//http:\/\/127.0.0.1:8000/$url}
command=${command//token-abc123/$VALLM_TEST_API_KEY}
command=${command//Qwen3/$VALLM_TEST_MODEL}
answer=$(eval "${command/curl /curl -sS --max-time 60 }")
if [[ "$answer" != "data: {"*"chat.completion.chunk"*"data: [DONE]" ]]; then
  echo "FAILED: the README's command: $command"
  echo "  got: ${answer:0:1000}"
  failures=$((failures + 1))
fi

chat='"messages": [{"role": "user", "content": "What is 478 + 356?"}]'
# -d alone sends the type of forms: what counts is that the body is JSON.
expect 200 '834' "$url/v1/chat/completions" -d "{$chat, \"temperature\": 0}"
expect 200 'data: [DONE]' "$url/v1/chat/completions" -d "{$chat, \"stream\": true, \"max_tokens\": 5}"
expect 200 '"text_completion"' "$url/v1/completions" -d '{"prompt": "Hello", "max_tokens": 3}'
expect 200 '"type":"message"' "$url/v1/messages" -H 'anthropic-version: 2023-06-01' -d "{$chat, \"max_tokens\": 5}"
expect 200 '"input_tokens"' "$url/v1/messages/count_tokens" -d "{$chat}"
expect 200 'event: response.completed' "$url/v1/responses" -d '{"input": "What is 478 + 356?", "stream": true}'
expect 200 '"status":"completed"' "$url/v1/responses" -d '{"input": "What is 478 + 356?"}'
[[ $last =~ resp_[0-9a-f]+ ]] && id=${BASH_REMATCH[0]} || id=none
expect 200 "$id" "$url/v1/responses/$id"
expect 200 '"object":"list"' "$url/v1/responses/$id/input_items?order=asc&limit=1"
expect 400 'background' -X POST "$url/v1/responses/$id/cancel" -d ''
expect 200 '"deleted":true' -X DELETE "$url/v1/responses/$id"
expect 404 'not found' "$url/v1/responses/$id"
expect 200 "\"id\":\"$VALLM_TEST_MODEL\"" "$url/v1/models"
expect 200 '"max_model_len"' "$url/v1/models/$VALLM_TEST_MODEL"
expect 200 '"tokens":[' "$url/tokenize" -d '{"prompt": "Hello"}'
expect 200 '"prompt":' "$url/detokenize" -d '{"tokens": [1, 2]}'
expect 404 'no answer is streamed' "$url/v1/chat/completions/chatcmpl-0/control" -d '{"action": "end_thinking"}'
for path in /health /health/ready /health/live /ping; do expect 200 '"ok"' "$url$path"; done
expect 200 '"version"' "$url/version"
expect 200 'vllm:num_requests_running' "$url/metrics"
expect 200 '"openapi"' "$url/openapi.json"
auth='Authorization: Bearer wrong' expect 401 'invalid_api_key' "$url/v1/models"
expect 404 'there is no' "$url/v1/embeddings" -d '{}'
expect 405 'does not take' "$url/v1/chat/completions"
expect 400 'not valid JSON' "$url/v1/chat/completions" -d '{'

[ "$failures" -eq 0 ] && echo "every endpoint answers curl" || exit 1
