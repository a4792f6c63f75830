#include "engine_service/engine.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr size_t kMaxCacheSaltBytes = 256;
constexpr absl::Duration kTokenRateWindow = absl::Seconds(3);

absl::Status CheckIds(const char* field, const std::vector<int32_t>& ids, int32_t vocab_size) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < vocab_size) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        field, "[", i, "] is ", ids[i], "; the vocabulary has ids 0 to ", vocab_size - 1));
  }
  return absl::OkStatus();
}

absl::Status CheckTopCount(const char* field, int32_t count, int32_t vocab_size) {
  if (count >= 0 && count <= vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", count, "; it must be in 0 to ", vocab_size));
}

// The end that the resumed tokens have reached already, if any: the instance that made them was
// lost before it could say so. Errors: tokens after an end.
absl::StatusOr<std::optional<Completion>> EndOfResumed(const SequenceSpec& spec) {
  const auto count = static_cast<int32_t>(spec.resumed_ids.size());
  if (count > spec.max_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("resume_token_ids has ", count, " tokens; max_tokens is ", spec.max_tokens));
  }
  Completion completion;
  completion.usage = {.prompt_tokens = static_cast<int32_t>(spec.prompt_ids.size()),
                      .cached_tokens = 0,
                      .completion_tokens = count,
                      .queue_time = absl::ZeroDuration(),
                      .prefill_time = absl::ZeroDuration(),
                      .decode_time = absl::ZeroDuration()};
  for (int32_t i = 0; i < count; ++i) {
    const int32_t id = spec.resumed_ids[static_cast<size_t>(i)];
    if (std::find(spec.stop_ids.begin(), spec.stop_ids.end(), id) == spec.stop_ids.end()) continue;
    if (i + 1 < count) {
      return absl::InvalidArgumentError(absl::StrCat("resume_token_ids[", i, "] is ", id,
                                                     ", which ends the request, but ",
                                                     count - i - 1, " more follow"));
    }
    completion.reason = FinishReason::kStop;
    completion.stop_id = id;
    return completion;
  }
  if (count < spec.max_tokens) return std::nullopt;
  completion.reason = FinishReason::kLength;
  return completion;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options) {
  VALLM_ASSIGN_OR_RETURN(EngineSetup setup, PrepareEngine(options));
  auto engine = std::unique_ptr<Engine>(new Engine(std::move(setup)));
  engine->thread_ = std::thread([&engine = *engine] { engine.Loop(); });
  return engine;
}

Engine::Engine(EngineSetup setup)
    : setup_(std::move(setup)),
      constraints_(setup_.info.model_path, setup_.info.vocab_size, setup_.info.eos_ids),
      thought_tokens_(setup_.info.model_path, setup_.info.vocab_size),
      decider_(setup_.info.vocab_size, setup_.sampling_threads),
      scheduler_(setup_.scheduler),
      token_rate_(kTokenRateWindow) {}

Engine::~Engine() {
  SetLoadListener(nullptr);
  Drain(absl::ZeroDuration());
}

int64_t Engine::DrawSeed() {
  std::random_device device;
  return static_cast<int64_t>(uint64_t{device()} << 32 | device());
}

EngineLoad Engine::LoadLocked() const {
  const bool starting = state_ == EngineState::kLoading || state_ == EngineState::kRestarting;
  return {
      .state = state_,
      .running = scheduler_.num_running(),
      .waiting = scheduler_.num_waiting(),
      .max_batch_size = setup_.scheduler.max_batch_size,
      .free_kv_blocks = scheduler_.num_free_blocks(),
      .total_kv_blocks = setup_.scheduler.num_kv_blocks,
      .cached_kv_blocks = scheduler_.num_cached_blocks(),
      .counters = scheduler_.counters(),
      .generated_tokens = generated_tokens_,
      .tokens_per_second = scheduler_.num_running() > 0 ? token_rate_.PerSecond(absl::Now()) : 0,
      .prompt_tokens = prompt_tokens_,
      .loading = starting && group_ != nullptr ? group_->progress() : LoadingProgress{}};
}

EngineLoad Engine::load() const {
  MutexLock lock(mu_);
  return LoadLocked();
}

absl::Status Engine::failure() const {
  MutexLock lock(mu_);
  return failure_;
}

LoadingProgress Engine::loading_progress() const {
  MutexLock lock(mu_);
  return group_ == nullptr ? LoadingProgress{} : group_->progress();
}

std::vector<pid_t> Engine::worker_pids() const {
  MutexLock lock(mu_);
  return group_ == nullptr ? std::vector<pid_t>{} : group_->pids();
}

