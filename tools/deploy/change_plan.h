// What it takes to bring a running deployment from one record to another. Pure.
#ifndef VALLM_TOOLS_DEPLOY_CHANGE_PLAN_H_
#define VALLM_TOOLS_DEPLOY_CHANGE_PLAN_H_

#include <string>
#include <vector>

#include "tools/serve/supervisor.h"

namespace vallm::tools {

struct ChangePlan {
  // Everything has to stop before anything new may start; `reason` says why. The lists are empty
  // then.
  bool replace = false;
  std::string reason;
  // Names of services, each in the order in which it should be done.
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;

  bool empty() const { return !replace && added.empty() && removed.empty() && changed.empty(); }
  // Those of `changed` that are engines, which are restarted one after the other.
  std::vector<std::string> ChangedEngines() const;
  bool Changes(const std::string& name) const;
};

// Compares the commands and environments of the services, which have to be made from the same
// environment. All must be replaced when the model, the device or what makes instances equal
// (tokens go on on another instance) changes, and when an engine would get dies that another one
// still uses.
ChangePlan PlanChange(const std::vector<SupervisedChild>& before,
                      const std::vector<SupervisedChild>& after);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_CHANGE_PLAN_H_
