#include "tools/deploy/rollout.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/serve/progress_display.h"

namespace vallm::tools {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr int kTailLines = 15;
// How long a gateway or supervisor that is there may leave calls unanswered.
constexpr absl::Duration kPatience = absl::Minutes(1);
// The gateway looks for other files of the tokenizer every second, and then copies them.
constexpr absl::Duration kGatewayFollows = absl::Seconds(2);

bool IsEngine(const std::string& name) { return name.rfind("engine-", 0) == 0; }

absl::Status GaveUp(const ServiceState& service) {
  return absl::FailedPreconditionError(absl::StrCat(service.name, " ", service.last_exit,
                                                    " while starting; its log (", service.log,
                                                    "):\n", LogTail(service.log, kTailLines)));
}

// A service that gives up by itself before anything worked will do so again: a bad model, a port
// taken meanwhile. One that was killed may just have been unlucky.
bool HasGivenUp(const ServiceState& service, int starts_before) {
  return !service.ready && service.starts > starts_before + 1 &&
         service.last_exit.rfind("exited", 0) == 0;
}

}  // namespace

absl::Status Rollout::Pause() const {
  if (options_.interrupted()) return absl::CancelledError("interrupted");
  absl::SleepFor(kTick);
  return absl::OkStatus();
}

absl::StatusOr<SupervisorState> Rollout::Supervisor() const {
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    absl::StatusOr<SupervisorState> state = QuerySupervisor(deployment_);
    if (!absl::IsDeadlineExceeded(state.status()) || absl::Now() >= deadline) return state;
    VALLM_RETURN_IF_ERROR(Pause());
  }
}

absl::Status Rollout::AskGateway(const std::function<absl::Status()>& call) const {
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    absl::Status status = call();
    const bool silent = absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status);
    if (!silent || absl::Now() >= deadline) return status;
    VALLM_RETURN_IF_ERROR(Pause());
  }
}

absl::Status Rollout::Replace(const std::string& name) {
  restarted_.push_back(name);
  absl::Status status = ApplyRecord(deployment_, {name});
  // The call is with the supervisor, which will do it when it gets to it; saying so again would
  // restart the service twice.
  return absl::IsDeadlineExceeded(status) ? absl::OkStatus() : status;
}

absl::Status Rollout::WaitUntilServing() {
  const absl::Time begin = absl::Now();
  VALLM_ASSIGN_OR_RETURN(SupervisorState state, Supervisor());
  std::vector<std::string> names;
  std::map<std::string, int> starts;
  for (const ServiceState& service : state.services) {
    names.push_back(service.name);
    starts[service.name] = service.starts - 1;
  }
  ProgressDisplay display(stderr, isatty(STDERR_FILENO) != 0, names, begin);
  while (true) {
    VALLM_ASSIGN_OR_RETURN(state, Supervisor());
    std::vector<TargetState> targets;
    bool ready = true;
    for (const std::string& name : names) {
      const ServiceState* const service = state.Find(name);
      TargetState target;
      if (service != nullptr) {
        if (HasGivenUp(*service, starts[name])) return GaveUp(*service);
        target.ready = service->ready;
        target.loaded_percent = service->loaded_percent;
      }
      ready &= target.ready;
      targets.push_back(target);
    }
    display.Update(targets, absl::Now());
    if (ready) {
      // The supervisor has asked each engine; the gateway has to have found them as well.
      const auto instances = gateway_.Instances();
      const auto engines = std::count_if(names.begin(), names.end(), IsEngine);
      if (instances.ok() && static_cast<ptrdiff_t>(instances->size()) >= engines &&
          std::all_of(instances->begin(), instances->end(),
                      [](const GatewayInstance& i) { return i.serving; })) {
        return absl::OkStatus();
      }
    }
    if (absl::Now() - begin > options_.start_timeout) {
      std::vector<std::string> waiting;
      for (size_t i = 0; i < names.size(); ++i) {
        if (!targets[i].ready) waiting.push_back(names[i]);
      }
      return absl::DeadlineExceededError(absl::StrCat(
          waiting.empty() ? "the gateway does not reach every engine"
                          : absl::StrCat(absl::StrJoin(waiting, ", "), " does not serve"),
          " after ", absl::FormatDuration(options_.start_timeout),
          "; see `vallm logs`, or raise --start-timeout"));
    }
    VALLM_RETURN_IF_ERROR(Pause());
  }
}

