// A group's memory as a rank's thread in a test uses it: mapped once more, as in a worker process.
// ThreadSanitizer knows memory by its address, so under it all share one mapping.
#ifndef VALLM_TESTS_UNIT_ENGINE_SERVICE_EXECUTOR_RANK_MAPPING_H_
#define VALLM_TESTS_UNIT_ENGINE_SERVICE_EXECUTOR_RANK_MAPPING_H_

#include <unistd.h>

#include <memory>

#include "engine_service/executor/group_memory.h"

namespace vallm::engine {

class RankMapping {
 public:
  // `memory` must outlive the mapping.
  explicit RankMapping(GroupMemory& memory) : memory_(&memory) {
#ifndef __SANITIZE_THREAD__
    own_ = GroupMemory::Attach(dup(memory.fd())).value();
    memory_ = own_.get();
#endif
  }
  GroupMemory& operator*() const { return *memory_; }

 private:
  std::unique_ptr<GroupMemory> own_;
  GroupMemory* memory_;
};

}  // namespace vallm::engine

#endif  // VALLM_TESTS_UNIT_ENGINE_SERVICE_EXECUTOR_RANK_MAPPING_H_
