#include "tools/deploy/change_plan.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine_service/device/vacc/visible_dies.h"

namespace vallm::tools {
namespace {

bool IsEngine(const std::string& name) { return name.rfind("engine-", 0) == 0; }

const SupervisedChild* Find(const std::vector<SupervisedChild>& children, const std::string& name) {
  for (const SupervisedChild& child : children) {
    if (child.spec.name == name) return &child;
  }
  return nullptr;
}

// The value of --flag=value or NAME=value; empty: not there.
std::string ValueOf(const std::vector<std::string>& entries, std::string_view name) {
  for (const std::string& entry : entries) {
    if (entry.size() > name.size() && entry.compare(0, name.size(), name) == 0 &&
        entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

std::set<std::string> DiesOf(const SupervisedChild& child) {
  const std::string dies = ValueOf(child.spec.environment, engine::kVisibleDiesVariable);
  if (dies.empty()) return {};
  return absl::StrSplit(dies, ',');
}

bool Same(const SupervisedChild& a, const SupervisedChild& b) {
  return a.spec.argv == b.spec.argv && a.spec.environment == b.spec.environment &&
         a.spec.output_path == b.spec.output_path;
}

// Why engines of both cannot serve side by side; empty: they can.
std::string WhyNotTogether(const std::vector<SupervisedChild>& before,
                           const std::vector<SupervisedChild>& after) {
  for (const SupervisedChild& next : after) {
    if (!IsEngine(next.spec.name)) continue;
    for (const SupervisedChild& old : before) {
      if (!IsEngine(old.spec.name)) continue;
      for (const char* flag : {"--model", "--device"}) {
        if (ValueOf(old.spec.argv, flag) != ValueOf(next.spec.argv, flag)) {
          return absl::StrCat("another ", flag + 2);
        }
      }
      if (old.spec.name == next.spec.name) continue;
      const std::set<std::string> dies = DiesOf(next);
      for (const std::string& die : DiesOf(old)) {
        if (dies.count(die) > 0) {
          return absl::StrCat("die ", die, " goes from ", old.spec.name, " to ", next.spec.name);
        }
      }
    }
  }
  return "";
}

}  // namespace

std::vector<std::string> ChangePlan::ChangedEngines() const {
  std::vector<std::string> engines;
  std::copy_if(changed.begin(), changed.end(), std::back_inserter(engines), IsEngine);
  return engines;
}

bool ChangePlan::Changes(const std::string& name) const {
  return std::find(changed.begin(), changed.end(), name) != changed.end();
}

ChangePlan PlanChange(const std::vector<SupervisedChild>& before,
                      const std::vector<SupervisedChild>& after) {
  ChangePlan plan;
  plan.reason = WhyNotTogether(before, after);
  plan.replace = !plan.reason.empty();
  if (plan.replace) return plan;
  for (const SupervisedChild& next : after) {
    const SupervisedChild* const old = Find(before, next.spec.name);
    if (old == nullptr) {
      plan.added.push_back(next.spec.name);
    } else if (!Same(*old, next)) {
      plan.changed.push_back(next.spec.name);
    }
  }
  for (const SupervisedChild& old : before) {
    if (Find(after, old.spec.name) == nullptr) plan.removed.push_back(old.spec.name);
  }
  return plan;
}

}  // namespace vallm::tools
