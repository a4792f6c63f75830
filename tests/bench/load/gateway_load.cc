// Load on a gateway, or on the engine behind it, from one thread that costs little; prints one JSON
// object. tests/bench/gateway_bench.py starts what is measured and counts its processor time.
//
//   gateway_load http --port 8000 --stream --max-tokens 128 --requests 2000 --concurrency 256
//   gateway_load http --port 8000 --stream --requests 2000 --concurrency 2000 --hold
//   gateway_load grpc --address 127.0.0.1:50051 --prompt-tokens 30 --max-tokens 128 --rate 200
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/bench/load/grpc_load.h"
#include "tests/bench/load/http_load.h"
#include "tests/bench/load/load_plan.h"

namespace vallm::bench {
namespace {

struct Flags {
  LoadPlan plan;
  HttpTarget target;
  std::string model = "demo";
  std::string questions_file;
  std::vector<std::string> questions;  // of the requests in turn; empty: made up
  bool stream = false;
  bool hold = false;
  bool each = false;
  int max_tokens = 16;
  std::string address = "127.0.0.1:50051";
  int prompt_tokens = 30;
};

void AddCommon(CLI::App* app, Flags* flags) {
  app->add_option("--requests", flags->plan.requests)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--concurrency", flags->plan.concurrency, "Requests at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--rate", flags->plan.rate,
                  "Requests per second that are due; 0: as places get free")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->add_option("--seed", flags->plan.seed, "Of the arrivals")->capture_default_str();
  app->add_option("--max-tokens", flags->max_tokens)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_flag("--each", flags->each,
                "Also print the seconds to the first text of every streamed request, by its id");
}

std::string RequestId(int index) { return absl::StrCat("load-", index); }

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string Question(const Flags& flags, int index) {
  if (flags.questions.empty()) return absl::StrCat("Request ", index, ": what is 3 + 4?");
  return flags.questions[static_cast<size_t>(index) % flags.questions.size()];
}

std::string ChatBody(const Flags& flags, int index) {
  nlohmann::ordered_json body = {
      {"model", flags.model},
      {"messages", {{{"role", "user"}, {"content", Question(flags, index)}}}},
      {"max_tokens", flags.max_tokens},
      {"temperature", 0},
      {"stream", flags.stream}};
  if (flags.stream) body["stream_options"] = {{"include_usage", true}};
  body["ignore_eos"] = true;  // servers that do not know it ignore it
  return body.dump();
}

v1::GenerateRequest EngineRequest(const Flags& flags, int index) {
  v1::GenerateRequest request;
  request.set_request_id(RequestId(index));
  std::minstd_rand random(static_cast<unsigned>(index) + 1);
  for (int i = 0; i < flags.prompt_tokens; ++i) {
    request.mutable_prompt_token_ids()->add_ids(static_cast<int32_t>(random() % 1000));
  }
  request.mutable_sampling()->set_temperature(0);
  request.mutable_stop()->set_max_tokens(flags.max_tokens);
  request.mutable_stop()->set_eos_mode(v1::EOS_MODE_IGNORE);
  return request;
}

// Says that all streams are open and keeps them until standard input ends.
void HoldUntilInputEnds() {
  std::cout << "holding" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Load on a gateway or an engine, for measurements.");
  app.require_subcommand(1);
  CLI::App* const http = app.add_subcommand("http", "An OpenAI-compatible server");
  http->add_option("--host", flags.target.host, "Name or address")->capture_default_str();
  http->add_option("--port", flags.target.port)->capture_default_str();
  http->add_option("--api-key", flags.target.api_key);
  http->add_option("--model", flags.model)->capture_default_str();
  http->add_option("--questions", flags.questions_file, "A file with what to ask, one per line")
      ->check(CLI::ExistingFile);
  http->add_flag("--stream", flags.stream);
  http->add_flag("--hold", flags.hold,
                 "Once every stream has begun print \"holding\", wait for the end of standard "
                 "input, leave")
      ->needs("--stream");
  AddCommon(http, &flags);
  CLI::App* const grpc = app.add_subcommand("grpc", "An engine");
  grpc->add_option("--address", flags.address)->capture_default_str();
  grpc->add_option("--prompt-tokens", flags.prompt_tokens)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddCommon(grpc, &flags);
  CLI11_PARSE(app, argc, argv);

  LoadResult result;
  if (http->parsed()) {
    if (!flags.questions_file.empty()) flags.questions = ReadLines(flags.questions_file);
    flags.target.request_id = RequestId;
    flags.target.body = [&flags](int index) { return ChatBody(flags, index); };
    auto ran = RunHttpLoad(flags.plan, flags.target, flags.hold ? HoldUntilInputEnds : nullptr);
    if (!ran.ok()) {
      std::fprintf(stderr, "gateway_load: %s\n", ran.status().ToString().c_str());
      return 1;
    }
    result = *std::move(ran);
  } else {
    result = RunGrpcLoad(flags.plan, flags.address,
                         [&flags](int index) { return EngineRequest(flags, index); });
  }
  nlohmann::ordered_json json = result.ToJson();
  if (flags.each) {
    for (const auto& [index, seconds] : result.first_s_of) {
      json["first_s_of"][RequestId(index)] = seconds;
    }
  }
  std::cout << json.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace vallm::bench

int main(int argc, char** argv) { return vallm::bench::Main(argc, argv); }
