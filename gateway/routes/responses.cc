#include "gateway/routes/responses.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/access/key_ring.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_text.h"
#include "gateway/responses/responses_encoder.h"
#include "gateway/responses/responses_request.h"
#include "gateway/routes/chat_job.h"
#include "gateway/routes/generate.h"
#include "gateway/routes/request_class.h"

namespace vallm::gateway {
namespace {

constexpr int kDefaultItems = 20;
constexpr int kMaxItems = 100;

// Whose a response is: that of the key it was asked for with, by the key's name, which outlives a
// change of the key itself. Where no key is asked for there is one owner.
std::string OwnerOf(const HttpRequest& request) {
  return request.key == nullptr ? "" : request.key->key().name;
}

absl::StatusOr<GenerationJob> PrepareJob(GatewayContext& context, const HttpRequest& request) {
  const std::string owner = OwnerOf(request);
  VALLM_ASSIGN_OR_RETURN(
      ResponsesRequest parsed,
      ParseResponsesRequest(request.body, ChatRulesOf(context.options), context.responses, owner));
  VALLM_RETURN_IF_ERROR(SetClass(context, request, &parsed.chat));
  VALLM_ASSIGN_OR_RETURN(GenerationJob job,
                         PrepareChatJob(context, std::move(parsed.chat), request.request_id));
  job.id_prefix = "resp_";
  job.prompt_param = "input";
  ResponseFrame frame = {.settings = std::move(parsed.settings),
                         .thought_as_summary = parsed.thought_as_summary};
  if (parsed.store) {
    frame.keep = [&context, owner, input = std::move(parsed.input)](StoredResponse response) {
      response.input = input;
      context.responses.Put(owner, std::move(response));
    };
  }
  job.stream_encoder = [frame](AnswerHeader header) {
    return NewResponsesStreamEncoder(std::move(header), frame);
  };
  job.whole_encoder = [frame](AnswerHeader header) {
    return NewResponsesWholeEncoder(std::move(header), frame);
  };
  return job;
}

// What stands behind /v1/responses/ in the path: an id and, perhaps, what of it.
struct Target {
  std::string id;
  std::string part;  // without the slash
};

Target TargetOf(const HttpRequest& request) {
  absl::string_view rest = request.path;
  absl::ConsumePrefix(&rest, "/v1/responses/");
  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos) return {.id = std::string(rest), .part = ""};
  return {.id = std::string(rest.substr(0, slash)), .part = std::string(rest.substr(slash + 1))};
}

absl::Status NoSuchPath(const HttpRequest& request) {
  return absl::NotFoundError(absl::StrCat("there is no ", request.path));
}

absl::Status NoSuchResponse(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("response with id '", id, "' not found"));
}

HttpResponse JsonResponse(absl::StatusOr<std::string> body) {
  if (!body.ok()) return ErrorResponse(body.status());
  HttpResponse response;
  response.body = *std::move(body);
  return response;
}

// A page of a list: `limit` items in `order` behind the one called `after`.
struct Page {
  int limit = kDefaultItems;
  bool newest_first = true;
  std::string after;
};

absl::StatusOr<Page> PageOf(const HttpQuery& query) {
  Page page;
  if (const std::string* limit = FindQuery(query, "limit")) {
    if (!absl::SimpleAtoi(*limit, &page.limit) || page.limit < 1 || page.limit > kMaxItems) {
      return InvalidParam("limit", absl::StrCat("'limit' must be between 1 and ", kMaxItems));
    }
  }
  if (const std::string* order = FindQuery(query, "order")) {
    if (*order != "asc" && *order != "desc") {
      return InvalidParam("order", "'order' must be \"asc\" or \"desc\"");
    }
    page.newest_first = *order == "desc";
  }
  if (const std::string* after = FindQuery(query, "after")) page.after = *after;
  return page;
}

absl::StatusOr<std::string> ListItems(std::vector<ResponseItem> items, const HttpQuery& query) {
  VALLM_ASSIGN_OR_RETURN(const Page page, PageOf(query));
  if (page.newest_first) std::reverse(items.begin(), items.end());
  auto begin = items.begin();
  if (!page.after.empty()) {
    begin = std::find_if(items.begin(), items.end(),
                         [&](const ResponseItem& item) { return item.id == page.after; });
    if (begin == items.end()) {
      return InvalidParam("after", "'after' is not the id of an item of this input");
    }
    ++begin;
  }
  const auto count = std::min<ptrdiff_t>(items.end() - begin, page.limit);
  const auto end = begin + count;
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (auto item = begin; item != end; ++item) {
    absl::StrAppend(&out, item == begin ? "" : ",", item->json);
  }
  out.append("],\"first_id\":");
  count > 0 ? AppendJsonString(begin->id, &out) : void(out.append("null"));
  out.append(",\"last_id\":");
  count > 0 ? AppendJsonString(std::prev(end)->id, &out) : void(out.append("null"));
  absl::StrAppend(&out, ",\"has_more\":", end == items.end() ? "false" : "true", "}");
  return out;
}

absl::StatusOr<std::string> Get(GatewayContext& context, const HttpRequest& request) {
  const Target target = TargetOf(request);
  if (!target.part.empty() && target.part != "input_items") return NoSuchPath(request);
  const auto response = context.responses.Get(OwnerOf(request), target.id);
  if (response == nullptr) return NoSuchResponse(target.id);
  if (target.part == "input_items") return ListItems(response->input, request.query);
  if (const std::string* stream = FindQuery(request.query, "stream");
      stream != nullptr && *stream == "true") {
    return UnsupportedParam("stream", "a stored response is not streamed again");
  }
  return response->body;
}

absl::StatusOr<std::string> Delete(GatewayContext& context, const HttpRequest& request) {
  const Target target = TargetOf(request);
  if (!target.part.empty()) return NoSuchPath(request);
  if (!context.responses.Erase(OwnerOf(request), target.id)) {
    return NoSuchResponse(target.id);
  }
  std::string out = "{\"id\":";
  AppendJsonString(target.id, &out);
  out.append(",\"object\":\"response\",\"deleted\":true}");
  return out;
}

absl::Status Cancel(GatewayContext& context, const HttpRequest& request) {
  const Target target = TargetOf(request);
  if (target.part != "cancel") return NoSuchPath(request);
  if (context.responses.Get(OwnerOf(request), target.id) == nullptr) {
    return NoSuchResponse(target.id);
  }
  return WithErrorCode(
      absl::InvalidArgumentError("only a response in the background can be cancelled; to end one "
                                 "that is running, close its connection"),
      "response_not_cancellable");
}

}  // namespace

HttpResponse CreateResponse(GatewayContext& context, const HttpRequest& request) {
  absl::StatusOr<RequestGate::Place> place = context.gate.Enter();
  if (!place.ok()) return ErrorResponse(place.status());
  absl::StatusOr<GenerationJob> job = PrepareJob(context, request);
  if (!job.ok()) return ErrorResponse(job.status());
  return RunGeneration(context, request, *std::move(job), *std::move(place));
}

HttpResponse GetResponse(GatewayContext& context, const HttpRequest& request) {
  return JsonResponse(Get(context, request));
}

HttpResponse DeleteResponse(GatewayContext& context, const HttpRequest& request) {
  return JsonResponse(Delete(context, request));
}

HttpResponse CancelResponse(GatewayContext& context, const HttpRequest& request) {
  return ErrorResponse(Cancel(context, request));
}

}  // namespace vallm::gateway
