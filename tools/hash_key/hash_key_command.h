// `vallm hash-key`: makes the entry of a key file from a key, or with a new key.
#ifndef VALLM_TOOLS_HASH_KEY_HASH_KEY_COMMAND_H_
#define VALLM_TOOLS_HASH_KEY_HASH_KEY_COMMAND_H_

namespace vallm::tools {

// Exit code 0, 1 when standard input has no usable key, 2 after a usage error.
int RunHashKey(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_HASH_KEY_HASH_KEY_COMMAND_H_