absl::Status Engine::WaitUntilServing() {
  MutexLock lock(mu_);
  while (state_ == EngineState::kLoading || state_ == EngineState::kRestarting) changed_.Wait(mu_);
  if (state_ == EngineState::kServing) return absl::OkStatus();
  if (state_ == EngineState::kFailed) return failure_;
  return absl::UnavailableError("the engine is draining");
}

absl::StatusOr<SequenceSpec> Engine::MakeSpec(GenerationRequest& request) const {
  const ModelInfo& info = setup_.info;
  VALLM_RETURN_IF_ERROR(CheckIds("prompt_token_ids", request.prompt_ids, info.vocab_size));
  VALLM_RETURN_IF_ERROR(CheckIds("resume_token_ids", request.resumed_ids, info.vocab_size));
  VALLM_RETURN_IF_ERROR(CheckIds("stop_token_ids", request.stop_ids, info.vocab_size));
  VALLM_RETURN_IF_ERROR(
      CheckTopCount("logprobs.top_count", request.top_logprobs.value_or(0), info.vocab_size));
  if (request.cache_salt.size() > kMaxCacheSaltBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cache_salt has ", request.cache_salt.size(),
                                                   " bytes; the limit is ", kMaxCacheSaltBytes));
  }
  if (request.prompt_top_logprobs.has_value()) {
    VALLM_RETURN_IF_ERROR(
        CheckTopCount("prompt_logprobs.top_count", *request.prompt_top_logprobs, info.vocab_size));
    if (!request.resumed_ids.empty()) {
      return absl::InvalidArgumentError("prompt_logprobs and resume_token_ids exclude each other");
    }
  }
  SequenceSpec spec;
  spec.scores_prompt = spec.computes_all = request.prompt_top_logprobs.has_value();
  spec.prompt_ids = std::move(request.prompt_ids);
  spec.resumed_ids = std::move(request.resumed_ids);
  spec.deadline = request.deadline;
  spec.priority = request.priority;
  spec.cache_salt = std::move(request.cache_salt);
  spec.stop_ids = std::move(request.stop_ids);
  if (!request.ignore_eos) {
    spec.stop_ids.insert(spec.stop_ids.end(), info.eos_ids.begin(), info.eos_ids.end());
  }
  const auto prompt_count = static_cast<int64_t>(spec.prompt_ids.size());
  // The last output token takes no place in the pool.
  const int64_t room =
      std::min<int64_t>(info.max_model_len, info.kv_cache_tokens + 1) - prompt_count;
  spec.max_tokens = request.max_tokens.value_or(static_cast<int32_t>(std::max<int64_t>(room, 1)));
  return spec;
}

absl::StatusOr<SamplingParams> Engine::MakeSampling(const GenerationRequest& request,
                                                    const SequenceSpec& spec) const {
  SamplingParams defaults = setup_.info.default_sampling;
  if (!request.sampling.seed.has_value()) defaults.seed = DrawSeed();
  VALLM_ASSIGN_OR_RETURN(SamplingParams sampling,
                         ResolveSampling(request.sampling, defaults, setup_.info.vocab_size));
  // Without min_tokens, max_tokens is CheckFits' to refuse.
  if (request.min_tokens < 0 || (request.min_tokens > 0 && request.min_tokens > spec.max_tokens)) {
    return absl::InvalidArgumentError(absl::StrCat("min_tokens is ", request.min_tokens,
                                                   "; it must be in 0 to max_tokens, ",
                                                   spec.max_tokens));
  }
  sampling.min_tokens = request.min_tokens;
  sampling.end_ids = spec.stop_ids;
  return sampling;
}

absl::StatusOr<std::unique_ptr<OutputConstraint>> Engine::MakeConstraint(
    const GenerationRequest& request) {
  if (!request.constraint.has_value()) return nullptr;
  absl::StatusOr<std::shared_ptr<CompiledGrammar>> grammar =
      constraints_.Compile(request.constraint->spec);
  // Not supported and too large are the request's fault like malformed: another try is no use.
  if (!grammar.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("constraint: ", grammar.status().message()));
  }
  return OutputConstraint::Create(*std::move(grammar), request.constraint->start);
}