absl::Status Rollout::WaitForService(const std::string& name, int starts_before) {
  const absl::Time deadline = absl::Now() + options_.start_timeout;
  while (absl::Now() < deadline) {
    VALLM_ASSIGN_OR_RETURN(const SupervisorState state, Supervisor());
    const ServiceState* const service = state.Find(name);
    if (service == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(name, " is gone"));
    }
    if (service->starts > starts_before && service->ready) return absl::OkStatus();
    if (HasGivenUp(*service, starts_before)) return GaveUp(*service);
    VALLM_RETURN_IF_ERROR(Pause());
  }
  return absl::DeadlineExceededError(
      absl::StrCat(name, " does not serve after ", absl::FormatDuration(options_.start_timeout)));
}

absl::Status Rollout::WaitForInstance(
    const std::string& address, absl::Duration timeout,
    const std::function<bool(const GatewayInstance&)>& condition) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status last;
  while (absl::Now() < deadline) {
    const auto instance = gateway_.InstanceAt(address);
    if (instance.ok() && condition(*instance)) return absl::OkStatus();
    last = instance.status();
    VALLM_RETURN_IF_ERROR(Pause());
  }
  VALLM_RETURN_IF_ERROR(last);
  return absl::DeadlineExceededError(
      absl::StrCat("after ", absl::FormatDuration(timeout), " at ", address));
}

absl::Status Rollout::Empty(const std::string& name, const GatewayInstance& instance) {
  const absl::Time give_up = absl::Now() + options_.start_timeout;
  absl::Time deadline = absl::InfiniteFuture();  // for what runs there, once it is drained
  bool said = false;
  while (true) {
    std::vector<GatewayInstance> instances;
    VALLM_RETURN_IF_ERROR(AskGateway([&] {
      VALLM_ASSIGN_OR_RETURN(instances, gateway_.Instances());
      return absl::OkStatus();
    }));
    bool last = instances.size() > 1;  // that serves, of several
    int in_flight = 0;
    std::vector<std::string> others;
    for (const GatewayInstance& each : instances) {
      if (each.id != instance.id) {
        last &= !each.serving;
        const bool enabled = each.admin_state == "enabled";
        others.push_back(
            absl::StrCat(each.address, " is ", enabled ? each.state : each.admin_state));
      } else {
        last &= each.state == "serving";
        in_flight = each.in_flight;
      }
    }
    if (last) {
      if (!std::exchange(said, true)) {
        options_.say(absl::StrCat("  ", name, ": waits until another instance serves (",
                                  absl::StrJoin(others, ", "), ")"));
      }
      if (deadline != absl::InfiniteFuture()) {
        deadline = absl::InfiniteFuture();
        VALLM_RETURN_IF_ERROR(AskGateway([&] { return gateway_.Enable(instance.id); }));
      }
      if (absl::Now() >= give_up) {
        return absl::DeadlineExceededError(
            absl::StrCat("no other instance serves after ",
                         absl::FormatDuration(options_.start_timeout), "; it was left as it is"));
      }
    } else if (deadline == absl::InfiniteFuture()) {
      deadline = absl::Now() + options_.drain_timeout;
      VALLM_RETURN_IF_ERROR(AskGateway([&] { return gateway_.Drain(instance.id); }));
      continue;  // only now nothing new comes
    } else if (in_flight == 0 || absl::Now() >= deadline) {
      return absl::OkStatus();  // what is left moves, as when an engine dies
    }
    VALLM_RETURN_IF_ERROR(Pause());
  }
}

absl::Status Rollout::RestartEngine(const std::string& name) {
  VALLM_ASSIGN_OR_RETURN(const SupervisorState state, Supervisor());
  const ServiceState* const service = state.Find(name);
  if (service == nullptr) return absl::NotFoundError(absl::StrCat("there is no ", name));
  GatewayInstance instance;
  VALLM_RETURN_IF_ERROR(AskGateway([&] {
    VALLM_ASSIGN_OR_RETURN(instance, gateway_.InstanceAt(service->address));
    return absl::OkStatus();
  }));
  absl::Status status = Empty(name, instance);
  if (status.ok()) status = Replace(name);
  if (status.ok()) status = WaitForService(name, service->starts);
  // Also after an error: the engine may well serve as it is.
  status.Update(AskGateway([&] { return gateway_.Enable(instance.id); }));
  if (status.ok()) {
    status = WaitForInstance(instance.address, options_.start_timeout,
                             [](const GatewayInstance& i) { return i.serving; });
  }
  return status;
}

