// A server of OpenAI's API in the test's own process: it keeps what clients send and answers as the
// test says, whole or as a stream, on any path. Members that tests set are read when a request
// comes; set them while none is on its way.
#ifndef VALLM_TESTS_TESTING_FAKE_OPENAI_H_
#define VALLM_TESTS_TESTING_FAKE_OPENAI_H_

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace vallm::testing {

class FakeOpenAi {
 public:
  // What a POST brought.
  struct Request {
    std::string path;
    std::map<std::string, std::string> headers;  // names in lower case
    nlohmann::ordered_json body;
  };

  FakeOpenAi();
  ~FakeOpenAi();

  int port() const;
  std::string url() const;  // "http://127.0.0.1:PORT/v1"

  // All since the last call, in the order in which they came.
  std::vector<Request> TakeRequests();
  // Most requests that were in the server at a time.
  int peak() const;

  // What /v1/models lists, after so many answers with 503.
  std::string model = "fake-model";
  int max_model_len = 4096;
  int models_unavailable = 0;
  // Every answer: its text, cut in two where it streams, and how many tokens it claims to have
  // (0: what the request allows, else 5). Prompts claim to have 9.
  std::string answer = "The answer is (I)";
  int completion_tokens = 0;
  bool usage = true;
  // So many requests are answered with the status instead.
  int failures = 0;
  int failure_status = 503;
  // Answers wait until so many requests are in the server together (not longer than 20 s), and
  // then for the delay.
  int gather = 1;
  absl::Duration delay = absl::ZeroDuration();

 private:
  class Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_FAKE_OPENAI_H_
