#include "gateway/routes/completions.h"

#include <string>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "gateway/openai/completion_request.h"
#include "gateway/openai/errors.h"
#include "gateway/routes/generate.h"
#include "gateway/routes/request_class.h"

namespace vallm::gateway {
namespace {

// The tokens of all prompts, in order; texts are encoded in one call.
absl::Status EncodePrompts(GatewayContext& context, const RequestId& request_id,
                           std::vector<PromptInput> prompts, GenerationSpec* spec) {
  v1::EncodeRequest request;
  for (const PromptInput& prompt : prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt)) request.add_texts(*text);
  }
  v1::EncodeResponse encoded;
  if (request.texts_size() > 0) {
    VALLM_ASSIGN_OR_RETURN(encoded, context.tokenizer.Encode(request, request_id));
    if (encoded.sequences_size() != request.texts_size()) {
      return absl::InternalError("the tokenizer service did not encode every prompt");
    }
  }
  int next_text = 0;
  for (PromptInput& prompt : prompts) {
    GenerationSpec::Choice choice;
    if (auto* ids = std::get_if<std::vector<int32_t>>(&prompt)) {
      choice.prompt_token_ids = std::move(*ids);
    } else {
      const auto& ids_of_text = encoded.sequences(next_text++).token_ids();
      choice.prompt_token_ids.assign(ids_of_text.begin(), ids_of_text.end());
    }
    spec->choices.push_back(std::move(choice));
  }
  return absl::OkStatus();
}

// The prompts as text: texts as they are, token ids decoded.
absl::StatusOr<std::vector<std::string>> TextsOf(GatewayContext& context,
                                                 const RequestId& request_id,
                                                 const std::vector<PromptInput>& prompts) {
  std::vector<std::string> texts;
  for (const PromptInput& prompt : prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      texts.push_back(*text);
      continue;
    }
    const auto& ids = std::get<std::vector<int32_t>>(prompt);
    v1::DecodeRequest request;
    request.mutable_token_ids()->Add(ids.begin(), ids.end());
    VALLM_ASSIGN_OR_RETURN(v1::DecodeResponse decoded,
                           context.tokenizer.Decode(request, request_id));
    texts.push_back(std::move(*decoded.mutable_text()));
  }
  return texts;
}

absl::StatusOr<GenerationJob> PrepareJob(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(CompletionRequest completion,
                         ParseCompletionRequest(request.body, context.options.max_logprobs));
  VALLM_RETURN_IF_ERROR(SetClass(request, &completion.params));
  GenerationJob job;
  VALLM_ASSIGN_OR_RETURN(job.model, context.GetServedModel(completion.params.model));
  if (completion.echo || completion.params.return_prompt_text) {
    VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                           TextsOf(context, request.request_id, completion.prompts));
    if (completion.echo) job.echo_texts = texts;
    if (completion.params.return_prompt_text) job.prompt_texts = texts;
  }
  VALLM_RETURN_IF_ERROR(
      EncodePrompts(context, request.request_id, std::move(completion.prompts), &job.spec));
  // The text is returned as the model wrote it.
  job.spec.output.whitespace = tokenizer::Whitespace::kVerbatim;
  job.spec.whole = !completion.params.stream;
  job.params = std::move(completion.params);
  job.id_prefix = "cmpl-";
  job.prompt_param = "prompt";
  job.stream_encoder = NewCompletionStreamEncoder;
  job.whole_encoder = NewCompletionWholeEncoder;
  return job;
}

}  // namespace

HttpResponse Completions(GatewayContext& context, const HttpRequest& request) {
  absl::StatusOr<RequestGate::Place> place = context.gate.Enter();
  if (!place.ok()) return ErrorResponse(place.status());
  absl::StatusOr<GenerationJob> job = PrepareJob(context, request);
  if (!job.ok()) return ErrorResponse(job.status());
  return RunGeneration(context, request, *std::move(job), *std::move(place));
}

}  // namespace vallm::gateway