absl::StatusOr<Submitted> Engine::Submit(GenerationRequest request,
                                         std::shared_ptr<RequestSink> sink) {
  VALLM_ASSIGN_OR_RETURN(SequenceSpec spec, MakeSpec(request));
  VALLM_ASSIGN_OR_RETURN(SamplingParams sampling, MakeSampling(request, spec));
  {
    MutexLock lock(mu_);
    VALLM_RETURN_IF_ERROR(scheduler_.CheckFits(spec));
  }
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<OutputConstraint> constraint, MakeConstraint(request));
  std::optional<ConstraintStart::Phase> constraint_start;
  if (request.constraint.has_value()) constraint_start = request.constraint->start;
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<ThoughtCloser> closer,
                         MakeCloser(request.thinking, spec.prompt_ids, constraint_start));
  VALLM_ASSIGN_OR_RETURN(const PromptLookupOptions speculation,
                         ResolvePromptLookup(request.speculation));
  std::unique_ptr<PromptLookup> lookup;
  if (speculation.num_tokens > 0) {
    lookup = std::make_unique<PromptLookup>(speculation, spec.prompt_ids, spec.resumed_ids);
  }
  VALLM_ASSIGN_OR_RETURN(const std::optional<Completion> ended_before, EndOfResumed(spec));
  Submitted submitted{
      .handle = 0, .request_id = std::move(request.request_id), .seed = sampling.seed};
  auto state =
      std::make_unique<SamplingState>(std::move(sampling), spec.prompt_ids, spec.resumed_ids);
  if (ended_before.has_value()) {
    sink->OnStart();
    sink->OnFinish(*ended_before);
    return submitted;
  }
  {
    MutexLock lock(mu_);
    if (state_ != EngineState::kServing) {
      return absl::UnavailableError(state_ == EngineState::kLoading      ? "the model is loading"
                                    : state_ == EngineState::kRestarting ? "workers are restarting"
                                    : state_ == EngineState::kDraining   ? "the engine is draining"
                                                                         : failure_.message());
    }
    if (by_request_id_.contains(submitted.request_id)) {
      return absl::AlreadyExistsError(
          absl::StrCat("a request with id \"", submitted.request_id, "\" has not ended yet"));
    }
    const auto prompt_count = static_cast<int64_t>(spec.prompt_ids.size());
    VALLM_ASSIGN_OR_RETURN(submitted.handle, scheduler_.Submit(std::move(spec), absl::Now()));
    if (submitted.request_id.empty()) submitted.request_id = absl::StrCat("r", submitted.handle);
    by_request_id_[submitted.request_id] = submitted.handle;
    requests_[submitted.handle] = {.request_id = submitted.request_id,
                                   .sampling = std::move(state),
                                   .constraint = std::move(constraint),
                                   .closer = std::move(closer),
                                   .lookup = std::move(lookup),
                                   .constraint_start = constraint_start,
                                   .thinking = request.thinking,
                                   .top_logprobs = request.top_logprobs,
                                   .prompt_top_logprobs = request.prompt_top_logprobs,
                                   .sink = std::move(sink),
                                   .end_status = absl::OkStatus()};
    prompt_tokens_ += prompt_count;
    changed_.NotifyAll();
  }
  NotifyLoad();
  return submitted;
}

absl::Status Engine::Abort(const std::string& request_id) {
  MutexLock lock(mu_);
  const auto found = by_request_id_.find(request_id);
  if (found == by_request_id_.end()) {
    return absl::NotFoundError(absl::StrCat("no live request has the id \"", request_id, "\""));
  }
  scheduler_.Abort(found->second);
  return absl::OkStatus();
}

void Engine::Cancel(RequestHandle handle) {
  MutexLock lock(mu_);
  const auto found = requests_.find(handle);
  if (found == requests_.end()) return;
  found->second.end_status = absl::CancelledError("the caller cancelled");
  scheduler_.Abort(handle);
}

int32_t Engine::ResetPrefixCache() {
  int32_t dropped = 0;
  {
    MutexLock lock(mu_);
    dropped = scheduler_.ResetPrefixCache();
  }
  NotifyLoad();
  return dropped;
}

void Engine::SetLoadListener(std::function<void()> listener) {
  {
    MutexLock lock(listener_mu_);
    listener_ = std::move(listener);
  }
  NotifyLoad();
}

void Engine::SetStepListener(std::function<void(const StepStats&)> listener) {
  MutexLock lock(listener_mu_);
  step_listener_ = std::move(listener);
}

void Engine::StopAdmission() { SetState(EngineState::kDraining); }

void Engine::NotifyLoad() {
  MutexLock lock(listener_mu_);
  if (listener_) listener_();
}

void Engine::Drain(absl::Duration grace) {
  MutexLock drain_lock(drain_mu_);
  StopAdmission();
  const absl::Time give_up = absl::Now() + grace;
  {
    MutexLock lock(mu_);
    while (!requests_.empty()) {
      const absl::Duration left = std::min(give_up - absl::Now(), absl::Hours(1));
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitFor(mu_, absl::ToChronoNanoseconds(left));
    }
    stopping_ = true;
    if (group_ != nullptr) group_->Stop(absl::UnavailableError("the engine is draining"));
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace vallm::engine