absl::Status Rollout::RestartEngines(std::vector<std::string> names) {
  if (names.empty()) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const SupervisorState state, Supervisor());
  std::stable_partition(names.begin(), names.end(), [&](const std::string& name) {
    const ServiceState* const service = state.Find(name);
    return service != nullptr && !service->ready;
  });
  for (size_t i = 0; i < names.size(); ++i) {
    const absl::Time begin = absl::Now();
    options_.say(absl::StrCat("  ", names[i], ": draining (", i + 1, " of ", names.size(), ")"));
    const absl::Status status = RestartEngine(names[i]);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(names[i], ": ", status.message()));
    }
    options_.say(absl::StrCat(
        "  ", names[i], ": serves again after ",
        absl::FormatDuration(absl::Trunc(absl::Now() - begin, absl::Milliseconds(100)))));
  }
  return absl::OkStatus();
}

absl::Status Rollout::Restart(const std::string& name) {
  VALLM_ASSIGN_OR_RETURN(const SupervisorState state, Supervisor());
  const ServiceState* const service = state.Find(name);
  if (service == nullptr) return absl::NotFoundError(absl::StrCat("there is no ", name));
  options_.say(absl::StrCat("  ", name, ": restarting"));
  VALLM_RETURN_IF_ERROR(Replace(name));
  VALLM_RETURN_IF_ERROR(WaitForService(name, service->starts));
  if (name != "tokenizer") return absl::OkStatus();
  // "Up and running" has to mean that prompts are those of the new template.
  const absl::Time followed = absl::Now() + kGatewayFollows;
  while (absl::Now() < followed) VALLM_RETURN_IF_ERROR(Pause());
  return absl::OkStatus();
}

absl::Status Rollout::Apply(const ChangePlan& plan, const std::vector<std::string>& before,
                            const std::vector<std::string>& after) {
  if (!plan.removed.empty()) {
    // The gateway lets go of them first: what runs there ends or moves.
    options_.say(absl::StrCat("  taking out ", absl::StrJoin(plan.removed, ", ")));
    std::vector<std::string> gone;
    for (const std::string& address : before) {
      if (std::find(after.begin(), after.end(), address) == after.end()) gone.push_back(address);
    }
    std::vector<std::string> kept;
    for (const std::string& address : before) {
      if (std::find(gone.begin(), gone.end(), address) == gone.end()) kept.push_back(address);
    }
    VALLM_RETURN_IF_ERROR(deployment_.WriteInstances(kept));
    const absl::Time deadline = absl::Now() + options_.drain_timeout;
    for (const std::string& address : gone) {
      while (absl::Now() < deadline && !absl::IsNotFound(gateway_.InstanceAt(address).status())) {
        VALLM_RETURN_IF_ERROR(Pause());
      }
    }
  }
  if (!plan.added.empty()) {
    options_.say(absl::StrCat("  adding ", absl::StrJoin(plan.added, ", ")));
  }
  // Starts what is new, stops what is gone, restarts nothing.
  VALLM_RETURN_IF_ERROR(ApplyRecord(deployment_, {}));
  VALLM_RETURN_IF_ERROR(deployment_.WriteInstances(after));
  if (plan.Changes("tokenizer")) VALLM_RETURN_IF_ERROR(Restart("tokenizer"));
  VALLM_RETURN_IF_ERROR(RestartEngines(plan.ChangedEngines()));
  if (plan.Changes("gateway")) {
    options_.say(
        "  the gateway restarts: running answers end first, then the API is away for a "
        "moment");
    VALLM_RETURN_IF_ERROR(Restart("gateway"));
  }
  return WaitUntilServing();
}

absl::Status Rollout::GoBack() {
  VALLM_RETURN_IF_ERROR(ApplyRecord(deployment_, {}));
  std::vector<std::string> engines;
  for (const std::string& name : std::exchange(restarted_, {})) {
    if (IsEngine(name)) {
      engines.push_back(name);
    } else {
      VALLM_RETURN_IF_ERROR(Restart(name));
    }
  }
  VALLM_RETURN_IF_ERROR(RestartEngines(std::move(engines)));
  return WaitUntilServing();
}

}  // namespace vallm::tools
